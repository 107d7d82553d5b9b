package stage

import (
	"syscall"

	"github.com/deckhand-engine/deckhand/internal/linux/raw"
)

// device is a device node every container has.
type device struct {
	name         string
	major, minor uint64
	fd           int // a detached clone of the host's node
}

// standardDevices are those of the runtime specification ("Default Devices").
var standardDevices = [...]device{
	{name: "null", major: 1, minor: 3},
	{name: "zero", major: 1, minor: 5},
	{name: "full", major: 1, minor: 7},
	{name: "random", major: 1, minor: 8},
	{name: "urandom", major: 1, minor: 9},
	{name: "tty", major: 5, minor: 0},
}

// takeDevices clones the host's nodes (mknod is not for user namespaces) while they can be seen, and
// makes sure that they are what their names say.
func takeDevices(c *child) error {
	devs := standardDevices
	c.devs = devs[:]
	if !c.plan.PopulateDev {
		c.devs = c.devs[:1] // null is needed for masked files
	}
	for i := range c.devs {
		d := &c.devs[i]
		fd, err := raw.OpenTree(raw.AT_FDCWD, "/dev/"+d.name, raw.OPEN_TREE_CLONE|raw.AT_SYMLINK_NOFOLLOW)
		if err != nil {
			return fail("open /dev/"+d.name, err)
		}
		var st syscall.Stat_t
		if err := syscall.Fstat(fd, &st); err != nil {
			return fail("stat /dev/"+d.name, err)
		}
		if st.Mode&syscall.S_IFMT != syscall.S_IFCHR || st.Rdev != d.major<<8|d.minor {
			return fail("/dev/"+d.name+" of the host is not that device", syscall.ENODEV)
		}
		if err := c.protectNode(fd); err != nil {
			return fail("protect /dev/"+d.name, err)
		}
		d.fd = fd
	}
	return nil
}

// protectNode keeps a container whose root is the host's from changing owner and mode of the host's node. A device on
// a read-only mount is written to all the same.
func (c *child) protectNode(fd int) error {
	if c.plan.NewUser {
		return nil // its root is not the node's owner
	}
	return raw.MountSetattr(fd, 0, &raw.MountAttr{Set: raw.MOUNT_ATTR_RDONLY})
}

// devLinks are the links of the runtime specification.
var devLinks = [...]Pair{
	{"fd", "/proc/self/fd"},
	{"stdin", "/proc/self/fd/0"},
	{"stdout", "/proc/self/fd/1"},
	{"stderr", "/proc/self/fd/2"},
	{"ptmx", "pts/ptmx"},
}

// populateDev fills a /dev that is a new tmpfs.
func populateDev(c *child) error {
	if c.dev < 0 {
		return nil
	}
	for i := range c.devs {
		if err := c.bindDevice(&c.devs[i]); err != nil {
			return fail(c.devs[i].name, err)
		}
	}
	for _, l := range devLinks {
		if err := raw.Symlinkat(l.Value, c.dev, l.Key); err != nil && err != syscall.EEXIST { //nolint:errorlint // errno
			return fail(l.Key, err)
		}
	}
	return nil
}

// bindDevice attaches a node to a new file; null keeps a clone for masking.
func (c *child) bindDevice(d *device) error {
	at, err := c.createInDev(d.name)
	if err != nil {
		return err
	}
	fd := d.fd
	if d.name == "null" {
		if fd, err = raw.OpenTree(d.fd, "", raw.OPEN_TREE_CLONE|raw.AT_EMPTY_PATH); err != nil {
			return err
		}
	}
	if err := raw.MoveMount(fd, at); err != nil {
		return err
	}
	_ = syscall.Close(at) // an empty file
	return syscall.Close(fd)
}

// createInDev makes an empty file in our /dev to mount something on.
func (c *child) createInDev(name string) (int, error) {
	return raw.Openat2(c.dev, name, syscall.O_CREAT|syscall.O_EXCL|syscall.O_RDONLY|syscall.O_NOFOLLOW, 0o644, noLinks)
}
