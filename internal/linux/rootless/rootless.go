// Package rootless lets an ordinary user work as root of a user namespace of his own.
//
// Enter replaces the program by itself, inside: the process keeps its pid, parent, terminal, process
// group and open files, so that signals, job control and exit status need nobody to pass them on.
// A Go program cannot join a user namespace (that takes a single thread), so a few instructions of
// ours run in between: execve to them, join, execve back (see joiner).
//
// The package decides nothing about containers; it makes the place they are started from.
package rootless

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/moby/sys/user"
)

// allIDs is the length of the initial user namespace's map.
const allIDs = 1<<32 - 1

// Enter re-executes the program as root of a new user and mount namespace: the caller's own id as 0
// and his subordinate ids from 1 up, or his own id alone where there are none, which is noted on
// standard error with the fix. It returns nil at once for real root and inside, and otherwise only
// with an error; the error says which setting forbids user namespaces.
func Enter() error {
	if os.Geteuid() == 0 {
		return nil
	}
	return enter(os.Stderr)
}

// EnterOf is Enter into the namespace that another of the user's programs made for itself, so that containers of both
// can share theirs.
func EnterOf(pid int) error {
	if os.Geteuid() == 0 {
		return nil
	}
	return enterBy(func(*os.File) (*os.File, error) { return namespaceOf(pid) })
}

func enter(notes io.Writer) error {
	own, err := lookup(os.Geteuid(), os.Getegid())
	if err != nil {
		return err
	}
	return enterBy(func(code *os.File) (*os.File, error) { return own.namespace(code, notes) })
}

// enterBy re-executes the program in the namespace that open gives, to which the joiner is passed. It comes back only
// with an error.
func enterBy(open func(code *os.File) (*os.File, error)) error {
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find own executable: %w", err)
	}
	code, err := joiner()
	if err != nil {
		return err
	}
	defer func() { _ = code.Close() }() // only to be executed
	ns, err := open(code)
	if err != nil {
		return err
	}
	defer func() { _ = ns.Close() }()                                  // read only
	return fmt.Errorf("enter user namespace: %w", join(code, ns, exe)) // came back: it failed
}

// Inside reports whether the process is root of a user namespace that does not have every id:
// one made by Enter, or by somebody else for the same purpose.
func Inside() bool { return os.Geteuid() == 0 && IDCount() < allIDs }

// SingleID reports whether that namespace maps one id only.
func SingleID() bool { return Inside() && IDCount() == 1 }

// IDCount is how many ids, counted from 0 without a gap, are both a uid and a gid here:
// 4294967295 in the initial user namespace.
func IDCount() uint32 { return idCount() }

// idCount cannot change during a process's life: Enter makes a new program of it.
var idCount = sync.OnceValue(func() uint32 {
	uids, errUID := mapped("/proc/self/uid_map")
	gids, errGID := mapped("/proc/self/gid_map")
	if errors.Join(errUID, errGID) != nil {
		return allIDs // no user namespaces in this kernel
	}
	return min(uids, gids)
})

// mapped is the length of a map's part that starts at 0.
func mapped(file string) (uint32, error) {
	extents, err := readMap(file)
	if err != nil {
		return 0, err
	}
	return contiguous(extents), nil
}

func readMap(file string) ([]user.IDMap, error) {
	extents, err := user.ParseIDMapFile(file)
	if err != nil {
		return nil, fmt.Errorf("read id map: %w", err)
	}
	return extents, nil
}

func contiguous(extents []user.IDMap) uint32 {
	var n int64
	for again := true; again; {
		again = false
		for _, e := range extents { // at most 340, hardly ever more than two
			if e.ID <= n && e.ID+e.Count > n {
				n, again = e.ID+e.Count, true
			}
		}
	}
	return uint32(min(n, allIDs))
}

// join replaces the program by the joiner, which replaces itself by the program inside the namespace.
// It returns only if the first of these fails.
func join(code, ns *os.File, exe string) error {
	// a descriptor that execve does not close; the joiner does
	fd, err := unix.FcntlInt(ns.Fd(), unix.F_DUPFD, 3)
	if err != nil {
		return fmt.Errorf("duplicate namespace descriptor: %w", err)
	}
	defer func() { _ = unix.Close(fd) }()
	control, err := joinOrder(fd)
	if err != nil {
		return err
	}
	argv := append([]string{control, exe}, os.Args...)
	return unix.Exec(procFD(code), argv, os.Environ())
}
