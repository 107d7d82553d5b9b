package mount

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// onThread calls fn on an OS thread that ends afterwards, with the namespace fn gave it. It is never the
// main thread, which does not end.
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
