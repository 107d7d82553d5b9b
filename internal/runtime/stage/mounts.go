package stage

import (
	"syscall"

	"github.com/deckhand-engine/deckhand/internal/linux/raw"
)

// attachRoot puts the root mount over /dev of this mount namespace: a place that is there on every
// host, and not seen any more after enterRoot. Without pivot_root it has to cover the host's root, and
// in the host's own mount namespace it must not be seen at all: it stays attached nowhere.
func attachRoot(c *child) error {
	if len(c.fds) == 0 {
		return syscall.EBADF
	}
	c.root = c.fds[0]
	if c.plan.HostMounts {
		return nil
	}
	at := "/dev"
	if c.plan.NoPivot {
		at = "/"
	}
	place, err := raw.Openat2(raw.AT_FDCWD, at, raw.O_PATH|syscall.O_DIRECTORY, 0, 0)
	if err != nil {
		return err
	}
	if err := raw.MoveMount(c.root, place); err != nil {
		return err
	}
	return syscall.Close(place)
}

// mountAll makes the mounts of the plan in their order.
func mountAll(c *child) error {
	for i := range c.plan.Mounts {
		m := &c.plan.Mounts[i]
		if err := c.mountOne(m); err != nil {
			return fail("mount "+m.describe(), err)
		}
	}
	return nil
}

func (m *Mount) describe() string {
	if m.Type == "" {
		return m.Source + " on " + m.Target
	}
	return m.Type + " on " + m.Target
}

func (c *child) mountOne(m *Mount) error {
	resolve := uint64(inRoot)
	if m.Type == "proc" || m.Type == "sysfs" {
		resolve = noLinks // or an image could move /proc away from where it is protected
	}
	target, err := c.openTarget(m.Target, m.File, resolve)
	if err != nil {
		return fail("open the mount point", err)
	}
	if m.Remount {
		return fail("remount", remount(target, m))
	}
	if m.Type != "proc" {
		if err := checkNotProc(target, m.Target); err != nil {
			return err
		}
	}
	return c.attach(m, target)
}

// attach puts a mount over an open place.
func (c *child) attach(m *Mount, target int) error {
	source, err := c.source(m)
	if err != nil {
		return err
	}
	if m.CopyUp {
		if err := copyUp(target, source); err != nil {
			return fail("copy up", err)
		}
	}
	if err := raw.MoveMount(source, target); err != nil {
		return fail(attachStep(m, target, err), err)
	}
	_ = syscall.Close(target) // O_PATH
	if m.Target == "/dev" && m.Type == "tmpfs" && c.plan.PopulateDev {
		c.dev = source
		return nil
	}
	return syscall.Close(source)
}

// attachStep says more where the kernel only calls an argument invalid.
func attachStep(m *Mount, target int, err error) string {
	var st syscall.Stat_t
	if err != syscall.EINVAL || syscall.Fstat(target, &st) != nil { //nolint:errorlint // errno
		return "attach"
	}
	switch dir := st.Mode&syscall.S_IFMT == syscall.S_IFDIR; {
	case m.File && dir:
		return "attach a file where a directory is"
	case !m.File && !dir:
		return "attach a directory where a file is"
	}
	return "attach"
}

// overProc are the files of /proc that may be replaced, as lxcfs does.
var overProc = [...]string{
	"/proc/cpuinfo", "/proc/diskstats", "/proc/meminfo", "/proc/stat", "/proc/swaps", "/proc/uptime",
	"/proc/loadavg", "/proc/slabinfo", "/proc/sys/kernel/ns_last_pid", "/proc/sys/crypto/fips_enabled",
}

// checkNotProc refuses a mount over a part of procfs, where it could pose as a process's files
// (CVE-2019-16884), by whatever path it was reached.
func checkNotProc(target int, path string) error {
	is, err := onFilesystem(target, procMagic)
	if err != nil || !is {
		return err
	}
	for _, p := range overProc {
		if p == path {
			return nil
		}
	}
	return fail("the mount point is inside /proc", syscall.EPERM)
}

