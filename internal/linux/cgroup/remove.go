package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// removeTimeout is how long Remove waits for the last process to be reaped.
const removeTimeout = 2 * time.Second

// Remove removes it from every hierarchy and closes Dir; processes must be gone. A group that is gone is no error.
func (g *Group) Remove() error {
	defer func() { _ = g.Close() }() // a directory only read from
	if g.Path == "" {
		return nil
	}
	// The home goes last: it says where the others are.
	for _, m := range g.members {
		if m.dir == g.Path {
			continue
		}
		if err := removeGroup(m.dir); err != nil {
			return err
		}
		removeParents(m.dir, true)
	}
	err := removeGroup(g.Path)
	if err == nil {
		removeParents(g.Path, g.memberOf("freezer") != nil)
	}
	return err
}

// removeGroup removes a group and those below, and waits while processes end.
func removeGroup(path string) error {
	wait := 200 * time.Microsecond
	for waited := time.Duration(0); ; waited += wait {
		err := removeTree(path)
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if !errors.Is(err, unix.EBUSY) || waited > removeTimeout {
			return fmt.Errorf("remove cgroup: %w", err)
		}
		time.Sleep(wait)
		wait = min(2*wait, 50*time.Millisecond)
	}
}

// removeParents removes the empty groups above one of ours: version 1's group of all containers goes with the last of
// them, that of the unified tree stays. Groups that are not below ours are somebody else's.
func removeParents(dir string, v1 bool) {
	for strings.Contains(dir, "/"+parent+"/") {
		dir = filepath.Dir(dir)
		if filepath.Base(dir) == parent && !v1 || unix.Rmdir(dir) != nil {
			return
		}
	}
}

// removeTree removes a group and, where it has any, the groups below.
func removeTree(path string) error {
	err := rmdir(path)
	if err == nil || !errors.Is(err, unix.EBUSY) {
		return err
	}
	entries, readErr := os.ReadDir(path)
	if readErr != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			_ = removeTree(filepath.Join(path, e.Name())) // the error of path itself tells
		}
	}
	return rmdir(path)
}

// rmdir is os.Remove without the attempt to unlink first.
func rmdir(path string) error {
	if err := unix.Rmdir(path); err != nil {
		return &fs.PathError{Op: "rmdir", Path: path, Err: err}
	}
	return nil
}

// Sweep removes the empty groups of dead processes. It costs a readdir where there are none.
func Sweep() error {
	root := unifiedRoot()
	if root == "" {
		return sweepV1()
	}
	err := sweepIn(filepath.Join(root, parent))
	if unix.Access(root, unix.W_OK) == nil {
		return err
	}
	for _, base := range delegated(root).all() {
		err = errors.Join(err, sweepIn(filepath.Join(base, parent)))
	}
	return err
}

// sweepV1 is Sweep for hosts where homes are in the freezer's hierarchy.
func sweepV1() error {
	h, err := thisHost()
	if err != nil {
		return err
	}
	home, err := h.home()
	if err != nil {
		return nil //nolint:nilerr // nowhere, so nothing
	}
	return sweepIn(filepath.Join(home.dir, parent))
}

func sweepIn(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("sweep cgroups: %w", err)
	}
	for _, e := range entries {
		if e.IsDir() {
			sweepGroup(filepath.Join(dir, e.Name()))
		}
	}
	return nil
}

// sweepGroup removes a group that nobody holds and nobody is in.
func sweepGroup(path string) {
	g, err := open(path)
	if err != nil {
		return // gone, or not ours
	}
	defer func() { _ = g.Close() }() // a directory only read from
	if unix.Flock(int(g.handle.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		return
	}
	if pids, err := g.Pids(); err != nil || len(pids) > 0 {
		return
	}
	if g.recall() != nil {
		return
	}
	for _, m := range g.members {
		if m.dir != g.Path {
			_ = removeTree(m.dir) // one with processes in it stays
			removeParents(m.dir, true)
		}
	}
	_ = sweepIn(path) // a group below may be one that somebody makes just now
	if rmdir(path) == nil {
		removeParents(path, g.memberOf("freezer") != nil)
	}
}
