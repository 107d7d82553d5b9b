package mount

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// refused reports whether err is how a kernel says that it does not take layers as Overlay.mount gives them:
// an open_tree descriptor is no descriptor before Linux 6.15 (EBADF; EOPNOTSUPP where overlayfs has no new
// mount API, before 6.5), nor is a mount that is attached nowhere a layer, or lowerdir+ an option before 6.7 (EINVAL).
//
// EINVAL has other reasons too, which cost another attempt. A layer that cannot be opened or shifted,
// a path error, is not among them.
func refused(err error) bool {
	if _, ok := errors.AsType[*os.PathError](err); ok {
		return false
	}
	return errors.Is(err, unix.EBADF) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL)
}

// mountAttached makes the mount as kernels since 5.19 understand it: with mount(2), its layers attached to
// directories. These are in a tmpfs in a mount namespace that only one thread ever sees and that ends
// with it; the overlay has private clones of its layers and lives on.
func (o Overlay) mountAttached() (*os.File, error) {
	var m *os.File
	err := onThread(func() error {
		layers := layerFiles{}
		defer layers.close()
		if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
			return fmt.Errorf("unshare mount namespace: %w", err)
		}
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			return fmt.Errorf("make mounts private: %w", err)
		}
		options, err := o.attachLayers(&layers)
		if err != nil {
			return err
		}
		// Gone at once, not when the thread is: the overlay's end must not depend on a thread's.
		defer func() { _ = unix.Unmount(".", unix.MNT_DETACH) }() // goes with the namespace at the latest
		m, err = o.mountHere(options, layers.upper)
		return err
	})
	return m, err
}

// attachLayers makes a tmpfs the thread's working directory, attaches the layers to directories of it
// and returns the options that name them.
//
// Names are numbers, relative to the working directory: mount(2) takes a page of options, and overlayfs
// allows 500 layers.
func (o Overlay) attachLayers(layers *layerFiles) (string, error) {
	options := "xino=off,redirect_dir=nofollow,metacopy=off,index=off,uuid=off"
	dirs := o.Lower
	if o.Upper != "" {
		dirs = append(slices.Clone(dirs), o.UpperBase)
	}
	for _, dir := range dirs { // before the tmpfs hides them
		if _, err := layers.open(dir, o.IDMap); err != nil {
			return "", fmt.Errorf("add layer: %w", err)
		}
	}
	if err := enterTmpfs(); err != nil {
		return "", err
	}
	var names []string
	for i, m := range layers.all {
		names = append(names, strconv.Itoa(i))
		if err := attach(m, names[i]); err != nil {
			return "", err
		}
	}
	if last := len(o.Lower); o.Upper != "" {
		upper, err := o.upperOptions(names[last], layers.all[last], layers)
		if err != nil {
			return "", err
		}
		options, names = options+upper, names[:last]
	}
	if o.UserXattr {
		options += ",userxattr"
	}
	slices.Reverse(names) // the uppermost first
	return options + ",lowerdir=" + strings.Join(names, ":"), nil
}

// upperOptions names upper and work below the directory where base is attached. Their own names are
// deckhand's, and have no comma.
func (o Overlay) upperOptions(at string, base *os.File, layers *layerFiles) (string, error) {
	upper, err := filepath.Rel(o.UpperBase, o.Upper)
	if err != nil {
		return "", fmt.Errorf("find upper layer: %w", err)
	}
	work, err := filepath.Rel(o.UpperBase, o.Work)
	if err != nil {
		return "", fmt.Errorf("find work directory: %w", err)
	}
	layers.upper, err = layers.below(base, upper)
	options := ",upperdir=" + filepath.Join(at, upper) + ",workdir=" + filepath.Join(at, work)
	if o.Volatile {
		options += ",volatile"
	}
	return options, err
}

// mountHere mounts the overlay at a directory and returns a detached clone.
func (o Overlay) mountHere(options string, upper *os.File) (m *os.File, err error) {
	const at = "overlay"
	if err := os.Mkdir(at, 0o700); err != nil {
		return nil, err
	}
	flags := uintptr(unix.MS_NODEV)
	if o.NoSuid {
		flags |= unix.MS_NOSUID
	}
	do := func() error {
		if err := unix.Mount("overlay", at, "overlay", flags, options); err != nil {
			return fmt.Errorf("mount overlay with %s: %w", options, err)
		}
		m, err = Clone(at, false)
		return err
	}
	if upper == nil || o.IDMap == nil {
		err = do()
	} else {
		err = asOwner(upper, do)
	}
	return m, err
}

// enterTmpfs makes a new tmpfs the working directory. It is attached over the root, which is looked up
// no more: the thread has the directory below it for its own.
func enterTmpfs() error {
	m, err := NewFilesystem("tmpfs", unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOSUID, [2]string{"mode", "700"})
	if err != nil {
		return err
	}
	defer func() { _ = m.Close() }() // stays attached
	if err := unix.MoveMount(int(m.Fd()), "", unix.AT_FDCWD, "/", unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("attach tmpfs: %w", err)
	}
	return os.NewSyscallError("fchdir", unix.Fchdir(int(m.Fd())))
}

func attach(m *os.File, dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	if err := unix.MoveMount(int(m.Fd()), "", unix.AT_FDCWD, dir, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return &os.PathError{Op: "attach layer", Path: m.Name(), Err: err}
	}
	return nil
}
