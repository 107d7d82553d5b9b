package bundle

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/linux/cgroup"
	"github.com/deckhand-engine/deckhand/internal/runtime"
)

// cgroupPath is linux.cgroupsPath, or a place of ours.
func cgroupPath(id string, s *specs.Spec) string {
	if s.Linux.CgroupsPath != "" {
		return s.Linux.CgroupsPath
	}
	return "oci-" + id
}

// makeCgroup makes the container's cgroup. The record says where before it is there.
func (c *Container) makeCgroup() (*cgroup.Group, error) {
	first, _ := cgroup.Starting(resources(c.spec))
	g, err := cgroup.Make(c.record.Cgroup, first)
	if errors.Is(err, cgroup.ErrNotEmpty) {
		c.record.Cgroup = "" // not ours to remove
	}
	return g, err
}

// launch starts the first process. One that may have few others waits at a gate in any case, while the limit that let it
// start is lowered.
func (c *Container) launch(ctx context.Context, so runtime.StartOptions, g *cgroup.Group) (*runtime.Process, error) {
	_, then := cgroup.Starting(resources(c.spec))
	gate := so.Gate
	if then != nil {
		so.Gate = c.path(gateName)
	}
	p, err := runtime.Start(ctx, so)
	if err != nil || then == nil {
		return p, err
	}
	if err := g.Update(then); err != nil {
		return nil, err
	}
	if gate == "" {
		err = runtime.OpenGate(ctx, so.Gate)
	}
	return p, err
}

// openCgroup finds it again; nil where there is none.
func (c *Container) openCgroup() (*cgroup.Group, error) {
	if c.record.Cgroup == "" {
		return nil, nil //nolint:nilnil // no cgroup is not an error
	}
	g, err := cgroup.Find(c.record.Cgroup)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil, nil //nolint:nilnil // removed, or could not be made
	}
	return g, err
}

// withCgroup calls f with the container's cgroup, for what cannot be done without.
func (c *Container) withCgroup(what string, f func(*cgroup.Group) error) error {
	g, err := c.openCgroup()
	if err != nil {
		return err
	}
	if g == nil || g.Path == "" {
		return fmt.Errorf("%s container %s: it has no cgroup", what, c.record.ID)
	}
	defer func() { _ = g.Close() }() // a directory only read from
	return f(g)
}

// frozen reports whether the container is paused.
func (c *Container) frozen() bool {
	g, err := c.openCgroup()
	if g == nil || err != nil {
		return false
	}
	defer func() { _ = g.Close() }() // a directory only read from
	frozen, err := g.Frozen()
	return frozen && err == nil
}

// removeCgroup ends what is left in the container's cgroup and removes it.
func (c *Container) removeCgroup() error {
	g, err := c.openCgroup()
	if g == nil || err != nil {
		return err
	}
	return errors.Join(g.Kill(), g.Remove())
}

// Pids are the container's processes, as numbered here, in no order.
func (c *Container) Pids() (pids []int, err error) {
	err = c.withCgroup("list the processes of", func(g *cgroup.Group) error {
		pids, err = g.Pids()
		return err
	})
	return pids, err
}

// Pause stops every process of the container until Resume.
func (c *Container) Pause(ctx context.Context) error {
	if status := c.Status(); status != specs.StateRunning && status != specs.StateCreated {
		return fmt.Errorf("cannot pause a container that is %s: %w", status, ErrNotRunning)
	}
	return c.withCgroup("pause", func(g *cgroup.Group) error { return g.Freeze(ctx) })
}

// Resume lets them go on. ErrNotPaused where they do.
func (c *Container) Resume() error {
	if !c.frozen() {
		return ErrNotPaused
	}
	return c.withCgroup("resume", (*cgroup.Group).Thaw)
}

// Update changes the limits that are set in r, and no others.
func (c *Container) Update(ctx context.Context, r *specs.LinuxResources) error {
	l, err := c.lock(ctx)
	if err != nil {
		return err
	}
	defer l.release()
	if c.Status() == specs.StateStopped {
		return ErrNotRunning
	}
	return c.withCgroup("update", func(g *cgroup.Group) error { return g.Update(r) })
}

// KillAll signals every process of the container, also such as are left after the first has ended.
func (c *Container) KillAll(sig unix.Signal) error {
	return c.withCgroup("signal", func(g *cgroup.Group) error {
		if sig == unix.SIGKILL {
			return g.Kill()
		}
		pids, err := g.Pids()
		if err != nil {
			return err
		}
		for _, pid := range pids {
			if err := signalMember(g, pid, sig); err != nil {
				return err
			}
		}
		return nil
	})
}

// signalMember signals a process if it is still one of the group's: its pid may be another's by now.
func signalMember(g *cgroup.Group, pid int, sig unix.Signal) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return ignoreGone(err)
	}
	defer func() { _ = unix.Close(fd) }()
	pids, err := g.Pids()
	if err != nil {
		return err
	}
	if !slices.Contains(pids, pid) {
		return nil
	}
	return ignoreGone(unix.PidfdSendSignal(fd, sig, nil, 0))
}

func ignoreGone(err error) error {
	if err == nil || errors.Is(err, unix.ESRCH) {
		return nil
	}
	return fmt.Errorf("send signal: %w", err)
}
