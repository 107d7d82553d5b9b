package checkcmd

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

// output is where findings go: standard output, or a file that appears whole or not at all.
type output struct {
	io.Writer
	temp *os.File // nil: Writer is used as it is
	name string   // as the user typed it
	path string   // of the file that temp will be, behind all links
}

// maxLinks is how many symbolic links a path may lead through, as in the kernel.
const maxLinks = 40

// openOutput opens a file to be written. What is no regular file, such as a device, is written as it is.
func openOutput(name string) (*output, error) {
	path, direct, err := follow(name)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", name, cause(err))
	}
	if direct {
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			return nil, fmt.Errorf("write %s: %w", name, cause(err))
		}
		return &output{Writer: f, name: name}, nil
	}
	temp, err := createTemp(path)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", name, cause(err))
	}
	return &output{temp, temp, name, path}, nil
}

// createTemp makes a file beside path. No walk takes it for something to check, should it ever be left behind.
func createTemp(path string) (*os.File, error) {
	return os.CreateTemp(filepath.Dir(path), ".deckhand-check-*")
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
func (o *output) Write(b []byte) (int, error) {
	n, err := o.Writer.Write(b)
	if err != nil && o.name != "" {
		err = fmt.Errorf("write %s: %w", o.name, cause(err))
	}
	return n, err
}

// finish makes the file appear.
func (o *output) finish(mode fs.FileMode) error {
	if o.temp == nil {
		return nil
	}
	for _, step := range []func() error{
		func() error { return o.temp.Chmod(mode) },
		o.temp.Sync,
		o.temp.Close,
		func() error { return os.Rename(o.temp.Name(), o.path) },
	} {
		if err := step(); err != nil {
			return fmt.Errorf("write %s: %w", o.name, cause(err))
		}
	}
	o.temp = nil
	return nil
}

// discard leaves nothing behind of what is not finished.
func (o *output) discard() {
	if o.temp != nil {
		_ = o.temp.Close()           // it may be closed
		_ = os.Remove(o.temp.Name()) // it may be gone
	}
}
