package raw

import (
	"syscall"
	"unsafe"
)

// words are what execve takes.
type words struct {
	path       *byte
	argv, envv **byte
}

// Execve loads a filter, unless it is nil, and executes a path. loading is the filter's error; then nothing was
// executed.
//
// Nothing of Go's runtime comes between the two. It would on occasion: a thread that is to be preempted asks for futex
// or rt_sigreturn, and the filter may allow neither.
func Execve(f *Filter, path *byte, argv, envv []*byte) (loading, executing error) {
	if f == nil {
		return nil, errno(execve(&words{path, &argv[0], &envv[0]}))
	}
	if err := ignorePreemption(); err != nil {
		return err, nil
	}
	loaded, e := loadExecve(f.prog(), f, &words{path, &argv[0], &envv[0]})
	if !loaded {
		return errno(e), nil
	}
	return nil, errno(e)
}

// Execveat is [Execve] of the file that is open as fd.
func Execveat(f *Filter, fd int, argv, envv []*byte) (loading, executing error) {
	w := &words{new(byte), &argv[0], &envv[0]}
	if f == nil {
		return nil, errno(execveat(fd, w))
	}
	if err := ignorePreemption(); err != nil {
		return err, nil
	}
	loaded, e := loadExecveat(f.prog(), f, fd, w)
	if !loaded {
		return errno(e), nil
	}
	return nil, errno(e)
}

// ignorePreemption takes away the handler of the signal by which Go's runtime preempts: to return from a handler is a
// system call too. Without one the signal does nothing, and the runtime waits until it is called.
func ignorePreemption() error {
	var byDefault [4]uint64 // struct sigaction
	_, _, e := syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(syscall.SIGURG), uintptr(unsafe.Pointer(&byDefault)), 0, 8, 0, 0)
	return errno(e)
}

// The functions below are nosplit: a function that looks whether its stack suffices may be preempted there.

//go:nosplit
func loadExecve(prog *sockFprog, f *Filter, w *words) (loaded bool, e syscall.Errno) {
	if e := load(prog, f.Flags, f.Listener); e != 0 {
		return false, e
	}
	return true, execve(w)
}

//go:nosplit
func loadExecveat(prog *sockFprog, f *Filter, fd int, w *words) (loaded bool, e syscall.Errno) {
	if e := load(prog, f.Flags, f.Listener); e != 0 {
		return false, e
	}
	return true, execveat(fd, w)
}

//go:nosplit
func execve(w *words) syscall.Errno {
	_, _, e := syscall.RawSyscall(syscall.SYS_EXECVE, uintptr(unsafe.Pointer(w.path)), uintptr(unsafe.Pointer(w.argv)), uintptr(unsafe.Pointer(w.envv)))
	return e
}

//go:nosplit
func execveat(fd int, w *words) syscall.Errno {
	_, _, e := syscall.RawSyscall6(sysExecveat, uintptr(fd), uintptr(unsafe.Pointer(w.path)), uintptr(unsafe.Pointer(w.argv)),
		uintptr(unsafe.Pointer(w.envv)), AT_EMPTY_PATH, 0)
	return e
}
