package stage

import (
	"syscall"

	"github.com/deckhand-engine/deckhand/internal/linux/raw"
)

// copyUp copies what the directory from has, and its own mode and owner, to the root of a new tmpfs. It does
// not go into mounts below, and follows no links.
func copyUp(from, to int) error {
	var st syscall.Stat_t
	if err := syscall.Fstat(from, &st); err != nil {
		return err
	}
	src, err := raw.Openat2(from, ".", syscall.O_RDONLY|syscall.O_DIRECTORY, 0, noLinks)
	if err != nil {
		return err
	}
	dst, err := raw.Openat2(to, ".", syscall.O_RDONLY|syscall.O_DIRECTORY, 0, noLinks)
	if err != nil {
		return err
	}
	return copyTree(src, dst, &st)
}

// copyTree copies a directory's entries and gives dst its attributes; it closes both.
func copyTree(src, dst int, st *syscall.Stat_t) error {
	names, err := entries(src)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := copyEntry(src, dst, name, st.Dev); err != nil {
			return fail(name, err)
		}
	}
	if err := syscall.Fchown(dst, int(st.Uid), int(st.Gid)); err != nil {
		return err
	}
	if err := syscall.Fchmod(dst, st.Mode&0o7777); err != nil {
		return err
	}
	if err := syscall.Close(src); err != nil {
		return err
	}
	return syscall.Close(dst)
}

// entries are the names in an open directory.
func entries(dir int) (names []string, err error) {
	buf := make([]byte, 8192)
	for {
		n, err := syscall.ReadDirent(dir, buf)
		if err != nil || n <= 0 {
			return names, err
		}
		_, _, names = syscall.ParseDirent(buf[:n], -1, names)
	}
}

func copyEntry(src, dst int, name string, dev uint64) error {
	at, err := raw.Openat2(src, name, raw.O_PATH|syscall.O_NOFOLLOW, 0, raw.RESOLVE_IN_ROOT)
	if err != nil {
		return err
	}
	defer syscall.Close(at) //nolint:errcheck // O_PATH
	var st syscall.Stat_t
	if err := syscall.Fstat(at, &st); err != nil {
		return err
	}
	switch st.Mode & syscall.S_IFMT {
	case syscall.S_IFDIR:
		return copyDirectory(src, dst, name, &st, dev)
	case syscall.S_IFREG:
		return copyFile(src, dst, name, &st)
	case syscall.S_IFLNK:
		target, err := raw.ReadLink(at)
		if err == nil {
			err = raw.Symlinkat(target, dst, name)
		}
		if err != nil {
			return err
		}
	default: // devices, pipes, sockets: a user namespace has no right to make some of them
		if err := syscall.Mknodat(dst, name, st.Mode, int(st.Rdev)); err != nil {
			return err
		}
	}
	return syscall.Fchownat(dst, name, int(st.Uid), int(st.Gid), raw.AT_SYMLINK_NOFOLLOW)
}

func copyDirectory(src, dst int, name string, st *syscall.Stat_t, dev uint64) error {
	if err := syscall.Mkdirat(dst, name, 0o700); err != nil {
		return err
	}
	to, err := raw.Openat2(dst, name, syscall.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0, noLinks)
	if err != nil {
		return err
	}
	if st.Dev != dev { // something is mounted there
		return syscall.Close(to)
	}
	from, err := raw.Openat2(src, name, syscall.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0, noLinks)
	if err != nil {
		return err
	}
	return copyTree(from, to, st)
}

func copyFile(src, dst int, name string, st *syscall.Stat_t) error {
	from, err := raw.Openat2(src, name, syscall.O_RDONLY|syscall.O_NOFOLLOW, 0, noLinks)
	if err != nil {
		return err
	}
	to, err := raw.Openat2(dst, name, syscall.O_WRONLY|syscall.O_CREAT|syscall.O_EXCL|syscall.O_NOFOLLOW, 0o600, noLinks)
	if err != nil {
		return err
	}
	buf := make([]byte, 64<<10)
	for {
		n, err := syscall.Read(from, buf)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		for rest := buf[:n]; len(rest) > 0; {
			w, err := syscall.Write(to, rest)
			if err != nil {
				return err
			}
			rest = rest[w:]
		}
	}
	if err := syscall.Fchown(to, int(st.Uid), int(st.Gid)); err != nil {
		return err
	}
	if err := syscall.Fchmod(to, st.Mode&0o7777); err != nil {
		return err
	}
	_ = syscall.Close(from) // only read
	return syscall.Close(to)
}
