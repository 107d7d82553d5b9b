// Package cgroup makes and removes one cgroup a container, on v2 and hybrid hosts.
//
// The groups set no limits: they are there to find and to kill every process of a container, and to
// be the root of its cgroup namespace. Version 1 hierarchies are therefore left alone; a process is
// born into its group by CLONE_INTO_CGROUP and never moved.
package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// parent is the group that all containers' groups are in.
const parent = "deckhand"

// Group is a container's cgroup. With v2 (pure or hybrid) Dir is a file for CLONE_INTO_CGROUP.
type Group struct {
	Path string
	Dir  *os.File // nil where no v2 tree is writable
}

// New makes deckhand/<id>. Where no tree is writable (rootless without delegation) Path is "" and err
// nil. A group left by a dead process is taken over. The caller closes it by Remove or Close; until then, or
// until this process dies, Sweep leaves it alone.
func New(id string) (*Group, error) {
	path, err := pathOf(id)
	if err != nil || path == "" {
		return &Group{}, err
	}
	for {
		err = makeDir(path)
		if errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.EROFS) {
			return &Group{}, nil
		}
		if err != nil {
			return nil, fmt.Errorf("make cgroup: %w", err)
		}
		g, err := open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // swept between the two
		}
		if err != nil || g.hold() {
			return g, err
		}
		_ = g.Close() // a directory only read from
	}
}

// makeDir makes the group's directory, and the parent of all groups where it is missing.
func makeDir(path string) error {
	err := mkdir(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err = mkdir(filepath.Dir(path)); err == nil || errors.Is(err, fs.ErrExist) {
			err = mkdir(path)
		}
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

func mkdir(path string) error {
	return os.Mkdir(path, 0o755) //nolint:gosec // as all groups are: there is nothing secret in them
}

// hold locks the group for the life of this process. It reports false if Sweep removed it first.
func (g *Group) hold() bool {
	fd := int(g.Dir.Fd())
	// A Sweep holds the lock for a moment only; who holds it longer has the group in use, which is as good.
	for try := 0; unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) != nil; try++ {
		if try == 20 {
			return true
		}
		time.Sleep(200 * time.Microsecond)
	}
	var held, there unix.Stat_t
	if unix.Fstat(fd, &held) != nil || unix.Lstat(g.Path, &there) != nil {
		return false
	}
	return held.Ino == there.Ino
}

// Sweep removes the empty groups of dead processes. It costs a readdir where there are none.
func Sweep() error {
	path, err := pathOf("sweep")
	if err != nil || path == "" {
		return err
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("sweep cgroups: %w", err)
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		g, err := open(filepath.Join(filepath.Dir(path), e.Name()))
		if err != nil {
			continue // gone, or not ours
		}
		if unix.Flock(int(g.Dir.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			_ = removeTree(g.Path) // one with processes in it stays
		}
		_ = g.Close() // a directory only read from
	}
	return nil
}

// Open finds the group of id; fs.ErrNotExist where there is none.
func Open(id string) (*Group, error) {
	path, err := pathOf(id)
	if err != nil {
		return nil, err
	}
	if path == "" {
		return nil, fmt.Errorf("open cgroup of %s: %w", id, fs.ErrNotExist)
	}
	return open(path)
}

func open(path string) (*Group, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open cgroup", Path: path, Err: err}
	}
	return &Group{Path: path, Dir: os.NewFile(uintptr(fd), path)}, nil
}

// pathOf is the group's directory, "" on hosts without version 2.
func pathOf(id string) (string, error) {
	if id == "" || id == "." || id == ".." || strings.ContainsAny(id, "/\x00") {
		return "", fmt.Errorf("cgroup name %q is not a file name", id)
	}
	for _, root := range [...]string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		var st unix.Statfs_t
		if err := unix.Statfs(root, &st); err == nil && st.Type == unix.CGROUP2_SUPER_MAGIC {
			return filepath.Join(root, parent, id), nil
		}
	}
	return "", nil
}

// Close lets go of the group without removing it.
func (g *Group) Close() error {
	if g.Dir == nil {
		return nil
	}
	return g.Dir.Close()
}

// Kill ends every process in it (cgroup.kill), also in groups below.
func (g *Group) Kill() error {
	if g.Path == "" {
		return nil
	}
	err := writeFile(filepath.Join(g.Path, "cgroup.kill"), "1")
	switch {
	case errors.Is(err, fs.ErrNotExist): // before Linux 5.14, or the group is gone
		return g.killEach()
	case err != nil:
		return fmt.Errorf("kill cgroup: %w", err)
	}
	return nil
}

// killEach kills by pid until nothing is left; a group forks faster than we kill only for so long.
func (g *Group) killEach() error {
	for range 100 {
		b, err := os.ReadFile(filepath.Join(g.Path, "cgroup.procs"))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("kill cgroup: %w", err)
		}
		pids := strings.Fields(string(b))
		if len(pids) == 0 {
			return nil
		}
		for _, f := range pids {
			if pid, err := strconv.Atoi(f); err == nil && pid > 1 {
				_ = unix.Kill(pid, unix.SIGKILL) // gone already is as good
			}
		}
		time.Sleep(time.Millisecond)
	}
	return fmt.Errorf("kill cgroup %s: its processes do not end", g.Path)
}

// removeTimeout is how long Remove waits for the last process to be reaped.
const removeTimeout = 2 * time.Second

// Remove removes it and closes Dir; processes must be gone. A group that is gone is no error.
func (g *Group) Remove() error {
	_ = g.Close() // a directory only read from
	if g.Path == "" {
		return nil
	}
	wait := 200 * time.Microsecond
	for waited := time.Duration(0); ; waited += wait {
		err := removeTree(g.Path)
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

func writeFile(path, data string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(data)
	return errors.Join(err, f.Close())
}
