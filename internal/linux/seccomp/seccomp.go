// Package seccomp compiles OCI and Docker seccomp profiles to classic BPF, in pure Go, for the
// architecture it runs on.
//
// What a profile means: a syscall's rules are tried in the profile's order and the first whose
// conditions all hold decides; where none does, the default action. A rule that compares one
// argument more than once holds when any of its comparisons does, as in runc. Names the
// architecture does not have are passed over, since profiles list every architecture's. Syscalls
// of other ABIs (32-bit, x32) fail with ENOSYS unless the profile's architectures name them, and so
// do those newer than any the profile names where its default action refuses: programs then fall
// back to older ones.
//
// The package holds no policy of its own; the default profile is Docker's.
package seccomp

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

//go:generate go run gen_syscalls.go

// Program is a compiled filter.
type Program struct {
	Filter []unix.SockFilter
	Flags  uint // SECCOMP_FILTER_FLAG_*
	// Notify is set where calls are put to a supervisor: seccomp(2) then returns the descriptor to hear them by.
	Notify bool
	// NoExec is set where execve is refused whatever its arguments: after Load nothing can be started.
	NoExec bool
}

// Load installs the filter on the calling OS thread; it cannot be taken off again. The thread needs
// no_new_privs or CAP_SYS_ADMIN (else EACCES). It makes one raw syscall and does not allocate, so
// that it can be the last step before execve.
func (p *Program) Load() error {
	if len(p.Filter) == 0 || len(p.Filter) > maxInstructions || p.Notify {
		return unix.EINVAL // a listener would be lost
	}
	prog := unix.SockFprog{Len: uint16(len(p.Filter)), Filter: &p.Filter[0]} //nolint:gosec // checked above
	_, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, uintptr(p.Flags),
		uintptr(unsafe.Pointer(&prog))) //nolint:gosec // x/sys has no wrapper
	runtime.KeepAlive(p)
	if errno != 0 {
		return errno
	}
	return nil
}

// A ProfileError is a profile that cannot be used: which entry, and what is wrong with it.
type ProfileError struct {
	Where string // "syscalls[3] (ptrace)" or "defaultAction"
	What  string // `unknown action "SCMP_ACT_FOO"`
}

// Error is "seccomp profile: WHERE: WHAT".
func (e *ProfileError) Error() string {
	return fmt.Sprintf("seccomp profile: %s: %s", e.Where, e.What)
}
