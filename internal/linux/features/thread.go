package features

import (
	"errors"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// onThread calls fn on an OS thread that ends afterwards, so that fn may change what threads have of
// their own: a namespace, credentials, a seccomp filter. It is never the main thread, whose
// attributes /proc/self shows.
func onThread(fn func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() != unix.Getpid() {
			result <- fn()
			return // still locked: the thread ends with its goroutine
		}
		result <- onThread(fn) // keeps the main thread busy meanwhile
		runtime.UnlockOSThread()
	}()
	return <-result
}

// tryFork makes a process with the attributes and has it execute a program that does not exist: when
// that is what fails, the kernel granted the rest.
func tryFork(attr *syscall.SysProcAttr) error {
	_, _, err := syscall.StartProcess("/proc/self/deckhand-no-such-program", nil, &syscall.ProcAttr{Sys: attr})
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err
}
