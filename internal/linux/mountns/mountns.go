// Package mountns runs a program in a mount namespace of its own, so that what it mounts is seen by nobody
// else and dies with it.
package mountns

import (
	"os"
	"runtime"
	"slices"
	"syscall"
)

// mark is the environment variable that says: this process has its own mount namespace. Its value is the
// namespace, so that a variable that leaked into some other process does not count.
const mark = "DECKHAND_MOUNTNS"

// Private reports whether this process was started by Exec.
func Private() bool {
	v := os.Getenv(mark)
	return v != "" && v == current()
}

// Exec replaces this process by the program at path, which runs in a new mount namespace: mounts of the
// host still arrive in it, its own never leave. It returns only with an error.
func Exec(path string, argv, env []string) error {
	runtime.LockOSThread() // never unlocked: on success the thread becomes the program
	if err := syscall.Unshare(syscall.CLONE_NEWNS); err != nil {
		return os.NewSyscallError("unshare mount namespace", err)
	}
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_SLAVE, ""); err != nil {
		return os.NewSyscallError("make mounts private", err)
	}
	env = append(slices.Clone(env), mark+"="+current())
	if err := syscall.Exec(path, argv, env); err != nil {
		return &os.PathError{Op: "execute", Path: path, Err: err}
	}
	return nil
}

// current names the calling thread's mount namespace.
func current() string {
	s, err := os.Readlink("/proc/thread-self/ns/mnt")
	if err != nil {
		return ""
	}
	return s
}
