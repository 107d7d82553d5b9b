package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/deckhand-engine/deckhand/internal/linux/caps"
	"github.com/deckhand-engine/deckhand/internal/linux/cgroup"
	"github.com/deckhand-engine/deckhand/internal/linux/seccomp"
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
	// Seccomp is the filter of this process; nil: the container's. A process that nobody traces cannot live
	// under a filter that leaves decisions to a tracer.
	Seccomp *specs.LinuxSeccomp
	Attach  func(pid int) error `json:"-"` // runtime.ExecOptions.Attach; a monitor is not told
}

// Exec starts a process in a running container, with the container's limits: its seccomp filter,
// its bounding set, its no_new_privs.
func (e *Engine) Exec(ctx context.Context, rec *store.Container, o ExecOptions) (*runtime.Process, error) {
	cfg, err := ConfigOf(rec)
	if err != nil {
		return nil, err
	}
	st, err := e.Store.State(rec.ID)
	if err != nil {
		return nil, err
	}
	if st.Status != StatusRunning {
		return nil, fmt.Errorf("container %s %w", rec.Name, ErrNotRunning)
	}
	spec, err := execSpec(cfg, st, o)
	if err != nil {
		return nil, err
	}
	if err := checkStatic("exec"); err != nil {
		return nil, err
	}
	userSpec := o.User
	var groups []string
	if userSpec == "" {
		userSpec, groups = cfg.User, cfg.GroupAdd
	}
	group, err := openGroup(rec.ID, cfg.Limits)
	if err != nil {
		return nil, err
	}
	defer func() { _ = group.Close() }() // a directory
	return runtime.Exec(ctx, runtime.ExecOptions{
		Pid:     st.Pid,
		Spec:    spec,
		Process: spec.Process,
		Stdio:   o.Stdio,
		Cgroup:  group.Dir,
		Enter:   group.Enter,
		Attach:  o.Attach,
		Resolve: func(root *os.File, p *specs.Process) error {
			u, err := oci.ResolveUser(root, userSpec, groups)
			if err != nil {
				return err
			}
			if err := checkMapped(u, spec.Linux.UIDMappings[0].Size); err != nil {
				return err
			}
			oci.SetUser(&specs.Spec{Process: p}, u, cfg.Spec.CapAdd)
			return nil
		},
	})
}

// execFilter is the filter of a further process; nil: the container's. A profile's filter is that of its service and
// holds nothing that a shell beside it needs: whoever enters has the default one, for the same capabilities.
func execFilter(cfg Config, o ExecOptions) (*specs.LinuxSeccomp, error) {
	if o.Seccomp != nil || cfg.Profile == "" {
		return o.Seccomp, nil
	}
	granted, err := caps.Resolve(caps.Docker, cfg.Spec.CapAdd, cfg.Spec.CapDrop)
	if err != nil {
		return nil, fmt.Errorf("choose the filter: %w", err)
	}
	return seccomp.Default(granted)
}

// execSpec is the container's spec with the new process.
func execSpec(cfg Config, st store.State, o ExecOptions) (*specs.Spec, error) {
	var extra runExtra
	if err := json.Unmarshal(st.Extra, &extra); err != nil {
		return nil, fmt.Errorf("read state: %w", err)
	}
	so := cfg.Spec
	so.HostIDBase, so.IDCount = extra.HostIDBase, extra.IDCount
	so.Args, so.Terminal, so.ConsoleSize = o.Args, o.Terminal, o.Size
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
