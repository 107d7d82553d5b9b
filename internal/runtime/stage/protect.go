package stage

import (
	"syscall"

	"github.com/deckhand-engine/deckhand/internal/linux/raw"
)

const attrsNone = raw.MOUNT_ATTR_NOSUID | raw.MOUNT_ATTR_NODEV | raw.MOUNT_ATTR_NOEXEC

// openProtected opens a path to mask or to make read-only; -1 where there is none. Paths in /proc and
// /sys must be on these filesystems and free of links, or a prepared image could have something else
// masked in their stead (CVE-2025-31133, CVE-2025-52881).
func (c *child) openProtected(path string) (int, error) {
	resolve, magic := uint64(inRoot), int64(0)
	switch {
	case under(path, "/proc"):
		resolve, magic = noLinks, procMagic
	case under(path, "/sys") && !under(path, "/sys/fs"):
		resolve, magic = noLinks, sysfsMagic
	}
	fd, err := c.open(path, resolve)
	if err == syscall.ENOENT || err == syscall.ENOTDIR { //nolint:errorlint // errno
		return -1, nil
	}
	if err != nil || magic == 0 {
		return fd, err
	}
	is, err := onFilesystem(fd, magic)
	if err == nil && !is {
		err = fail("not on the filesystem it should be on", syscall.EXDEV)
	}
	return fd, err
}

// maskPaths hides paths: a file below /dev/null, a directory below an empty read-only tmpfs.
func maskPaths(c *child) error {
	empty := -1
	for _, path := range c.plan.Masked {
		if err := c.maskOne(path, &empty); err != nil {
			return fail("mask "+path, err)
		}
	}
	return nil
}

func (c *child) maskOne(path string, empty *int) error {
	at, err := c.openProtected(path)
	if err != nil || at < 0 {
		return err
	}
	var st syscall.Stat_t
	if err := syscall.Fstat(at, &st); err != nil {
		return err
	}
	cover := c.devs[0].fd
	if st.Mode&syscall.S_IFMT == syscall.S_IFDIR {
		if *empty < 0 {
			m := Mount{Type: "tmpfs", Attrs: attrsNone | raw.MOUNT_ATTR_RDONLY, Options: []Pair{{"nr_blocks", "1"}, {"nr_inodes", "1"}}}
			if *empty, err = newFilesystem(&m); err != nil {
				return err
			}
		}
		cover = *empty
	}
	clone, err := raw.OpenTree(cover, "", raw.OPEN_TREE_CLONE|raw.AT_EMPTY_PATH)
	if err != nil {
		return err
	}
	if err := raw.MoveMount(clone, at); err != nil {
		return err
	}
	_ = syscall.Close(at) // O_PATH
	return syscall.Close(clone)
}

// protectPaths makes paths read-only.
func protectPaths(c *child) error {
	for _, path := range c.plan.Readonly {
		if err := c.protectOne(path); err != nil {
			return fail("make "+path+" read-only", err)
		}
	}
	return nil
}

func (c *child) protectOne(path string) error {
	at, err := c.openProtected(path)
	if err != nil || at < 0 {
		return err
	}
	clone, err := raw.OpenTree(at, "", raw.OPEN_TREE_CLONE|raw.AT_EMPTY_PATH|raw.AT_RECURSIVE)
	if err != nil {
		return err
	}
	attrs := uint64(raw.MOUNT_ATTR_RDONLY)
	if under(path, "/proc") || under(path, "/sys") {
		attrs |= attrsNone
	}
	if err := raw.MountSetattr(clone, raw.AT_RECURSIVE, &raw.MountAttr{Set: attrs}); err != nil {
		return err
	}
	if err := raw.MoveMount(clone, at); err != nil {
		return err
	}
	_ = syscall.Close(at) // O_PATH
	return syscall.Close(clone)
}

func protectRoot(c *child) error {
	if !c.plan.ReadonlyRoot {
		return nil
	}
	return raw.MountSetattr(c.root, 0, &raw.MountAttr{Set: raw.MOUNT_ATTR_RDONLY})
}
