package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/linux/cgroup"
	"github.com/deckhand-engine/deckhand/internal/runtime"
)

// Limits are what a container's cgroup holds it to, and where that group is. The zero value limits nothing.
type Limits struct {
	Resources    *specs.LinuxResources `json:"resources,omitempty"`
	CgroupParent string                `json:"cgroupParent,omitempty"` // "": deckhand, which is ours
}

// cgroupsPath is the path of a container's group, as config.json has it.
func (l Limits) cgroupsPath(id string) string {
	parent := l.CgroupParent
	if parent == "" {
		parent = "deckhand"
	}
	return filepath.Join("/", parent, id)
}

// memory reports whether memory is limited.
func (l Limits) memory() bool { return l.Resources != nil && l.Resources.Memory != nil }

// path is where package cgroup makes it: an ordinary user's own groups are not at the top.
func (l Limits) path(id string) string {
	if l.CgroupParent == "" {
		return id
	}
	return l.cgroupsPath(id)
}

// makeGroup makes a container's group; without limits, one that costs nothing and may be none.
func (l Limits) makeGroup(id string) (*cgroup.Group, error) {
	var g *cgroup.Group
	var err error
	if l.Resources == nil && l.CgroupParent == "" {
		g, err = cgroup.New(id)
	} else {
		first, _ := cgroup.Starting(l.Resources)
		g, err = cgroup.Make(l.path(id), first)
	}
	if err != nil {
		return nil, fmt.Errorf("make cgroup: %w", err)
	}
	return g, nil
}

// run starts the process. One that may have few others waits at a gate while the limit that let it start is lowered.
func (r *Running) run(ctx context.Context, o runtime.StartOptions, s *Sandbox) (err error) {
	_, then := cgroup.Starting(r.limits.Resources)
	if then == nil {
		r.Process, err = runtime.Start(ctx, o)
		return r.tooLow(err)
	}
	if o.Init {
		return fmt.Errorf("a limit of %d processes is too low for an init, which has threads of its own: at least %d", *then.Pids.Limit, cgroup.StartPids)
	}
	o.Gate = filepath.Join(s.UpperBase, "gate")
	if err := os.Remove(o.Gate); err != nil && !errors.Is(err, fs.ErrNotExist) { // of a start that was killed
		return fmt.Errorf("make gate: %w", err)
	}
	if r.Process, err = runtime.Start(ctx, o); err != nil {
		return r.tooLow(err)
	}
	if err = r.group.Update(then); err == nil {
		err = runtime.OpenGate(ctx, o.Gate)
	}
	if err != nil {
		r.abandon(o.Gate)
	}
	return err
}

// abandon ends a process that waits at its gate.
func (r *Running) abandon(gate string) {
	_ = r.Signal(unix.SIGKILL) // gone already is as good
	_, _ = r.Process.Wait()    // the error that made us abandon it tells more
	_ = os.Remove(gate)        // as above
	if r.Console != nil {
		_ = r.Console.Close() // a terminal nobody uses
	}
}

// findGroup finds the group of a container; fs.ErrNotExist where there is none.
func (l Limits) findGroup(id string) (*cgroup.Group, error) { return cgroup.Find(l.path(id)) }

// ErrMemoryTooLow is returned where the kernel killed what was to become the container.
var ErrMemoryTooLow = errors.New("the memory limit is too low to start anything")

// tooLow explains a failed start; nil stays nil.
func (r *Running) tooLow(err error) error {
	if err == nil {
		return nil
	}
	if r.lookForOOM(); r.oomKilled {
		return fmt.Errorf("%w (%w)", ErrMemoryTooLow, err)
	}
	return err
}

// OOMKilled reports whether the kernel killed a process of the container for want of memory. It is known when Wait has
// returned.
func (r *Running) OOMKilled() bool { return r.oomKilled }

// lookForOOM is for when the first process has ended and the group is still there. What cannot be read was not seen.
func (r *Running) lookForOOM() {
	if r.limits.memory() {
		r.oomKilled, _ = r.group.OOMKilled()
	}
}
