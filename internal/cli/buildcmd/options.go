package buildcmd

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/internal/build"
	"github.com/deckhand-engine/deckhand/internal/layer"
	"github.com/deckhand-engine/deckhand/internal/ui"
	"github.com/deckhand-engine/deckhand/ref"
)

// options are the flags.
type options struct {
	dataRoot     string
	debug        bool
	tags         []string
	file         string
	buildArgs    []string
	labels       []string
	named        []string
	target       string
	network      string
	progress     string
	idFile       string
	trials       string
	platform     string
	noCache      bool
	pull         bool
	quiet        bool
	secret, sshs []string
}

func (o *options) addFlags(f *pflag.FlagSet) {
	f.SortFlags = true
	f.StringVar(&o.dataRoot, "data-root", "", "keep images and containers below `DIR` (or DECKHAND_DATA_ROOT)")
	f.BoolVar(&o.debug, "debug", false, "log what is done on stderr")
	f.StringArrayVarP(&o.tags, "tag", "t", nil, "name the image `NAME[:TAG]`; may be repeated")
	f.StringVarP(&o.file, "file", "f", "", "read the Dockerfile from `FILE` (- is stdin; default PATH/Dockerfile)")
	f.StringArrayVar(&o.buildArgs, "build-arg", nil, "set an ARG: `NAME=VALUE`, or NAME for the value it has in the environment")
	f.StringArrayVar(&o.labels, "label", nil, "set a label of the image: `NAME=VALUE`")
	f.StringArrayVar(&o.named, "build-context", nil, "name another directory or image: `NAME=DIR|docker-image://REF`")
	f.StringVar(&o.target, "target", "", "build up to the stage `NAME`")
	f.StringVar(&o.network, "network", "default", "network of RUN: `MODE` is default, host or none")
	f.StringVar(&o.progress, "progress", "auto", "how progress is shown: `TYPE` is auto, tty, plain or quiet")
	f.StringVar(&o.idFile, "iidfile", "", "write the image's id to `FILE`")
	f.StringVar(&o.trials, "trials", "", "keep an image without a name for the `TRIALS` of another process")
	f.StringVar(&o.platform, "platform", "", "build for `OS/ARCH`; only this machine's is there yet")
	f.BoolVar(&o.noCache, "no-cache", false, "run every step again")
	f.BoolVar(&o.pull, "pull", false, "ask the registry for a newer base image")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "print the image's id only")
	f.StringArrayVar(&o.secret, "secret", nil, "not there yet")
	f.StringArrayVar(&o.sshs, "ssh", nil, "not there yet")
	_ = f.MarkHidden("secret") // the flag was just defined
	_ = f.MarkHidden("ssh")    // likewise
	_ = f.MarkHidden("trials") // likewise
}

// mode is how progress is shown.
func (o *options) mode() (ui.Mode, error) {
	if o.quiet {
		return ui.Quiet, nil
	}
	return ui.ParseMode(o.progress)
}

// buildOptions checks the flags and reads what comes from stdin.
func (o *options) buildOptions(context string, in io.Reader) (build.Options, error) {
	bo := build.Options{Target: o.target, NoCache: o.noCache, Pull: o.pull, Network: o.network}
	if err := o.unsupported(context); err != nil {
		return bo, &usageError{err}
	}
	var err error
	if bo.Tags, err = parseTags(o.tags); err != nil {
		return bo, &usageError{err}
	}
	bo.BuildArgs = guard.BuildArgs(o.buildArgs, os.LookupEnv)
	if bo.Labels, err = parsePairs("label", o.labels, true); err != nil {
		return bo, &usageError{err}
	}
	if bo.Named, err = parsePairs("build-context", o.named, false); err != nil {
		return bo, &usageError{err}
	}
	return bo, o.inputs(&bo, context, in)
}

// unsupported refuses what is not there, and what contradicts itself.
func (o *options) unsupported(context string) error {
	switch {
	case len(o.secret) > 0:
		return errors.New("--secret is not there yet")
	case len(o.sshs) > 0:
		return errors.New("--ssh is not there yet")
	case o.platform != "" && !isThisPlatform(o.platform):
		return fmt.Errorf("--platform %s is not there yet: only this machine's, %s", o.platform, thisPlatform())
	case isRemote(context):
		return fmt.Errorf("building from %s is not there yet: clone or download it, and build from the directory", context)
	case context == "-" && o.file == "-":
		return errors.New("the Dockerfile and the build context cannot both come from stdin")
	}
	switch o.network {
	case "default", "host", "none":
		return nil
	}
	return fmt.Errorf("--network %s: a build knows default, host and none", o.network)
}

