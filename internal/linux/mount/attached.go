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
// directories. These are in a namespace nobody else sees, and detached again at once: the overlay
// has private clones of its layers.
func (o Overlay) mountAttached() (*os.File, error) {
	layers := layerFiles{}
	defer layers.close()
	dirs := o.Lower
	if o.Upper != "" {
		dirs = append(slices.Clone(dirs), o.UpperBase)
	}
	for _, dir := range dirs {
		if _, err := layers.open(dir, o.IDMap); err != nil {
			return nil, fmt.Errorf("add layer: %w", err)
		}
	}
	var m *os.File
	err := inNamespace(func() error {
		if err := enterTmpfs(mountPoint); err != nil {
			return err
		}
		defer func() { // an overlay that failed leaves nothing else
			_ = unix.Chdir("/")
			_ = unix.Unmount(mountPoint, unix.MNT_DETACH)
		}()
		options, err := o.attachLayers(&layers)
		if err != nil {
			return err
		}
		m, err = o.mountHere(options, layers.upper)
		return err
	})
	return m, err
}

// attachLayers attaches the layers to directories and returns the options that name them.
//
// Names are numbers, relative to the working directory: mount(2) takes a page of options, and overlayfs
// allows 500 layers.
func (o Overlay) attachLayers(layers *layerFiles) (string, error) {
	options := "xino=off,redirect_dir=nofollow,metacopy=off,index=off,uuid=off"
	var names []string
	for i, m := range layers.all {
		names = append(names, strconv.Itoa(i))
		if err := os.Mkdir(names[i], 0o700); err != nil {
			return "", err
		}
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
