package bundle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/linux/cgroup"
	"github.com/deckhand-engine/deckhand/internal/runtime"
)

// ExecOptions describe a further process in a container.
type ExecOptions struct {
	Process       *specs.Process
	Stdio         runtime.Stdio
	ConsoleSocket string // as in Options
	PidFile       string
	ExtraFiles    []*os.File
	Attached      bool // ties the process's life to the caller's
	IgnorePaused  bool // in a paused container it waits until that is resumed
}

// Exec starts a process in a container.
func (c *Container) Exec(ctx context.Context, o *ExecOptions) (*runtime.Process, error) {
	if err := c.checkExec(o); err != nil {
		return nil, err
	}
	spec, err := c.Spec()
	if err != nil {
		return nil, err
	}
	console, err := openConsole(o.ConsoleSocket, o.Process)
	if err != nil {
		return nil, err
	}
	defer console.close()
	p, err := c.exec(ctx, spec, o)
	if err != nil {
		return nil, err
	}
	if console != nil {
		err = console.send(p.Console)
	}
	if err == nil {
		err = WritePidFile(o.PidFile, p.Pid)
	}
	if err != nil {
		_ = p.Signal(unix.SIGKILL) // it may have ended
		_, _ = p.Wait()            // the error before is the one to report
		return nil, err
	}
	return p, nil
}

func (c *Container) checkExec(o *ExecOptions) error {
	switch status := c.Status(); {
	case status == specs.StateStopped:
		return errors.New("cannot exec in a container that has stopped")
	case status == specs.StateCreating:
		return errors.New("cannot exec in a container that is being created")
	case status == StatusPaused && !o.IgnorePaused:
		return errors.New("cannot exec in a paused container (use --ignore-paused to override)")
	}
	return nil
}

func (c *Container) exec(ctx context.Context, spec *specs.Spec, o *ExecOptions) (*runtime.Process, error) {
	group, err := c.openCgroup()
	if err != nil {
		return nil, err
	}
	eo := runtime.ExecOptions{
		Pid: c.record.Process.Pid, StartTicks: c.record.Process.StartTicks, Spec: spec, Process: o.Process, Stdio: o.Stdio,
		Outlive: !o.Attached, ExtraFiles: o.ExtraFiles, Warn: c.root.warnOf,
	}
	if group == nil {
		group = &cgroup.Group{}
	}
	defer func() { _ = group.Close() }() // a directory only read from
	eo.Cgroup, eo.Enter = group.Dir, group.Enter
	eo.HookState = func(int, specs.ContainerState) ([]byte, error) { return json.Marshal(c.State()) }
	eo.Resolve = func(root *os.File, p *specs.Process) error {
		setHome(root, p)
		return nil
	}
	p, err := runtime.Exec(ctx, eo)
	if errors.Is(err, os.ErrProcessDone) {
		return nil, fmt.Errorf("%w: %w", ErrNotRunning, err)
	}
	return p, err
}
