package dockerfiles

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/deckhand-engine/deckhand/guard"
)

// maxFile is how much of a file of the build context is read, in bytes.
const maxFile = 1 << 20

// buildContext is the directory that COPY and ADD take files from. Nothing outside of it is read, whatever links
// lead there, and nothing is opened before it is asked for.
type buildContext struct {
	dir  string // empty: there is none
	root *os.Root
	err  error
}

// contextDir is the directory of the Dockerfile.
func contextDir(src guard.Source) string {
	if src.File == "" {
		return ""
	}
	return filepath.Dir(src.File)
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
		c.root, c.err = os.OpenRoot(c.dir)
	}
	return c.root
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
