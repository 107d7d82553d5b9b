package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/deckhand-engine/deckhand/internal/linux/caps"
	"github.com/deckhand-engine/deckhand/internal/linux/cgroup"
	"github.com/deckhand-engine/deckhand/internal/linux/seccomp"
	"github.com/deckhand-engine/deckhand/internal/network"
	"github.com/deckhand-engine/deckhand/internal/runtime"
	"github.com/deckhand-engine/deckhand/internal/store"
	"github.com/deckhand-engine/deckhand/oci"
)

// ErrNotRunning is returned where a running container is needed.
var ErrNotRunning = errors.New("is not running")

// ExecOptions are a further process in a running container.
type ExecOptions struct {
	Args     []string
	Env      []string // added to the container's
	Cwd      string   // empty: the container's
	User     string   // empty: the container's
	Terminal bool
	Size     *specs.Box // of the terminal; nil: unknown
	Stdio    runtime.Stdio
	// Privileged gives the process every capability of the container's user namespace and no filter.
	Privileged bool
	// Seccomp is the filter of this process; nil: the container's. A process that nobody traces cannot live
	// under a filter that leaves decisions to a tracer.
	Seccomp *specs.LinuxSeccomp
	Attach  func(pid int) error `json:"-"` // runtime.ExecOptions.Attach; a monitor is not told
}

// Exec starts a process in a running container, with the container's limits: its seccomp filter,
// its bounding set, its no_new_privs.
func (e *Engine) Exec(ctx context.Context, rec *store.Container, o ExecOptions) (*runtime.Process, error) {
	if err := checkStatic("exec"); err != nil {
		return nil, err
	}
	n, err := e.entrance(rec, o)
	if err != nil {
		return nil, err
	}
	group, err := openGroup(rec.ID, n.cfg.Limits)
	if err != nil {
		return nil, err
	}
	defer func() { _ = group.Close() }() // a directory
	if o.Privileged && !e.Rootless && os.Geteuid() == 0 {
		if err := keepDevices(group, n.cfg.Devices); err != nil {
			return nil, err
		}
	}
	return runtime.Exec(ctx, runtime.ExecOptions{
		Pid:        n.state.Pid,
		StartTicks: n.state.StartTicks,
		Spec:       n.spec,
		Process:    n.spec.Process,
		Stdio:      o.Stdio,
		Cgroup:     group.Dir,
		Enter:      group.Enter,
		Attach:     o.Attach,
		Resolve:    func(root *os.File, p *specs.Process) error { return n.resolve(root, p, o) },
	})
}

// entrance is what a process that enters a container needs to know of it.
type entrance struct {
	cfg   Config
	state store.State
	extra runExtra
	spec  *specs.Spec
}

func (e *Engine) entrance(rec *store.Container, o ExecOptions) (n entrance, err error) {
	if n.cfg, err = ConfigOf(rec); err != nil {
		return n, err
	}
	if n.state, err = e.Store.State(rec.ID); err != nil {
		return n, err
	}
	if n.state.Status != StatusRunning {
		return n, fmt.Errorf("container %s %w", rec.Name, ErrNotRunning)
	}
	if err := n.extra.read(n.state); err != nil {
		return n, err
	}
	n.spec, err = execSpec(n.cfg, n.extra, o)
	return n, err
}

// resolve finds the process's user in the container's root.
func (n *entrance) resolve(root *os.File, p *specs.Process, o ExecOptions) error {
	user, groups := o.User, []string(nil)
	if user == "" {
		user, groups = n.cfg.User, n.cfg.GroupAdd
	}
	u, err := oci.ResolveUser(root, user, groups)
	if err != nil {
		return err
	}
	if err := checkMapped(u, n.extra.IDCount); err != nil {
		return err
	}
	added := n.cfg.Spec.Added()
	if o.Privileged {
		added = caps.All()
	}
	oci.SetUser(&specs.Spec{Process: p}, u, added)
	return nil
}

// execFilter is the filter of a further process; nil: the container's. A profile's filter is that of its service and
// holds nothing that a shell beside it needs: whoever enters has the default one, for the same capabilities.
func execFilter(cfg Config, o ExecOptions) (*specs.LinuxSeccomp, error) {
	if o.Seccomp != nil || o.Privileged || cfg.Profile == "" {
		return o.Seccomp, nil
	}
	granted, err := caps.Resolve(caps.Docker, cfg.Spec.CapAdd, cfg.Spec.CapDrop)
	if err != nil {
		return nil, fmt.Errorf("choose the filter: %w", err)
	}
	return seccomp.Default(granted)
}

// execSpec is the container's spec with the new process.
func execSpec(cfg Config, extra runExtra, o ExecOptions) (*specs.Spec, error) {
	so := cfg.Spec
	so.Shared, so.HostNetwork = cfg.Modes.hosts(), cfg.Network == network.Host
	so.HostIDBase, so.IDCount = extra.HostIDBase, extra.IDCount
	so.Args, so.Terminal, so.ConsoleSize = o.Args, o.Terminal, o.Size
	if o.Privileged {
		so.CapAdd, so.CapDrop = caps.All(), nil
		so.NewPrivileges, so.Seccomp, so.SeccompUnconfined = true, nil, true
	}
	filter, err := execFilter(cfg, o)
	if err != nil {
		return nil, err
	}
	if filter != nil {
		so.Seccomp, so.SeccompUnconfined = filter, false
	}
	so.Env = oci.MergeEnv(so.Env, o.Env)
	if o.Cwd != "" {
		so.Cwd = o.Cwd
	}
	return oci.NewSpec(so)
}

// openGroup opens the container's cgroup for a process to be born in; an empty one where there is none.
func openGroup(id string, l Limits) (*cgroup.Group, error) {
	g, err := l.findGroup(id)
	if errors.Is(err, fs.ErrNotExist) {
		return &cgroup.Group{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open cgroup: %w", err)
	}
	return g, nil
}
