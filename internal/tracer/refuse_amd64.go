package tracer

import "golang.org/x/sys/unix"

// Offsets in struct user.
const (
	userAX     = 10 * 8
	userOrigAX = 15 * 8
)

// refuse has a task that is stopped at its filter skip the call and get an error instead.
func refuse(tid int, errno unix.Errno) unix.Errno {
	if e := ptraceValue(unix.PTRACE_POKEUSR, tid, userOrigAX, ^uintptr(0)); e != 0 {
		return e
	}
	return ptraceValue(unix.PTRACE_POKEUSR, tid, userAX, -uintptr(errno))
}
