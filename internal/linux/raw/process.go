package raw

import (
	"sync/atomic"
	"syscall"
	"unsafe"
)

// Options of prctl(2) and capset(2).
const (
	PR_SET_PDEATHSIG     = 1
	PR_SET_DUMPABLE      = 4
	PR_SET_KEEPCAPS      = 8
	PR_CAPBSET_READ      = 23
	PR_CAPBSET_DROP      = 24
	PR_SET_NO_NEW_PRIVS  = 38
	PR_CAP_AMBIENT       = 47
	PR_CAP_AMBIENT_RAISE = 2

	PR_CAP_AMBIENT_CLEAR_ALL = 4

	capVersion3 = 0x20080522

	seccompSetModeFilter = 1

	keyctlJoinSessionKeyring = 1
)

// Prctl calls prctl(2) for the calling thread.
func Prctl(option int, arg2, arg3 uintptr) error {
	_, _, e := syscall.RawSyscall6(syscall.SYS_PRCTL, uintptr(option), arg2, arg3, 0, 0, 0)
	return errno(e)
}

// Capset sets the calling thread's three capability sets, as bit masks.
func Capset(effective, permitted, inheritable uint64) error {
	hdr := struct{ version, pid uint32 }{version: capVersion3}
	data := [2]struct{ effective, permitted, inheritable uint32 }{
		{uint32(effective), uint32(permitted), uint32(inheritable)},
		{uint32(effective >> 32), uint32(permitted >> 32), uint32(inheritable >> 32)},
	}
	_, _, e := syscall.RawSyscall(syscall.SYS_CAPSET, uintptr(unsafe.Pointer(&hdr)), uintptr(unsafe.Pointer(&data)), 0)
	return errno(e)
}

// Setgroups sets the calling thread's supplementary groups.
func Setgroups(groups []uint32) error {
	_, _, e := syscall.RawSyscall(syscall.SYS_SETGROUPS, uintptr(len(groups)), uintptr(unsafe.Pointer(unsafe.SliceData(groups))), 0)
	return errno(e)
}

// Setresgid sets the calling thread's three group ids.
func Setresgid(gid uint32) error {
	_, _, e := syscall.RawSyscall(syscall.SYS_SETRESGID, uintptr(gid), uintptr(gid), uintptr(gid))
	return errno(e)
}

// Setresuid sets the calling thread's three user ids.
func Setresuid(uid uint32) error {
	_, _, e := syscall.RawSyscall(syscall.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid))
	return errno(e)
}

// Filter is a seccomp filter: BPF instructions of 8 bytes, and SECCOMP_FILTER_FLAG_*.
type Filter struct {
	Program []byte
	Flags   uint32
	// Listener is where the descriptor goes that a filter with SECCOMP_FILTER_FLAG_NEW_LISTENER gives: to
	// another thread, which the filter does not bind, before this one goes on. Nil: there is none.
	Listener *Listener
}

// Listener hands a descriptor from a thread under its filter to one that is not.
type Listener struct {
	fd   atomic.Int32 // the descriptor and 1
	done atomic.Int32
}

// Await waits for the descriptor; 0 is none yet.
func (l *Listener) Await() (fd int, ok bool) {
	n := l.fd.Load()
	return int(n) - 1, n != 0
}

// Done lets the thread go on.
func (l *Listener) Done() { l.done.Store(1) }

// sockFprog is the kernel's struct sock_fprog.
type sockFprog struct {
	length uint16
	filter *byte
}

func (f *Filter) prog() *sockFprog {
	return &sockFprog{uint16(len(f.Program) / 8), unsafe.SliceData(f.Program)}
}

// Load loads the filter on the calling thread.
func (f *Filter) Load() error { return errno(load(f.prog(), f.Flags, f.Listener)) }

// load waits without a system call for the listener to be taken over.
//
//go:nosplit
func load(prog *sockFprog, flags uint32, l *Listener) syscall.Errno {
	fd, _, e := syscall.RawSyscall(sysSeccomp, seccompSetModeFilter, uintptr(flags), uintptr(unsafe.Pointer(prog)))
	if e != 0 || l == nil {
		return e
	}
	l.fd.Store(int32(fd) + 1)
	for l.done.Load() == 0 {
	}
	return 0
}

// NewSessionKeyring gives the process a session keyring of its own.
func NewSessionKeyring() error {
	_, _, e := syscall.RawSyscall(syscall.SYS_KEYCTL, keyctlJoinSessionKeyring, 0, 0)
	return errno(e)
}

// Ioctl calls ioctl(2).
func Ioctl(fd int, request uintptr, arg unsafe.Pointer) (int, error) {
	r, _, e := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), request, uintptr(arg))
	return int(r), errno(e)
}
