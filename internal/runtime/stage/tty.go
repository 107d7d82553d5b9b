package stage

import (
	"syscall"
	"unsafe"

	"github.com/deckhand-engine/deckhand/internal/linux/raw"
)

// Requests of ioctl_tty(2), the same on amd64 and arm64.
const (
	tiocsptlck  = 0x40045431
	tiocgptpeer = 0x5441
)

// openTerminal opens a pty in the container's own devpts, sends its master to the parent, and makes
// its other end the standard files, the controlling terminal and /dev/console.
func openTerminal(c *child) error {
	if !c.plan.Terminal {
		return nil
	}
	master, err := c.openMaster()
	if err != nil {
		return err
	}
	peer, err := raw.Ioctl(master, tiocgptpeer, noPointer(syscall.O_RDWR|syscall.O_NOCTTY|syscall.O_CLOEXEC))
	if err != nil {
		return fail("open its other end", err)
	}
	if err := c.setWindow(master); err != nil {
		return fail("set the window's size", err)
	}
	if err := syscall.Fchown(peer, int(c.plan.UID), -1); err != nil {
		return fail("give it to the user", err)
	}
	if err := sendmsg(c.sock, []byte{MsgConsole}, syscall.UnixRights(master)); err != nil {
		return fail("send it", err)
	}
	if err := c.mountConsole(peer); err != nil {
		return fail("mount it on /dev/console", err)
	}
	return becomeTerminal(master, peer)
}

// openMaster opens ptmx, which must be on a devpts: an image could have left something else there.
func (c *child) openMaster() (int, error) {
	master, err := raw.Openat2(c.root, "dev/pts/ptmx", syscall.O_RDWR|syscall.O_NOCTTY, 0, noLinks)
	if err != nil {
		return -1, fail("open /dev/pts/ptmx", err)
	}
	if is, err := onFilesystem(master, devptsMagic); err != nil || !is {
		return -1, fail("/dev/pts is not a devpts", syscall.EXDEV)
	}
	unlock := int32(0)
	if _, err := raw.Ioctl(master, tiocsptlck, unsafe.Pointer(&unlock)); err != nil {
		return -1, fail("unlock it", err)
	}
	return master, nil
}

func (c *child) setWindow(master int) error {
	if c.plan.Rows == 0 && c.plan.Columns == 0 {
		return nil
	}
	size := [4]uint16{c.plan.Rows, c.plan.Columns}
	_, err := raw.Ioctl(master, syscall.TIOCSWINSZ, unsafe.Pointer(&size))
	return err
}

// mountConsole binds the terminal to /dev/console where /dev is ours, by descriptors throughout
// (CVE-2025-52565).
func (c *child) mountConsole(peer int) error {
	if c.dev < 0 {
		return nil
	}
	at, err := c.createInDev("console")
	if err != nil {
		return err
	}
	clone, err := raw.OpenTree(peer, "", raw.OPEN_TREE_CLONE|raw.AT_EMPTY_PATH)
	if err != nil {
		return err
	}
	if err := raw.MoveMount(clone, at); err != nil {
		return err
	}
	_ = syscall.Close(at) // an empty file
	return syscall.Close(clone)
}

func becomeTerminal(master, peer int) error {
	for fd := range 3 {
		if err := syscall.Dup3(peer, fd, 0); err != nil {
			return err
		}
	}
	if _, err := raw.Ioctl(0, syscall.TIOCSCTTY, nil); err != nil {
		return fail("make it the controlling terminal", err)
	}
	if err := syscall.Close(peer); err != nil {
		return err
	}
	return syscall.Close(master)
}

// noPointer passes an integer where ioctl takes a pointer.
func noPointer(n uintptr) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(&n)) }
