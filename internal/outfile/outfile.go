// Package outfile writes files that appear whole or not at all, and devices and pipes as they are.
package outfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// File is what is written: a file in the making, or what is written as it is.
type File struct {
	to   io.Writer
	temp *os.File // nil: it is written as it is
	name string   // as the user typed it
	path string   // of the file that temp will be, behind all links
}

// As writes to w as it is.
func As(w io.Writer) *File { return &File{to: w} }

// maxLinks is how many symbolic links a path may lead through, as in the kernel.
const maxLinks = 40

// Open opens a file to be written. What is no regular file, such as a device, is written as it is. The caller
// finishes or discards it. Errors name it as name does.
func Open(name string) (*File, error) {
	path, direct, err := follow(name)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", name, cause(err))
	}
	if direct {
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			return nil, fmt.Errorf("write %s: %w", name, cause(err))
		}
		return &File{to: f, name: name}, nil
	}
	temp, err := createTemp(path)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", name, cause(err))
	}
	return &File{temp, temp, name, path}, nil
}

// createTemp makes a file beside path. No walk takes it for something to check, should it ever be left behind.
func createTemp(path string) (*os.File, error) {
	return os.CreateTemp(filepath.Dir(path), ".deckhand-new-*")
}

// follow finds the file behind symbolic links: the links stay. What must be written as it is, and not replaced, is
// direct: a device, a pipe, a file that only a descriptor names.
func follow(name string) (path string, direct bool, err error) {
	path = name
	for range maxLinks {
		info, err := os.Lstat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return path, false, nil
		case err != nil:
			return "", false, err
		case strings.HasPrefix(path, "/proc/") || strings.HasPrefix(path, "/dev/fd/"):
			return path, true, nil
		case info.IsDir():
			return "", false, syscall.EISDIR
		case info.Mode()&fs.ModeSymlink == 0:
			return path, !info.Mode().IsRegular(), nil
		}
		next, err := os.Readlink(path)
		if err != nil {
			return "", false, err
		}
		if !filepath.IsAbs(next) {
			next = filepath.Dir(path) + "/" + next // not cleaned: .. may stand behind another link
		}
		path = next
	}
	return "", false, syscall.ELOOP
}

// cause is an error without the name of a file that the user does not know.
func cause(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	if e, ok := errors.AsType[*os.LinkError](err); ok {
		return e.Err
	}
	return err
}

// Write implements io.Writer.
func (f *File) Write(b []byte) (int, error) {
	n, err := f.to.Write(b)
	if err != nil && f.name != "" {
		err = fmt.Errorf("write %s: %w", f.name, cause(err))
	}
	return n, err
}

// Finish makes the file appear.
func (f *File) Finish(mode fs.FileMode) error {
	if f.temp == nil {
		return nil
	}
	for _, step := range []func() error{
		func() error { return f.temp.Chmod(mode) },
		f.temp.Sync,
		f.temp.Close,
		func() error { return os.Rename(f.temp.Name(), f.path) },
	} {
		if err := step(); err != nil {
			return fmt.Errorf("write %s: %w", f.name, cause(err))
		}
	}
	f.temp = nil
	return nil
}

// Discard leaves nothing behind of what is not finished; what is stays.
func (f *File) Discard() {
	if f.temp != nil {
		_ = f.temp.Close()           // it may be closed
		_ = os.Remove(f.temp.Name()) // it may be gone
	}
}
