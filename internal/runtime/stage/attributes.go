package stage

import (
	"syscall"
	"unsafe"

	"github.com/deckhand-engine/deckhand/internal/linux/raw"
)

// setAttributes sets what execve hands on to the command: labels, personality, where its memory comes from.
func setAttributes(c *child) error {
	for _, l := range c.plan.Labels {
		if err := c.label(l); err != nil {
			return fail("set the label "+l.Value, err)
		}
	}
	if p := c.plan.Personality; p != 0 {
		if _, _, e := syscall.RawSyscall(syscall.SYS_PERSONALITY, uintptr(p-1), 0, 0); e != 0 {
			return fail("set the personality", e)
		}
	}
	if c.plan.MemoryMode == 0 {
		return nil
	}
	nodes := c.plan.MemoryNodes
	bits := uintptr(len(nodes)) * 64
	if bits > 0 {
		bits++ // the kernel takes one for the end
	}
	_, _, e := syscall.RawSyscall(syscall.SYS_SET_MEMPOLICY, uintptr(c.plan.MemoryMode-1), uintptr(unsafe.Pointer(unsafe.SliceData(nodes))), bits)
	if e != 0 {
		return fail("set linux.memoryPolicy", e)
	}
	return nil
}

// label writes an attribute of this thread, on procfs and nowhere else (CVE-2019-16884).
func (c *child) label(l Pair) error {
	fd, err := raw.Openat2(c.root, "proc/thread-self/"+l.Key, syscall.O_WRONLY, 0, inRoot)
	if err != nil {
		return err
	}
	if err := checkProc(fd); err != nil {
		return err
	}
	if _, err := syscall.Write(fd, []byte(l.Value)); err != nil {
		return err
	}
	return syscall.Close(fd)
}
