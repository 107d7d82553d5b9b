package stage

import (
	"syscall"

	"github.com/deckhand-engine/deckhand/internal/linux/raw"
)

// Device is a node to be made.
type Device struct {
	Path     string
	Mode     uint32 // S_IFCHR, S_IFBLK or S_IFIFO, and permissions
	Rdev     uint64
	UID, GID uint32
}

// StandardDevice is a node of the runtime specification ("Default Devices").
type StandardDevice struct {
	Name string
	Rdev uint64
}

// StandardDevices are the nodes that a container has where its /dev is made for it.
func StandardDevices() []StandardDevice {
	var all []StandardDevice
	for _, d := range standardDevices {
		all = append(all, StandardDevice{d.name, d.major<<8 | d.minor})
	}
	return all
}

func makeDevices(c *child) error {
	for i := range c.plan.Devices {
		d := &c.plan.Devices[i]
		if err := c.makeDevice(d); err != nil {
			return fail("make device "+d.Path, err)
		}
	}
	return nil
}

func (c *child) makeDevice(d *Device) error {
	dir, err := c.openTarget(parent(d.Path)+"/", false, inRoot)
	if err != nil {
		return err
	}
	name := d.Path[len(parent(d.Path))+1:]
	old := syscall.Umask(0)
	err = syscall.Mknodat(dir, name, d.Mode, int(d.Rdev))
	syscall.Umask(old)
	if err == syscall.EEXIST { //nolint:errorlint // errno
		return sameNode(dir, name, d)
	}
	if err != nil {
		return err
	}
	if err := syscall.Fchownat(dir, name, int(d.UID), int(d.GID), raw.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	if err := usable(dir, d); err != nil {
		return err
	}
	return syscall.Close(dir)
}

// usable makes sure that the node can be opened as a device where it is.
func usable(dir int, d *Device) error {
	const nodev = 4 // ST_NODEV
	var st syscall.Statfs_t
	if d.Mode&syscall.S_IFMT == syscall.S_IFIFO {
		return nil
	}
	if err := raw.Fstatfs(dir, &st); err != nil {
		return err
	}
	if st.Flags&nodev != 0 {
		return fail("its filesystem is mounted nodev", syscall.EACCES)
	}
	return nil
}

// sameNode accepts a node that is there already.
func sameNode(dir int, name string, d *Device) error {
	fd, err := raw.Openat2(dir, name, raw.O_PATH|syscall.O_NOFOLLOW, 0, noLinks&^raw.RESOLVE_NO_SYMLINKS)
	if err != nil {
		return err
	}
	var st syscall.Stat_t
	if err := syscall.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&syscall.S_IFMT != d.Mode&syscall.S_IFMT || st.Rdev != d.Rdev && d.Mode&syscall.S_IFMT != syscall.S_IFIFO {
		return fail("there is another file", syscall.EEXIST)
	}
	return syscall.Close(fd)
}
