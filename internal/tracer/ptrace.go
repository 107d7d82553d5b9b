package tracer

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	seizeOptions = unix.PTRACE_O_EXITKILL | unix.PTRACE_O_TRACESECCOMP | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEFORK |
		unix.PTRACE_O_TRACEVFORK | unix.PTRACE_O_TRACEEXEC | unix.PTRACE_O_TRACESYSGOOD

	eventStop   = 128 // PTRACE_EVENT_STOP
	stopSyscall = int32(unix.SIGTRAP) | 0x80

	// Codes of a child's siginfo.
	cldExited  = 1
	cldKilled  = 2
	cldDumped  = 3
	cldTrapped = 4

	// The stops and the ends of this thread's tracees, and of nobody else's: tracees count in any case, and the
	// program's other children, some of which may be this very thread's, are no "clone children" (wait(2)). They
	// are left where they are: a stop is over when its task is resumed, and the end of a container's first process
	// is for its parent.
	waitOptions = unix.WEXITED | unix.WSTOPPED | unix.WNOWAIT | unix.WCLONE | unix.WNOTHREAD
)

// ptrace makes the call. Requests that want an address of ours take it by pointer.
func ptrace(request, tid int, addr uintptr, data unsafe.Pointer) unix.Errno {
	_, _, errno := unix.RawSyscall6(unix.SYS_PTRACE, uintptr(request), uintptr(tid), addr, uintptr(data), 0, 0)
	return errno
}

// ptraceValue is ptrace for requests that take a number.
func ptraceValue(request, tid int, addr, data uintptr) unix.Errno {
	_, _, errno := unix.RawSyscall6(unix.SYS_PTRACE, uintptr(request), uintptr(tid), addr, data, 0, 0)
	return errno
}

// syscallInfo is the kernel's struct ptrace_syscall_info as a stop at a seccomp filter fills it.
type syscallInfo struct {
	op     uint8
	_      [3]uint8
	arch   uint32
	ip, sp uint64
	nr     uint64
	args   [6]uint64
	data   uint32 // SECCOMP_RET_DATA
	_      uint32
}

// result reads the same memory as a stop at a call's end fills it.
func (i *syscallInfo) result() (value int64, failed bool) {
	return int64(i.nr), byte(i.args[0]) != 0 //nolint:gosec // that is its type there
}

func (i *syscallInfo) read(tid int) unix.Errno {
	return ptrace(unix.PTRACE_GET_SYSCALL_INFO, tid, unsafe.Sizeof(*i), unsafe.Pointer(i)) //nolint:gosec // what the kernel takes
}

// eventMessage reads what a stop for an event has to say.
func eventMessage(tid int, message *uint) unix.Errno {
	return ptrace(unix.PTRACE_GETEVENTMSG, tid, 0, unsafe.Pointer(message)) //nolint:gosec // what the kernel takes
}

// change is the kernel's siginfo_t of a child.
type change struct {
	signo, errno, code int32
	_                  int32
	pid                int32
	uid                uint32
	status             int32
	_                  [100]byte
}

// readSignal reads what is known of the signal that a task has stopped for.
func (c *change) readSignal(tid int) unix.Errno {
	return ptrace(unix.PTRACE_GETSIGINFO, tid, 0, unsafe.Pointer(c)) //nolint:gosec // what the kernel takes
}

// wait looks at a change of state of a tracee of the calling thread: of any (tid 0), or of one, without
// waiting. pid 0: there is none.
func (c *change) wait(tid int) unix.Errno {
	which, options := uintptr(unix.P_ALL), uintptr(waitOptions)
	if tid != 0 {
		which, options = unix.P_PID, waitOptions|unix.WNOHANG
	}
	*c = change{}
	_, _, errno := unix.Syscall6(unix.SYS_WAITID, which, uintptr(tid), uintptr(unsafe.Pointer(c)), options, 0, 0) //nolint:gosec // what the kernel takes
	return errno
}

// collect takes note of a tracee's stop. After execve by another thread than the first, the kernel refuses all
// requests before that, since who asks may not know whom it is about.
func collect(tid int) {
	_, _, _ = unix.RawSyscall6(unix.SYS_WAITID, unix.P_PID, uintptr(tid), 0, unix.WSTOPPED|unix.WALL|unix.WNOTHREAD|unix.WNOHANG, 0, 0)
}

// reap ends the waiting for a tracee that has ended. Its parent hears of it then.
func reap(tid int) {
	_, _ = unix.Wait4(tid, nil, unix.WALL|unix.WNOTHREAD|unix.WNOHANG, nil) // it is a zombie, or gone
}

// signalAction is the kernel's struct sigaction.
type signalAction struct {
	handler  uintptr
	flags    uint64
	restorer uintptr
	mask     uint64
}

// quietStops has the kernel send this program no SIGCHLD for a child that stops, as Go's runtime would otherwise
// have to handle one for each system call of each tracee. Nothing in Go looks at them.
func quietStops() error {
	var a signalAction
	if _, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(unix.SIGCHLD), 0, uintptr(unsafe.Pointer(&a)), 8, 0, 0); errno != 0 { //nolint:gosec // what the kernel takes
		return errno
	}
	const noChildStop = 1 // SA_NOCLDSTOP
	a.flags |= noChildStop
	if _, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(unix.SIGCHLD), uintptr(unsafe.Pointer(&a)), 0, 8, 0, 0); errno != 0 { //nolint:gosec // what the kernel takes
		return errno
	}
	return nil
}
