package buildcmd

import (
	"bytes"
	"io"
	"maps"
	"os"
	"path/filepath"
	"time"

	"github.com/deckhand-engine/deckhand/internal/build"
	"github.com/deckhand-engine/deckhand/internal/linux/rootless"
	"github.com/deckhand-engine/deckhand/internal/ui"
	"github.com/deckhand-engine/deckhand/internal/unchanged"
)

// note is what a build that turns out to have had nothing to do leaves for the next (package unchanged).
// A nil note is a build that cannot be repeated.
type note struct {
	command  unchanged.Command
	inputs   unchanged.Inputs
	before   unchanged.Signature
	tags     []string
	out, err bytes.Buffer
}

// watch begins a note, if the build is one that may be repeated: it signs what will be read and copies what will
// be printed.
func (o *options) watch(std *files, mode ui.Mode, bo build.Options) *note {
	n := &note{}
	if !o.repeatable(std, mode, bo) || n.describe(o, bo) != nil {
		return nil
	}
	var ok bool
	if n.before, ok = n.inputs.Sign(time.Now()); !ok { //nolint:forbidigo // compared with times of files
		return nil
	}
	std.out, std.err = io.MultiWriter(std.out, &n.out), io.MultiWriter(std.err, &n.err)
	return n
}

// repeatable reports whether all that the build reads and does can be told from outside.
func (o *options) repeatable(std *files, mode ui.Mode, bo build.Options) bool {
	switch {
	case bo.ContextDir == "" || bo.DockerfileData != nil || len(bo.Named) > 0: // read from elsewhere
		return false
	case bo.NoCache || bo.Pull || o.idFile != "" || o.trials != "" || o.debug: // does more than to look
		return false
	}
	// a terminal is shown other things, and an ordinary user's namespace shows files with other owners
	return mode != ui.TTY && !ui.IsTerminal(std.err) && !rootless.Inside()
}

// describe says which build it is and what it may read.
func (n *note) describe(o *options, bo build.Options) error {
	root, err := o.root()
	if err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	n.command = unchanged.Command{Root: root, Program: program, Args: os.Args[1:], Dir: dir, Env: os.Environ()}
	for _, t := range bo.Tags {
		n.tags = append(n.tags, t.String())
	}
	dockerfile := bo.Dockerfile
	if bo.InContext {
		dockerfile = filepath.Join(bo.ContextDir, dockerfile)
	}
	for _, p := range []*string{&dockerfile, &bo.ContextDir} {
		if *p, err = filepath.Abs(*p); err != nil {
			return err
		}
	}
	n.inputs = unchanged.Inputs{Dirs: []string{bo.ContextDir}, Files: []string{dockerfile, dockerfile + ".dockerignore"}}
	return nil
}

// save keeps the note if the build had nothing to do.
func (n *note) save(res *build.Result) error {
	if n == nil || res.Ran {
		return nil
	}
	images := maps.Clone(res.Images)
	for _, t := range n.tags {
		images[t] = res.Image.Target.Digest
	}
	return n.command.Save(unchanged.Record{
		Inputs: n.inputs, Images: images, Result: res.Image.ID,
		Stdout: n.out.String(), Stderr: n.err.String(),
	}, n.before)
}
