package cgroup

import (
	"context"
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

// Pids are the processes of the container, also in groups below, in no order. They are of this process's pid namespace.
func (g *Group) Pids() ([]int, error) {
	if g.Path == "" {
		return nil, nil
	}
	return pidsIn(g.Path)
}

// pidsIn reads cgroup.procs of a group and of those below. A group that is gone has none.
func pidsIn(dir string) ([]int, error) {
	var pids []int
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() {
			var found []int
			found, err = procsOf(path)
			pids = append(pids, found...)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	return pids, nil
}

func procsOf(dir string) ([]int, error) {
	words, err := readWords(filepath.Join(dir, "cgroup.procs"))
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENODEV) { // a threaded group: those above list its processes; or gone
		return nil, nil
	}
	pids := make([]int, 0, len(words))
	for _, w := range words {
		if pid, err := strconv.Atoi(w); err == nil && pid > 0 { // 0 is a process of another pid namespace
			pids = append(pids, pid)
		}
	}
	return pids, err
}

// Kill ends every process in it, also in groups below and of a frozen one: by cgroup.kill where the kernel has that.
func (g *Group) Kill() error {
	if g.Path == "" {
		return nil
	}
	err := writeFile(filepath.Join(g.Path, "cgroup.kill"), "1")
	switch {
	case errors.Is(err, fs.ErrNotExist): // before Linux 5.14, version 1, or the group is gone
		return g.killEach()
	case err != nil:
		return fmt.Errorf("kill cgroup: %w", err)
	}
	return nil
}

// killEach kills by pid until nothing is left; a group forks faster than we kill only for so long.
func (g *Group) killEach() error {
	const rounds = 100
	for range rounds {
		pids, err := g.Pids()
		if err != nil || len(pids) == 0 {
			return err
		}
		for _, pid := range pids {
			if pid > 1 {
				_ = unix.Kill(pid, unix.SIGKILL) // gone already is as good
			}
		}
		if g.memberOf("freezer") != nil {
			_ = g.Thaw() // version 1's frozen processes do not die
		}
		time.Sleep(time.Millisecond)
	}
	return fmt.Errorf("kill cgroup %s: its processes do not end", g.Path)
}

// Freeze stops every process of the container and returns when all have stopped. When ctx ends before, they go on.
func (g *Group) Freeze(ctx context.Context) error {
	wait := 50 * time.Microsecond
	for {
		// Version 1's freezer needs to be told again where processes were forked meanwhile.
		if err := g.writeFreezer(true); err != nil {
			return fmt.Errorf("pause the container: %w", err)
		}
		if frozen, err := g.Frozen(); err != nil || frozen {
			return err
		}
		select {
		case <-ctx.Done(): // what is half frozen is not to stay so
			return errors.Join(fmt.Errorf("pause the container: %w", context.Cause(ctx)), g.Thaw())
		case <-time.After(wait):
		}
		wait = min(2*wait, 10*time.Millisecond)
	}
}

// Thaw has the processes of a frozen container go on; one that is not frozen is no error.
func (g *Group) Thaw() error {
	if err := g.writeFreezer(false); err != nil {
		return fmt.Errorf("resume the container: %w", err)
	}
	return nil
}

func (g *Group) writeFreezer(freeze bool) error {
	if g.Path == "" {
		return errors.New("it has no cgroup")
	}
	file, value := "cgroup.freeze", "0"
	if freeze {
		value = "1"
	}
	if g.Dir == nil {
		file, value = "freezer.state", "THAWED"
		if freeze {
			value = "FROZEN"
		}
	}
	return writeFile(filepath.Join(g.Path, file), value)
}

// Frozen reports whether every process of the container is stopped by Freeze.
func (g *Group) Frozen() (bool, error) {
	if g.Path == "" {
		return false, nil
	}
	if g.Dir == nil {
		b, err := os.ReadFile(filepath.Join(g.Path, "freezer.state"))
		return strings.TrimSpace(string(b)) == "FROZEN", gone(err)
	}
	b, err := os.ReadFile(filepath.Join(g.Path, "cgroup.events"))
	return strings.Contains(string(b), "frozen 1"), gone(err)
}

// gone takes a missing group for one that is not frozen.
func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) {
		return nil
	}
	return err
}
