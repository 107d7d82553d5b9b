// Package mount wraps the new mount API (fsopen, open_tree, mount_setattr, move_mount) by file descriptor.
//
// Nothing here touches the mount namespace of the caller: every mount is detached, and gone when its
// last descriptor is closed.
package mount

import (
	"bytes"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// NewFilesystem makes a filesystem and a detached mount of it. Options without "=" are flags; attrs
// are unix.MOUNT_ATTR_*. The caller closes the mount.
func NewFilesystem(fstype string, attrs int, options ...[2]string) (*os.File, error) {
	fs, err := unix.Fsopen(fstype, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("open filesystem %s: %w", fstype, err)
	}
	defer closeFd(fs)
	for _, o := range options {
		if err := setOption(fs, o[0], o[1]); err != nil {
			return nil, err
		}
	}
	return create(fs, fstype, attrs)
}

func setOption(fs int, key, value string) error {
	var err error
	if value == "" {
		err = unix.FsconfigSetFlag(fs, key)
	} else {
		err = unix.FsconfigSetString(fs, key, value)
	}
	if err != nil {
		return fmt.Errorf("set mount option %s: %w", key, explain(fs, err))
	}
	return nil
}

func create(fs int, fstype string, attrs int) (*os.File, error) {
	if err := unix.FsconfigCreate(fs); err != nil {
		return nil, fmt.Errorf("create filesystem %s: %w", fstype, explain(fs, err))
	}
	fd, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, attrs)
	if err != nil {
		return nil, fmt.Errorf("mount %s: %w", fstype, err)
	}
	return os.NewFile(uintptr(fd), fstype), nil
}

// explain adds what the kernel has to say, which it queues in the filesystem's descriptor.
func explain(fs int, err error) error {
	var buf [1024]byte
	n, readErr := unix.Read(fs, buf[:])
	if readErr != nil || n <= 2 {
		return err
	}
	return fmt.Errorf("%w (%s)", err, bytes.TrimSpace(buf[2:n])) // "e " goes before an error
}

// Clone makes a detached copy of the mount at path, with the mounts below it if recursive. The caller
// closes it.
func Clone(path string, recursive bool) (*os.File, error) {
	flags := uint(unix.OPEN_TREE_CLONE | unix.OPEN_TREE_CLOEXEC)
	if recursive {
		flags |= unix.AT_RECURSIVE
	}
	fd, err := unix.OpenTree(unix.AT_FDCWD, path, flags)
	if err != nil {
		return nil, &os.PathError{Op: "bind", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// Attr is a change of a mount's attributes (unix.MOUNT_ATTR_*) and propagation (unix.MS_PRIVATE …).
type Attr struct {
	Set, Clear  uint64
	Propagation uint64
	Recursive   bool
}

// SetAttr changes a mount.
func SetAttr(m *os.File, a Attr) error {
	return setattr(m, a.Recursive, &unix.MountAttr{Attr_set: a.Set, Attr_clr: a.Clear, Propagation: a.Propagation})
}

// IDMap shifts the ids of a detached mount by the mapping of a user namespace. It fails with EINVAL
// where the filesystem has no support for it, and with EPERM where the mount is shifted already or
// the caller may not.
func IDMap(m, userns *os.File, recursive bool) error {
	return setattr(m, recursive, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(userns.Fd())})
}

func setattr(m *os.File, recursive bool, a *unix.MountAttr) error {
	flags := uint(unix.AT_EMPTY_PATH)
	if recursive {
		flags |= unix.AT_RECURSIVE
	}
	if err := unix.MountSetattr(int(m.Fd()), "", flags, a); err != nil {
		return &os.PathError{Op: "change mount", Path: m.Name(), Err: err}
	}
	return nil
}

// Unsupported reports whether err says that the kernel or filesystem lacks what was asked for.
func Unsupported(err error) bool {
	return errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS)
}

func closeFd(fd int) { _ = unix.Close(fd) } // descriptors of detached objects: nothing to lose
