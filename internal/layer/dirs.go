package layer

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// maxOpenDirs bounds the directory descriptors kept open while unpacking.
const maxOpenDirs = 64

// dirCache opens directories below a root, never outside it, and keeps the latest open.
type dirCache struct {
	root int
	open map[string]int
}

func openRoot(dir string) (*dirCache, error) {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", dir, err)
	}
	return &dirCache{root: fd, open: make(map[string]int, maxOpenDirs)}, nil
}

// get opens the directory name. Symbolic links on the way are followed as in a chroot.
func (c *dirCache) get(name string) (int, error) {
	if name == "." {
		return c.root, nil
	}
	if fd, ok := c.open[name]; ok {
		return fd, nil
	}
	fd, err := openIn(c.root, name, unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return -1, err
	}
	if len(c.open) >= maxOpenDirs {
		c.forget()
	}
	c.open[name] = fd
	return fd, nil
}

// openIn opens name below root, confined to it.
func openIn(root int, name string, flags uint64) (int, error) {
	how := unix.OpenHow{
		Flags:   flags | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	}
	for {
		fd, err := unix.Openat2(root, name, &how)
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}

// forget closes what is cached: some directory may have been replaced.
func (c *dirCache) forget() {
	for _, fd := range c.open {
		_ = unix.Close(fd) // a path descriptor: nothing to lose
	}
	clear(c.open)
}

func (c *dirCache) close() {
	c.forget()
	_ = unix.Close(c.root) // a path descriptor: nothing to lose
}

// CleanName makes an archive's name relative to the root: "." is the root itself. A name that climbs out
// of the root is refused, not clamped: the archive is broken or hostile.
func CleanName(name string) (string, error) {
	clean := path.Clean(strings.TrimLeft(name, "/"))
	if clean == ".." || strings.HasPrefix(clean, "../") {
		return "", ErrEscapes
	}
	if strings.IndexByte(clean, 0) >= 0 {
		return "", fmt.Errorf("%w: name with a NUL byte", ErrMalformed)
	}
	return clean, nil
}
