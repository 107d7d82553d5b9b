package cgroup

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strconv"
	"strings"
)

// ErrFrozen is returned by Enter for a group that is frozen: who enters it would stop.
var ErrFrozen = errors.New("the container is paused")

// Enter calls fork on a thread that is in the container's groups of version 1, so that the process it makes is born
// there. Into the group of version 2 it is born by CLONE_INTO_CGROUP, with Dir. For a group without members Enter only
// calls fork.
//
// What fork starts must be a child of its own thread; goroutines that it starts are elsewhere.
func (g *Group) Enter(fork func() error) error {
	if len(g.members) == 0 {
		return fork()
	}
	if frozen, err := g.freezesThreads(); err != nil || frozen {
		return errors.Join(err, ErrFrozen)
	}
	h, err := g.hostOf()
	if err != nil {
		return err
	}
	goruntime.LockOSThread()
	back, err := h.threadHomes(g.members)
	if err != nil {
		goruntime.UnlockOSThread()
		return err
	}
	err = enterTasks(g.members)
	if err == nil {
		err = fork()
	}
	// A thread that cannot go home stays locked, and ends with its goroutine.
	if backErr := enterTasks(back); backErr != nil {
		return errors.Join(err, fmt.Errorf("return to our own cgroups: %w", backErr))
	}
	goruntime.UnlockOSThread()
	return err
}

// freezesThreads reports whether a thread that enters would be frozen with the container.
func (g *Group) freezesThreads() (bool, error) {
	if g.memberOf("freezer") == nil {
		return false, nil
	}
	return g.Frozen()
}

// enterTasks moves the calling thread.
func enterTasks(groups []member) error {
	for _, m := range groups {
		if err := writeFile(filepath.Join(m.dir, "tasks"), "0"); err != nil {
			return fmt.Errorf("enter cgroup: %w", err)
		}
	}
	return nil
}

// threadHomes are the groups where the calling thread is in the members' hierarchies.
func (h *host) threadHomes(members []member) ([]member, error) {
	now, err := memberships("thread-self")
	if err != nil {
		return nil, err
	}
	var list []member
	for _, m := range members {
		v1 := h.v1Of(m.controllers[0])
		i := slices.IndexFunc(now, func(o membership) bool { return slices.Equal(o.controllers, m.controllers) })
		if i < 0 || v1 == nil {
			return nil, fmt.Errorf("find our own cgroup of %s: it is not in /proc/thread-self/cgroup", strings.Join(m.controllers, ","))
		}
		dir, err := v1.below(now[i].path)
		if err != nil {
			return nil, err
		}
		list = append(list, member{m.controllers, dir})
	}
	return list, nil
}

// Add moves a process with all its threads into every hierarchy of the container. It is dearer than Enter, and for
// processes that somebody else started.
func (g *Group) Add(pid int) error {
	if g.Dir != nil {
		if err := addTo(g.Path, pid); err != nil {
			return err
		}
	}
	for _, m := range g.members {
		if err := addTo(m.dir, pid); err != nil {
			return err
		}
	}
	return nil
}

func addTo(dir string, pid int) error {
	if err := writeFile(filepath.Join(dir, "cgroup.procs"), strconv.Itoa(pid)); err != nil {
		return fmt.Errorf("move process %d into its cgroup: %w", pid, err)
	}
	return nil
}

// move brings the processes of a live group into hierarchies that it has joined now, those that are forked in between
// too.
func (g *Group) move(added []member) error {
	for _, m := range added {
		if m.dir == g.Path {
			continue
		}
		if err := g.moveInto(m); err != nil {
			return err
		}
	}
	return nil
}

func (g *Group) moveInto(m member) error {
	const rounds = 1000
	for range rounds {
		all, err := g.Pids()
		if err != nil {
			return err
		}
		there, err := pidsIn(m.dir)
		if err != nil {
			return err
		}
		left := slices.DeleteFunc(all, func(pid int) bool { return slices.Contains(there, pid) })
		if len(left) == 0 {
			return nil
		}
		for _, pid := range left {
			if err := addTo(m.dir, pid); err != nil && stillThere(pid) {
				return err
			}
		}
	}
	return fmt.Errorf("move the processes of %s: they fork faster than they can be moved", g.Path)
}

func stillThere(pid int) bool {
	_, err := os.Stat("/proc/" + strconv.Itoa(pid))
	return err == nil
}
