package bundle

import (
	"context"
	"fmt"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/linux/mount"
	"github.com/deckhand-engine/deckhand/internal/runtime"
)

// Options are what create and run have in common.
type Options struct {
	ID     string
	Bundle *Bundle
	Stdio  runtime.Stdio
	// ConsoleSocket is the path of a socket that takes the terminal's master. Who gives none, and has
	// process.terminal, is given the master.
	ConsoleSocket string
	PidFile       string     // "": none
	ExtraFiles    []*os.File // the command's descriptors from 3 on
	KeepKeyring   bool       // no session keyring of its own
	NoPivot       bool       // for roots that pivot_root cannot leave
	// Attached ties the container's life to the caller's.
	Attached bool
}

// Create makes a container that waits to be started: everything of config.json is done but for the
// command. On error nothing is left behind.
func (r *Root) Create(ctx context.Context, o *Options) (*Container, error) {
	c, l, err := r.claim(ctx, o.ID)
	if err != nil {
		return nil, err
	}
	defer l.release()
	_, err = c.make(ctx, o, c.path(gateName))
	return c, err
}

// make makes the container, with the lock held; with gate "" the command is started too.
func (c *Container) make(ctx context.Context, o *Options, gate string) (*runtime.Process, error) {
	p, err := c.start(ctx, o, gate)
	if err == nil {
		err = c.finish(o, p)
	}
	if err != nil {
		c.root.warn(c.destroy(context.WithoutCancel(ctx)))
		return nil, err
	}
	return p, nil
}

// start writes the record and starts the container's first process.
func (c *Container) start(ctx context.Context, o *Options, gate string) (*runtime.Process, error) {
	b := o.Bundle
	c.spec = b.Spec
	c.record = record{
		ID: o.ID, OCIVersion: b.Spec.Version, Bundle: b.Dir, Rootfs: b.rootfs(), Created: c.root.Now().UTC(),
		Owner: os.Geteuid(), Phase: phaseCreating, Cgroup: cgroupPath(o.ID, b.Spec), Annotations: b.Spec.Annotations,
	}
	if err := os.WriteFile(c.path(configName), b.raw, 0o600); err != nil {
		return nil, fmt.Errorf("write container: %w", err)
	}
	console, err := openConsole(o.ConsoleSocket, b.Spec.Process)
	if err != nil {
		return nil, err
	}
	defer console.close()
	if err := c.write(); err != nil {
		return nil, err
	}
	group, err := c.makeCgroup()
	if err != nil {
		return nil, err
	}
	defer func() { _ = group.Close() }() // a directory only read from
	so := runtime.StartOptions{
		ID: o.ID, Spec: b.Spec, Rootfs: c.openRoot, Attach: c.attach, Stdio: o.Stdio, Gate: gate, Outlive: !o.Attached,
		ExtraFiles: o.ExtraFiles, Cgroup: group.Dir, Enter: group.Enter, NoPivot: o.NoPivot, KeepKeyring: o.KeepKeyring,
		RuntimeHooks: c.runtimeHooks, HookState: c.hookState, StrictIDMap: true, Warn: c.root.warnOf,
	}
	p, err := c.launch(ctx, so, group)
	if err != nil {
		return nil, err
	}
	if console != nil {
		return p, console.send(p.Console)
	}
	return p, nil
}

// attach remembers the first process before it does anything, so that it is found should we be killed.
func (c *Container) attach(pid int) error {
	p, err := findProcess(pid)
	if err != nil {
		return err
	}
	c.record.Process = p
	return c.write()
}

// openRoot clones the root's mount. Cloned, it would pass on to the host what is mounted on it, were it
// shared. Device nodes that somebody left in it are no devices, unless linux.resources.devices says so.
func (c *Container) openRoot(*os.File) (*os.File, error) {
	root, err := mount.Clone(c.record.Rootfs, true)
	if err != nil {
		return nil, fmt.Errorf("open root: %w", err)
	}
	attr := mount.Attr{Propagation: unix.MS_PRIVATE, Recursive: true}
	switch c.spec.Linux.RootfsPropagation {
	case "shared", "rshared":
		attr.Propagation = 0 // as it is
	case "slave", "rslave":
		attr.Propagation = unix.MS_SLAVE
	}
	if !allowsDevices(c.spec) {
		attr.Set = unix.MOUNT_ATTR_NODEV
	}
	if err := mount.SetAttr(root, attr); err != nil {
		_ = root.Close() // a detached mount
		return nil, fmt.Errorf("open root: %w", err)
	}
	setHome(root, c.spec.Process)
	return root, nil
}

// finish makes the container known as made.
func (c *Container) finish(o *Options, p *runtime.Process) error {
	c.record.Phase = phaseMade
	if err := c.write(); err != nil {
		return err
	}
	return WritePidFile(o.PidFile, p.Pid)
}

// Running is a container that was started by Run.
type Running struct {
	*Container
	Process *runtime.Process
}

// Run makes a container and starts it.
func (r *Root) Run(ctx context.Context, o *Options) (*Running, error) {
	c, l, err := r.claim(ctx, o.ID)
	if err != nil {
		return nil, err
	}
	defer l.release()
	p, err := c.make(ctx, o, "")
	if err != nil {
		return nil, err
	}
	if err := c.poststart(ctx); err != nil {
		return nil, err
	}
	return &Running{c, p}, nil
}

// poststart calls the hooks of that point; where one fails the container is stopped.
func (c *Container) poststart(ctx context.Context) error {
	err := runHooks(ctx, c.spec.Hooks, pointPoststart, c.state(specs.StateRunning))
	if err != nil {
		c.root.warn(c.destroy(context.WithoutCancel(ctx)))
	}
	return err
}
