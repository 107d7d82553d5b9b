package hardencmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/dockerfile"
	"github.com/deckhand-engine/deckhand/guard/load/dockerfiles"
	"github.com/deckhand-engine/deckhand/guard/proof"
	"github.com/deckhand-engine/deckhand/internal/hint"
	"github.com/deckhand-engine/deckhand/internal/store"
)

// subject is what is hardened.
type subject struct {
	arg        string         // as it was typed
	source     string         // the Dockerfile's path or the image's name
	name       string         // a short name
	dockerfile []byte         // to be hardened
	current    []byte         // what the file holds: it may be what an earlier run made of the other
	file       string         // the Dockerfile's path; empty: there is none, it is an image
	context    string         // the directory to build from, as it was typed
	empty      *store.TempDir // the context of an image; nil: there is none
}

// isImage reports whether there is no Dockerfile but the one that was made.
func (s *subject) isImage() bool { return s.file == "" }

// buildCommand is what builds it as it is. The name may be empty.
func (s *subject) buildCommand(name string) string {
	words := []string{"deckhand", "build"}
	if name != "" {
		words = append(words, "-t", name)
	}
	if s.file != filepath.Join(s.context, "Dockerfile") {
		words = append(words, "-f", s.file)
	}
	return strings.Join(append(words, s.context), " ")
}

// tryCommand is what runs it as it is.
func (s *subject) tryCommand() string {
	if s.isImage() {
		return "deckhand run --rm -u root " + s.arg
	}
	return s.buildCommand(s.name) + " && deckhand run --rm -u root " + s.name
}

// close removes the context that was made.
func (s *subject) close() error {
	if s.empty == nil {
		return nil
	}
	return s.empty.Close()
}

// find finds out what an argument is, as check does: what is there as a file is a file, all else is an image.
func (o *hardenOptions) find(ctx context.Context, st *store.Store, arg string) (*subject, error) {
	info, err := os.Stat(arg)
	switch {
	case err == nil && info.IsDir():
		return o.directory(ctx, st, arg)
	case err == nil && o.file != "":
		return nil, &usageError{fmt.Errorf("with --file, name the directory that %s is built over, not %s", o.file, arg)}
	case err == nil:
		return readSubject(arg, arg, filepath.Dir(arg))
	case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTDIR) || isPath(arg):
		return nil, unread(err)
	case o.file != "":
		return nil, &usageError{fmt.Errorf("with --file, name the directory that %s is built over: %s is none", o.file, arg)}
	}
	return o.image(ctx, st, arg)
}

// unread is the error of a file without the name of a system call.
func unread(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("%s: %w", e.Path, e.Err)
	}
	return err
}

// isPath reports whether what is not there can only have been meant as a path.
func isPath(arg string) bool {
	return strings.HasPrefix(arg, "/") || strings.HasPrefix(arg, ".") || strings.HasSuffix(arg, "/") ||
		dockerfiles.Is(filepath.Base(arg), nil)
}

// directory is a build context with its Dockerfile.
func (o *hardenOptions) directory(ctx context.Context, st *store.Store, dir string) (*subject, error) {
	if o.file != "" {
		return readSubject(dir, o.file, dir)
	}
	// As the build looks for it.
	for _, name := range []string{"Dockerfile", "dockerfile"} {
		file := filepath.Join(dir, name)
		if _, err := os.Stat(file); err == nil {
			return readSubject(dir, file, dir)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, unread(err)
		}
	}
	hints := []string{"one of another name, or elsewhere:  deckhand harden --file FILE " + dir}
	if img, err := st.Image(ctx, dir); err == nil {
		hints = append(hints, "the image of that name:             deckhand harden "+img.Ref.String())
	}
	return nil, hint.With(fmt.Errorf("%s is a directory without a Dockerfile", dir), hints...)
}

// readSubject reads a Dockerfile that is built over a directory.
func readSubject(arg, file, over string) (*subject, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, unread(err)
	}
	parsed, err := dockerfile.Parse(text)
	if err == nil && len(parsed.Stages) == 0 {
		err = errors.New("it has no FROM")
	}
	if err != nil {
		return nil, hint.With(fmt.Errorf("%s is no Dockerfile: %w", file, err), "harden takes a directory, a Dockerfile or an image:  deckhand harden --help")
	}
	abs, err := filepath.Abs(over)
	if err != nil {
		return nil, err
	}
	return &subject{
		arg: arg, source: file, name: shortName(filepath.Base(abs)), dockerfile: text, current: text, file: file, context: over,
	}, nil
}

// image is an image of the store: its Dockerfile begins with it, and has nothing to copy from.
func (o *hardenOptions) image(ctx context.Context, st *store.Store, arg string) (*subject, error) {
	img, err := st.Image(ctx, arg)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, hint.With(fmt.Errorf("%s is no file, no directory, and no image that is here", arg), "get the image:  deckhand pull "+arg)
	case err != nil:
		return nil, err
	case img.Ref.Familiar() == "":
		return nil, hint.With(fmt.Errorf("the image %s has no name, and a Dockerfile cannot begin with an id", arg), "name it:  deckhand tag "+img.Name()+" NAME")
	case o.target != "" || len(o.buildArgs) > 0:
		return nil, &usageError{fmt.Errorf("--target and --build-arg are for a Dockerfile, and %s is an image", arg)}
	}
	empty, err := st.TempDir("context")
	if err != nil {
		return nil, err
	}
	text := []byte("FROM " + img.Ref.Familiar() + "\n")
	repository := img.Ref.Repository
	return &subject{
		arg: arg, source: arg, name: shortName(repository[strings.LastIndexByte(repository, '/')+1:]),
		dockerfile: text, current: text, context: empty.Path, empty: empty,
	}, nil
}

// startOver takes the Dockerfile that an earlier run began with, where this one is what it came to: what it made cannot
// be watched as root any more.
func (o *hardenOptions) startOver(s *subject) {
	if s.isImage() {
		return
	}
	for _, dir := range []string{o.output, filepath.Join(filepath.Dir(s.file), proofDir)} {
		if dir == "" {
			continue
		}
		p, err := proof.Read(dir)
		if err == nil && p.Original != "" && p.Dockerfile == string(s.current) {
			s.dockerfile = []byte(p.Original)
			return
		}
	}
}

// maxName bounds names: what Kubernetes allows, with room for what is added.
const maxName = 40

// shortName makes a name of another that manifests and volumes may have: lower case letters, digits and dashes.
func shortName(from string) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(from))
	name = strings.Trim(name, "-")
	name = strings.TrimRight(name[:min(len(name), maxName)], "-")
	if name == "" {
		return "service"
	}
	if name[0] <= '9' { // a service's name in Kubernetes begins with a letter
		name = "s" + name
	}
	return name
}
