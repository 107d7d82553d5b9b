package dockerfiles

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"

	"github.com/deckhand-engine/deckhand/guard"
)

// maxFile is how much of a file of the build context is read, in bytes.
const maxFile = 1 << 20

// buildContext is the directory that COPY and ADD take files from. Nothing outside of it is read, whatever links
// lead there, and nothing is opened before it is asked for.
type buildContext struct {
	dir  string // empty: there is none
	file string // the Dockerfile's name in it
	root *os.Root
	err  error

	ignore *patternmatcher.PatternMatcher // nil: nothing is ignored
}

// newContext is the build context of a Dockerfile: its directory.
func newContext(src guard.Source) buildContext {
	if src.File == "" {
		return buildContext{}
	}
	return buildContext{dir: filepath.Dir(src.File), file: filepath.Base(src.File)}
}

// fileKind is what a name of the build context is.
type fileKind int

const (
	nothing fileKind = iota // or there is no context
	regularFile
	directory
	otherFile // a device, a socket; or what may not be looked at
)

func (c *buildContext) open() *os.Root {
	if c.dir == "" || c.err != nil {
		return nil
	}
	if c.root == nil {
		if c.root, c.err = os.OpenRoot(c.dir); c.err == nil {
			c.ignore = c.ignored()
		}
	}
	return c.root
}

// maxIgnore is how large a .dockerignore may be to be followed, in bytes.
const maxIgnore = 16 << 10

// ignored are the patterns of the Dockerfile's own .dockerignore, or the context's; nil: there is none.
func (c *buildContext) ignored() *patternmatcher.PatternMatcher {
	for _, name := range []string{c.file + ".dockerignore", ".dockerignore"} {
		content, ok := c.readFile(name)
		if !ok {
			continue
		}
		patterns, err := ignorefile.ReadAll(bytes.NewReader(content))
		if err != nil || len(content) > maxIgnore || len(patterns) == 0 {
			return nil
		}
		m, err := patternmatcher.New(patterns)
		if err != nil {
			return nil // nothing is built with it
		}
		return m
	}
	return nil
}

// hidden reports whether .dockerignore leaves a file out.
func (c *buildContext) hidden(name string) bool {
	if c.ignore == nil {
		return false
	}
	hidden, err := c.ignore.MatchesOrParentMatches(filepath.FromSlash(name))
	return err == nil && hidden
}

func (c *buildContext) close() {
	if c.root != nil {
		_ = c.root.Close() // nothing was written through it
	}
}

// kindOf says what the name is, links within the context followed.
func (c *buildContext) kindOf(name string) fileKind {
	root := c.open()
	if root == nil || hasWildcard(name) {
		return nothing
	}
	info, err := root.Stat(filepath.FromSlash(name))
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return nothing
	case err != nil:
		return otherFile
	case info.IsDir():
		return directory
	case c.hidden(name):
		return nothing
	case info.Mode().IsRegular():
		return regularFile
	}
	return otherFile
}

// read is the content of a regular file of at most maxFile bytes.
func (c *buildContext) read(name string) ([]byte, bool) {
	if c.kindOf(name) != regularFile {
		return nil, false
	}
	return c.readFile(name)
}

// readFile is read, whether it is ignored or not.
func (c *buildContext) readFile(name string) ([]byte, bool) {
	f, err := c.root.OpenFile(filepath.FromSlash(name), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, false
	}
	defer func() { _ = f.Close() }() // it was only read
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() || info.Size() > maxFile {
		return nil, false // it may have been swapped since
	}
	content, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	return content, err == nil && len(content) <= maxFile
}