// source is the detached mount to attach.
func (c *child) source(m *Mount) (int, error) {
	if m.Type != "" {
		return newFilesystem(m)
	}
	if m.Fd <= 0 || m.Fd >= len(c.fds) {
		return -1, syscall.EBADF
	}
	return c.fds[m.Fd], nil
}

// remount changes the mount that target is the root of, and its filesystem where there are options for it.
func remount(target int, m *Mount) error {
	if len(m.Options) > 0 {
		fs, err := raw.Fspick(target)
		if err != nil {
			return err
		}
		if err := setOptions(fs, m.Options); err != nil {
			return err
		}
		if err := raw.FsconfigReconfigure(fs); err != nil {
			return err
		}
		_ = syscall.Close(fs) // done
	}
	if m.Attrs|m.ClearAttrs|m.Propagation != 0 {
		attr := raw.MountAttr{Set: m.Attrs, Clear: m.ClearAttrs, Propagation: m.Propagation}
		if err := raw.MountSetattr(target, 0, &attr); err != nil {
			return err
		}
	}
	return syscall.Close(target)
}

// newFilesystem makes a filesystem, owned by this user namespace, and a detached mount of it.
func newFilesystem(m *Mount) (int, error) {
	fs, err := raw.Fsopen(m.Type)
	if err != nil {
		return -1, err
	}
	if err := configure(fs, m); err != nil {
		return -1, err
	}
	fd, err := raw.Fsmount(fs, m.Attrs)
	if err != nil {
		return -1, err
	}
	if m.Propagation != 0 {
		if err := raw.MountSetattr(fd, 0, &raw.MountAttr{Propagation: m.Propagation}); err != nil {
			return -1, fail("set the propagation", err)
		}
	}
	return fd, syscall.Close(fs)
}

func configure(fs int, m *Mount) error {
	if m.Source != "" {
		if err := raw.FsconfigString(fs, "source", m.Source); err != nil {
			return fail("option source", err)
		}
	}
	if err := setOptions(fs, m.Options); err != nil {
		return err
	}
	return raw.FsconfigCreate(fs)
}

func setOptions(fs int, options []Pair) error {
	for _, o := range options {
		var err error
		if o.Value == "" {
			err = raw.FsconfigFlag(fs, o.Key)
		} else {
			err = raw.FsconfigString(fs, o.Key, o.Value)
		}
		if err != nil {
			return fail("option "+o.Key, err)
		}
	}
	return nil
}

// enterRoot makes the container's root the root.
func enterRoot(c *child) error {
	err := syscall.Fchdir(c.root)
	switch {
	case err != nil:
		return err
	case c.plan.HostMounts || c.plan.NoPivot:
		err = syscall.Chroot(".")
	case c.plan.RootPropagation == syscall.MS_SHARED: // which pivot_root refuses, and which it becomes in the end
		if err = raw.MountSetattr(c.root, 0, &raw.MountAttr{Propagation: syscall.MS_SLAVE}); err == nil {
			err = pivotRoot()
		}
	default:
		err = pivotRoot()
	}
	if err != nil {
		return err
	}
	return syscall.Chdir("/")
}

// propagateRoot comes last: nothing below an unbindable root could be cloned any more.
func propagateRoot(c *child) error {
	if c.plan.RootPropagation == 0 {
		return nil
	}
	flags := 0
	if c.plan.PropagateBelow {
		flags = raw.AT_RECURSIVE
	}
	return raw.MountSetattr(c.root, flags, &raw.MountAttr{Propagation: c.plan.RootPropagation})
}

// pivotRoot makes the working directory the root, and lets go of the host's.
func pivotRoot() error {
	if err := syscall.PivotRoot(".", "."); err != nil {
		return err
	}
	// The old root now lies over the new one. Its end does not reach the host: its mounts are slaves.
	return syscall.Unmount(".", syscall.MNT_DETACH)
}

// openRoot is attachRoot's counterpart in a container that runs already.
func openRoot(c *child) error {
	fd, err := raw.Openat2(raw.AT_FDCWD, "/", raw.O_PATH|syscall.O_DIRECTORY, 0, 0)
	c.root = fd
	return err
}
