package mount

import (
	"fmt"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// mountPoint is the only directory of the namespace of inNamespace.
const mountPoint = "/layers"

// namespace is a thread with a mount namespace of its own, which holds an empty tmpfs and pins nothing
// of the host.
//
// The thread stays. Were it to end with its goroutine, the kernel would take it for the death of the
// parent of each process it ever started, a container among them.
var namespace struct {
	once sync.Once
	jobs chan func()
	err  error
}

// inNamespace calls fn on that thread. What fn mounts, it unmounts.
func inNamespace(fn func() error) error {
	namespace.once.Do(func() {
		namespace.jobs = make(chan func())
		ready := make(chan error, 1)
		go onOwnThread(func() {
			ready <- enterNamespace()
			for job := range namespace.jobs {
				job()
			}
		})
		namespace.err = <-ready
	})
	if namespace.err != nil {
		return namespace.err
	}
	result := make(chan error, 1)
	namespace.jobs <- func() { result <- fn() }
	return <-result
}

// onOwnThread calls fn, which does not return, on a thread that runs nothing else. It is never the main
// thread, whose attributes /proc/self shows.
func onOwnThread(fn func()) {
	runtime.LockOSThread()
	if unix.Gettid() != unix.Getpid() {
		fn()
	}
	started := make(chan struct{})
	go func() {
		runtime.LockOSThread() // another thread: this one is taken
		close(started)
		fn()
	}()
	<-started
	runtime.UnlockOSThread()
}

func enterNamespace() error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("unshare mount namespace: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := enterTmpfs("/"); err != nil {
		return err
	}
	// With the same directory for both, the old root ends on top of the new one.
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("change root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("detach the old root: %w", err)
	}
	if err := unix.Chdir("/"); err != nil {
		return fmt.Errorf("change directory: %w", err)
	}
	return os.Mkdir(mountPoint, 0o700)
}

// enterTmpfs attaches a new tmpfs to dir and makes it the working directory.
func enterTmpfs(dir string) error {
	m, err := NewFilesystem("tmpfs", unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOSUID, [2]string{"mode", "700"})
	if err != nil {
		return err
	}
	defer func() { _ = m.Close() }() // stays attached
	if err := attach(m, dir); err != nil {
		return err
	}
	return os.NewSyscallError("fchdir", unix.Fchdir(int(m.Fd())))
}

func attach(m *os.File, dir string) error {
	if err := unix.MoveMount(int(m.Fd()), "", unix.AT_FDCWD, dir, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return &os.PathError{Op: "attach", Path: m.Name(), Err: err}
	}
	return nil
}
