package mount

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// CloneIn makes a detached copy of a mount that a process of another mount namespace sees at path. No symbolic link is
// followed: what is there is that process's to say. The caller closes it.
func CloneIn(pid int, path string) (*os.File, error) {
	target, err := os.Open("/proc/" + strconv.Itoa(pid) + "/ns/mnt")
	if err != nil {
		return nil, fmt.Errorf("open mount namespace: %w", err)
	}
	defer func() { _ = target.Close() }() // read only
	type result struct {
		file *os.File
		err  error
	}
	done := make(chan result, 1)
	go onOwnThread(func() {
		f, err := cloneVisiting(target, path)
		done <- result{f, err}
		select {} // see namespace: the thread stays
	})
	r := <-done
	return r.file, r.err
}

// cloneVisiting goes into a mount namespace and back, so that the thread does not keep it.
func cloneVisiting(target *os.File, path string) (*os.File, error) {
	home, err := os.Open("/proc/thread-self/ns/mnt")
	if err != nil {
		return nil, fmt.Errorf("open mount namespace: %w", err)
	}
	defer func() { _ = home.Close() }() // read only
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return nil, fmt.Errorf("unshare the working directory: %w", err)
	}
	if err := unix.Setns(int(target.Fd()), unix.CLONE_NEWNS); err != nil {
		return nil, fmt.Errorf("enter mount namespace: %w", err)
	}
	f, err := cloneHere(path)
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNS); back != nil {
		return nil, errors.Join(err, fmt.Errorf("leave mount namespace: %w", back))
	}
	return f, err
}

func cloneHere(path string) (*os.File, error) {
	at, err := unix.Openat2(unix.AT_FDCWD, path, &unix.OpenHow{
		Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_NO_SYMLINKS,
	})
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer closeFd(at)
	fd, err := unix.OpenTree(at, "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH)
	if err != nil {
		return nil, &os.PathError{Op: "bind", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}