// inputs finds the Dockerfile and the build context.
func (o *options) inputs(bo *build.Options, context string, in io.Reader) error {
	if context != "-" {
		if err := checkDir(context); err != nil {
			return err
		}
		bo.ContextDir = context
	}
	if context == "-" {
		buffered := bufio.NewReader(in)
		if isArchive(buffered) {
			bo.ContextTar, bo.Dockerfile, bo.InContext = buffered, cmp.Or(o.file, "Dockerfile"), true
			return nil
		}
		in = buffered
	}
	if context == "-" || o.file == "-" {
		var err error
		bo.DockerfileData, err = readDockerfile(in)
		return err
	}
	if o.file == "" {
		bo.Dockerfile, bo.InContext = defaultDockerfile(context), true
		return nil
	}
	bo.Dockerfile = o.file
	fi, err := os.Stat(bo.Dockerfile)
	if err != nil {
		return dockerfileError(err, bo.Dockerfile, context)
	}
	if fi.Mode().IsRegular() || fi.IsDir() {
		return nil
	}
	// A pipe, as of -f <(generate), can be read once; ctrl-c still ends a process that waits for its writer.
	f, err := os.Open(bo.Dockerfile)
	if err != nil {
		return dockerfileError(err, bo.Dockerfile, context)
	}
	defer func() { _ = f.Close() }() // it was read
	bo.DockerfileData, err = readDockerfile(f)
	return err
}

// defaultDockerfile is Dockerfile, or dockerfile where only that is there.
func defaultDockerfile(dir string) string {
	const usual, lower = "Dockerfile", "dockerfile"
	if _, err := os.Lstat(filepath.Join(dir, usual)); err != nil {
		if _, err := os.Lstat(filepath.Join(dir, lower)); err == nil {
			return lower
		}
	}
	return usual
}

// maxDockerfile bounds what is read from stdin or a pipe.
const maxDockerfile = 16 << 20

func readDockerfile(in io.Reader) ([]byte, error) {
	dt, err := io.ReadAll(io.LimitReader(in, maxDockerfile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read Dockerfile: %w", err)
	case len(dt) > maxDockerfile:
		return nil, fmt.Errorf("the Dockerfile has more than %d bytes", maxDockerfile)
	case len(strings.TrimSpace(string(dt))) == 0:
		return nil, errors.New("the Dockerfile is empty")
	}
	return dt, nil
}

// isArchive recognises a tar, plain or compressed: a Dockerfile has none of these bytes.
func isArchive(in *bufio.Reader) bool {
	head, _ := in.Peek(512) // less, where that is all there is
	return layer.Sniff(head) != layer.Plain || len(head) > 262 && string(head[257:262]) == "ustar"
}

func checkDir(dir string) error {
	fi, err := os.Stat(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("path %q not found", dir)
	case err != nil:
		return fmt.Errorf("open build context: %w", err)
	case !fi.IsDir():
		return fmt.Errorf("%q is not a directory: name the directory to build from; a Dockerfile goes with -f", dir)
	}
	return nil
}

func dockerfileError(err error, file, context string) error {
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("open %s: no such file or directory\n  name the Dockerfile:  deckhand build -f FILE %s", file, context)
	}
	return fmt.Errorf("open Dockerfile: %w", err)
}

func parseTags(tags []string) ([]ref.Reference, error) {
	var out []ref.Reference
	for _, t := range tags {
		r, err := ref.Parse(t)
		if err != nil {
			return nil, fmt.Errorf("invalid tag %q: %w", t, err)
		}
		if r.Digest != "" {
			return nil, fmt.Errorf("invalid tag %q: a digest cannot be chosen", t)
		}
		out = append(out, r)
	}
	return out, nil
}

func parsePairs(flag string, args []string, valueOptional bool) (map[string]string, error) {
	out := map[string]string{}
	for _, a := range args {
		k, v, ok := strings.Cut(a, "=")
		if k == "" || !ok && !valueOptional {
			return nil, fmt.Errorf("invalid --%s %q: it must be NAME=VALUE", flag, a)
		}
		out[k] = v
	}
	return out, nil
}
