package stage

import (
	"syscall"
	"unsafe"

	"github.com/deckhand-engine/deckhand/internal/linux/raw"
)

func nameHost(c *child) error {
	if c.plan.Hostname != "" {
		if err := syscall.Sethostname([]byte(c.plan.Hostname)); err != nil {
			return fail("hostname "+c.plan.Hostname, err)
		}
	}
	if c.plan.Domainname == "" {
		return nil
	}
	return fail("domain name "+c.plan.Domainname, syscall.Setdomainname([]byte(c.plan.Domainname)))
}

func bringUpLoopback(c *child) error {
	if !c.plan.Loopback {
		return nil
	}
	s, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	request := struct { // struct ifreq
		name  [16]byte
		flags uint16
		_     [22]byte
	}{name: [16]byte{'l', 'o'}, flags: syscall.IFF_UP | syscall.IFF_RUNNING}
	if _, err := raw.Ioctl(s, syscall.SIOCSIFFLAGS, unsafe.Pointer(&request)); err != nil {
		return err
	}
	return syscall.Close(s)
}

// waitNetwork waits for the parent's word.
func waitNetwork(c *child) error {
	if !c.plan.WaitNetwork {
		return nil
	}
	return c.awaitParent()
}

// setSysctls writes kernel parameters of the new namespaces, on procfs and nowhere else.
func setSysctls(c *child) error {
	for _, s := range c.plan.Sysctl {
		if err := c.setSysctl(s); err != nil {
			return fail("sysctl "+s.Key+"="+s.Value, err)
		}
	}
	return nil
}

func (c *child) setSysctl(s Pair) error {
	fd, err := raw.Openat2(c.root, "proc/sys/"+s.Key, syscall.O_WRONLY, 0, noLinks)
	if err != nil {
		return err
	}
	if err := checkProc(fd); err != nil {
		return err
	}
	if _, err := syscall.Write(fd, []byte(s.Value)); err != nil {
		return err
	}
	return syscall.Close(fd)
}

// checkProc refuses a file that is not on a procfs (CVE-2019-16884).
func checkProc(fd int) error {
	if is, err := onFilesystem(fd, procMagic); err != nil || !is {
		return fail("/proc is not a procfs", syscall.EXDEV)
	}
	return nil
}
