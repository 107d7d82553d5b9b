// Package cgroup makes, limits, watches and removes the cgroups of containers, on version 2, version 1 and hybrid hosts.
//
// A container has one home: a group of the unified tree (of version 1's freezer on machines without one), in which all
// its processes are found, frozen and killed. A process is born into it by CLONE_INTO_CGROUP and never moved. A resource
// whose controller is bound to version 1 makes the container a member of that hierarchy as well; without such a resource
// none is touched, since joining one costs more than starting a container. The home remembers where else the container
// is a member, so that whoever clears up after a killed process finds everything.
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

// parent is the group that all containers' groups are in.
const parent = "deckhand"

// Group is a container's cgroup.
type Group struct {
	Path string   // the home's directory; "" for none
	Dir  *os.File // the home for CLONE_INTO_CGROUP; nil where it is none of version 2

	handle  *os.File // the home
	members []member // of version 1
	host    *host    // nil: this one
	fresh   bool     // it was made just now
}

// New makes deckhand/<id> without limits. Where no tree is writable (rootless without delegation) Path is "" and err
// nil, as on hosts without version 2. A group left by a dead process is taken over. The caller closes it by Remove or
// Close; until then, or until this process dies, Sweep leaves it alone.
func New(id string) (*Group, error) {
	path, err := pathOf(id)
	if err != nil || path == "" {
		return &Group{}, err
	}
	g, err := makeGroup(path)
	if forbidden(err) {
		return &Group{}, nil
	}
	return g, err
}

// forbidden reports whether a group cannot be made because it is not this user's to make.
func forbidden(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.EROFS)
}

// makeGroup makes and holds a home.
func makeGroup(path string) (*Group, error) {
	for {
		made, err := makeDir(path)
		if err != nil {
			return nil, fmt.Errorf("make cgroup: %w", err)
		}
		g, err := open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // swept between the two
		}
		if err != nil {
			return nil, err
		}
		if g.fresh = made; g.hold() {
			return g, nil
		}
		_ = g.Close() // a directory only read from
	}
}

// makeDir makes a group's directory, and those above where they are missing; made unless it was there.
func makeDir(path string) (made bool, err error) {
	const tries = 20 // somebody may remove an empty parent in between
	err = mkdir(path)
	for range tries {
		if !errors.Is(err, fs.ErrNotExist) || filepath.Dir(path) == path {
			break
		}
		if _, err = makeDir(filepath.Dir(path)); err != nil {
			return false, err
		}
		err = mkdir(path)
	}
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	return err == nil, err
}

func mkdir(path string) error {
	return os.Mkdir(path, 0o755) //nolint:gosec // as all groups are: there is nothing secret in them
}

// hold locks the group for the life of this process. It reports false if Sweep removed it first.
func (g *Group) hold() bool {
	fd := int(g.handle.Fd())
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

// Open finds the group deckhand/<id>; fs.ErrNotExist where there is none.
func Open(id string) (*Group, error) {
	if _, err := pathOf(id); err != nil {
		return nil, err
	}
	return Find(id)
}

func open(path string) (*Group, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open cgroup", Path: path, Err: err}
	}
	g := &Group{Path: path, handle: os.NewFile(uintptr(fd), path)}
	g.Dir = g.handle
	return g, nil
}

// pathOf is the group's directory, "" on hosts without version 2.
func pathOf(id string) (string, error) {
	if id == "" || id == "." || id == ".." || strings.ContainsAny(id, "/\x00") {
		return "", fmt.Errorf("cgroup name %q is not a file name", id)
	}
	root := unifiedRoot()
	if root == "" {
		return "", nil
	}
	return filepath.Join(root, parent, id), nil
}

// Close lets go of the group without removing it.
func (g *Group) Close() error {
	if g.handle == nil {
		return nil
	}
	return g.handle.Close()
}

func writeFile(path, data string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(data)
	return errors.Join(err, f.Close())
}
