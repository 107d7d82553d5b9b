package stage

import (
	"syscall"

	"github.com/deckhand-engine/deckhand/internal/linux/raw"
)

// resolve flags: symbolic links are followed within the container's root only, or not at all.
const (
	inRoot   = raw.RESOLVE_IN_ROOT | raw.RESOLVE_NO_MAGICLINKS
	noLinks  = inRoot | raw.RESOLVE_NO_SYMLINKS
	maxLinks = 40
)

// open opens an absolute container path as O_PATH.
func (c *child) open(path string, resolve uint64) (int, error) {
	return raw.Openat2(c.root, relative(path), raw.O_PATH, 0, resolve)
}

// relative makes an absolute path one that openat2 takes.
func relative(path string) string {
	for len(path) > 0 && path[0] == '/' {
		path = path[1:]
	}
	if path == "" {
		return "."
	}
	return path
}

// openTarget opens the place a mount goes to and makes it where it is missing: a file or a directory,
// with directories above it, as root and with docker's modes.
func (c *child) openTarget(path string, file bool, resolve uint64) (int, error) {
	fd, err := c.open(path, resolve)
	if err != syscall.ENOENT { //nolint:errorlint // errno
		return fd, err
	}
	if resolve&raw.RESOLVE_NO_SYMLINKS == 0 {
		if path, err = c.followLinks(path); err != nil {
			return -1, err
		}
	}
	return c.makeTarget(path, file)
}

// makeTarget makes the missing parts of a path without symbolic links.
func (c *child) makeTarget(path string, file bool) (int, error) {
	dir, err := c.open("/", noLinks)
	if err != nil {
		return -1, err
	}
	parts := split(path)
	for i, name := range parts {
		next, err := makeOne(dir, name, file && i == len(parts)-1)
		_ = syscall.Close(dir) // O_PATH: nothing can be lost
		if err != nil {
			return -1, err
		}
		dir = next
	}
	return dir, nil
}

// makeOne opens name in dir, a plain file or directory, and makes it if need be.
func makeOne(dir int, name string, file bool) (int, error) {
	fd, err := raw.Openat2(dir, name, raw.O_PATH, 0, noLinks)
	if err != syscall.ENOENT { //nolint:errorlint // errno
		return fd, err
	}
	if file {
		return raw.Openat2(dir, name, syscall.O_CREAT|syscall.O_EXCL|syscall.O_RDONLY|syscall.O_NOFOLLOW, 0o644, noLinks)
	}
	if err := syscall.Mkdirat(dir, name, 0o755); err != nil && err != syscall.EEXIST {
		return -1, err
	}
	return raw.Openat2(dir, name, raw.O_PATH|syscall.O_DIRECTORY, 0, noLinks)
}

// followLinks resolves the links of a path whose end may not exist, dangling links included, and
// returns it without any: /etc/resolv.conf -> ../run/x/resolv.conf becomes /run/x/resolv.conf.
func (c *child) followLinks(path string) (string, error) {
	done := ""
	rest := split(path)
	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		if name == ".." {
			done = parent(done)
			continue
		}
		target, ok := c.readLink(done + "/" + name)
		if !ok {
			done += "/" + name
			continue
		}
		if links++; links > maxLinks {
			return "", syscall.ELOOP
		}
		if target[0] == '/' {
			done = ""
		}
		rest = append(split(target), rest...)
	}
	return done, nil
}

// readLink reads the symbolic link at path, whose directory has no links.
func (c *child) readLink(path string) (string, bool) {
	fd, err := raw.Openat2(c.root, relative(path), raw.O_PATH|syscall.O_NOFOLLOW, 0, noLinks)
	if err != nil {
		return "", false
	}
	target, err := raw.ReadLink(fd)
	_ = syscall.Close(fd) // O_PATH
	return target, err == nil && target != ""
}

// split gives the parts of a path, without empty ones and ".".
func split(path string) []string {
	var parts []string
	for start, i := 0, 0; i <= len(path); i++ {
		if i < len(path) && path[i] != '/' {
			continue
		}
		if part := path[start:i]; part != "" && part != "." {
			parts = append(parts, part)
		}
		start = i + 1
	}
	return parts
}

// parent is the path without its last part.
func parent(path string) string {
	for i := len(path) - 1; i >= 0; i-- {
		if path[i] == '/' {
			return path[:i]
		}
	}
	return ""
}

// under reports whether path is dir or below it.
func under(path, dir string) bool {
	return len(path) >= len(dir) && path[:len(dir)] == dir && (len(path) == len(dir) || path[len(dir)] == '/')
}

// Filesystem types by statfs(2).
const (
	procMagic   = 0x9fa0
	sysfsMagic  = 0x62656572
	devptsMagic = 0x1cd1
)

// onFilesystem reports whether fd is on a filesystem of the given type.
func onFilesystem(fd int, magic int64) (bool, error) {
	var st syscall.Statfs_t
	if err := raw.Fstatfs(fd, &st); err != nil {
		return false, err
	}
	return st.Type == magic, nil
}
