package layer

import (
	"archive/tar"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// fileMetadata sets owner, attributes, mode and times of an open file, in this order: a change of owner
// clears setuid and capabilities.
func (e *extractor) fileMetadata(fd int, n node) error {
	if err := e.owner(unix.Fchown(fd, n.hdr.Uid, n.hdr.Gid), n.hdr); err != nil {
		return err
	}
	set := func(key string, value []byte) error { return unix.Fsetxattr(fd, key, value, 0) }
	if err := e.xattrs(n.hdr, set); err != nil {
		return err
	}
	if err := unix.Fchmod(fd, n.mode()); err != nil {
		return fmt.Errorf("set mode: %w", err)
	}
	return setTime(n.parent, n.base, modTime(n.hdr))
}

// metadata does the same for what cannot be opened.
func (e *extractor) metadata(n node) error {
	err := unix.Fchownat(n.parent, n.base, n.hdr.Uid, n.hdr.Gid, unix.AT_SYMLINK_NOFOLLOW)
	if err := e.owner(err, n.hdr); err != nil {
		return err
	}
	set := func(key string, value []byte) error { return unix.Lsetxattr(procPath(n.parent, n.base), key, value, 0) }
	if err := e.xattrs(n.hdr, set); err != nil {
		return err
	}
	if n.hdr.Typeflag != tar.TypeSymlink {
		if err := unix.Fchmodat(n.parent, n.base, n.mode(), 0); err != nil {
			return fmt.Errorf("set mode: %w", err)
		}
	}
	return setTime(n.parent, n.base, modTime(n.hdr))
}

// procPath names base in an open directory for the system calls that have no *at form.
func procPath(dir int, base string) string {
	return "/proc/self/fd/" + strconv.Itoa(dir) + "/" + base
}

// owner judges the error of a change of owner.
func (e *extractor) owner(err error, hdr *tar.Header) error {
	switch {
	case err == nil:
		return nil
	case e.opts.TolerateOwner && (errors.Is(err, unix.EPERM) || errors.Is(err, unix.EINVAL)):
		e.out.Owners++
		return nil
	case errors.Is(err, unix.EINVAL) && os.Geteuid() == 0:
		return fmt.Errorf("set owner %d:%d: %w (this user namespace does not map it: "+
			"/etc/subuid and /etc/subgid must grant at least 65536 ids)", hdr.Uid, hdr.Gid, err)
	}
	return fmt.Errorf("set owner %d:%d: %w", hdr.Uid, hdr.Gid, err)
}

func modTime(hdr *tar.Header) unix.Timespec {
	t := hdr.ModTime
	if t.Before(time.Unix(0, 0)) {
		t = time.Unix(0, 0) // also the zero time: a header without one
	}
	ts, err := unix.TimeToTimespec(t)
	if err != nil {
		return unix.Timespec{}
	}
	return ts
}

func setTime(dir int, base string, t unix.Timespec) error {
	if err := unix.UtimesNanoAt(dir, base, []unix.Timespec{t, t}, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("set times: %w", err)
	}
	return nil
}

// removeTree deletes a directory and what is in it, following nothing.
func removeTree(parent int, base string) error {
	fd, err := unix.Openat(parent, base, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	dir := os.NewFile(uintptr(fd), base)
	names, err := dir.Readdirnames(-1)
	for _, name := range names {
		if err != nil {
			break
		}
		err = unix.Unlinkat(fd, name, 0)
		if errors.Is(err, unix.EISDIR) {
			err = removeTree(fd, name)
		}
	}
	if closeErr := dir.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	return unix.Unlinkat(parent, base, unix.AT_REMOVEDIR)
}
