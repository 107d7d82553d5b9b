package tracer

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

const sockTypeMask = 0xf // the rest of socket's type are flags

func (e *entry) socket() { e.s.Socket = socketName(e.fd(0), e.fd(1)&sockTypeMask) }

func (e *entry) connect() {
	length := min(int(uint32(e.args[2])), maxAddressBytes) //nolint:gosec // as the kernel reads it
	family, ok := e.address(e.w.mem.read(e.task.tid, e.args[1], length))
	e.s.partial = e.s.partial || !ok
	e.withFile(0, func(fd int) { e.s.Socket = nameOf(fd) })
	if e.s.Socket == "" && ok {
		e.s.Socket = socketName(family, -1)
	}
}

// address takes up a socket address. ok: it has a family.
func (e *entry) address(b []byte) (family int, ok bool) {
	a, ok := parseAddress(b)
	e.s.Address = a.text
	if a.path != "" {
		e.s.Path = e.w.absolute(e.task.tid, unix.AT_FDCWD, a.path)
		e.s.Address = "unix:" + e.s.Path
	}
	return a.family, ok
}

func (e *entry) bind() {
	e.connect()
	if e.s.Path != "" {
		e.s.Writes, e.s.Creates = true, true
	}
}

// listen: the address is the one that bind gave, or the kernel.
func (e *entry) listen() {
	e.withFile(0, func(fd int) {
		e.s.Socket = nameOf(fd)
		var b [maxAddressBytes]byte
		n := uint32(len(b))
		_, _, errno := unix.RawSyscall(unix.SYS_GETSOCKNAME, uintptr(fd), uintptr(unsafe.Pointer(&b)), uintptr(unsafe.Pointer(&n))) //nolint:gosec // what the kernel takes
		if errno == 0 {
			e.address(b[:min(n, maxAddressBytes)])
		}
	})
}

// descriptor says what is behind one, socket or file.
func (e *entry) descriptor() {
	path := e.w.file(e.task.tid, e.fd(0))
	if path != "" {
		if e.s.Path == "" {
			e.s.Path = path
		}
		return
	}
	e.withFile(0, func(fd int) { e.s.Socket = nameOf(fd) })
}

// withFile hands out a duplicate of a task's open file, if it can be had.
func (e *entry) withFile(arg int, do func(fd int)) {
	who := e.w.facts(e.task)
	pidfd, err := unix.PidfdOpen(who.PID, 0)
	if err != nil {
		return
	}
	defer closeFd(pidfd)
	fd, err := unix.PidfdGetfd(pidfd, e.fd(arg), 0)
	if err != nil {
		return
	}
	defer closeFd(fd)
	do(fd)
}

func closeFd(fd int) { _ = unix.Close(fd) } // a duplicate

func nameOf(fd int) string {
	family, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return "" // no socket
	}
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		kind = -1
	}
	return socketName(family, kind)
}
