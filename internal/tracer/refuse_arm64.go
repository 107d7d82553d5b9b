package tracer

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Register sets.
const (
	ntPrstatus   = 1
	ntSystemCall = 0x404
)

// refuse has a task that is stopped at its filter skip the call and get an error instead.
func refuse(tid int, errno unix.Errno) unix.Errno {
	none := int32(-1)
	iov := unix.Iovec{Base: (*byte)(unsafe.Pointer(&none)), Len: 4}
	if e := ptrace(unix.PTRACE_SETREGSET, tid, ntSystemCall, unsafe.Pointer(&iov)); e != 0 {
		return e
	}
	var regs unix.PtraceRegs
	iov = unix.Iovec{Base: (*byte)(unsafe.Pointer(&regs)), Len: uint64(unsafe.Sizeof(regs))}
	if e := ptrace(unix.PTRACE_GETREGSET, tid, ntPrstatus, unsafe.Pointer(&iov)); e != 0 {
		return e
	}
	regs.Regs[0] = -uint64(errno)
	iov = unix.Iovec{Base: (*byte)(unsafe.Pointer(&regs)), Len: uint64(unsafe.Sizeof(regs))}
	return ptrace(unix.PTRACE_SETREGSET, tid, ntPrstatus, unsafe.Pointer(&iov))
}
