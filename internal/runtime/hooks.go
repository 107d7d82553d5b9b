package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/runtime/stage"
)

// checkHooks refuses hooks that nobody would run.
func (o *StartOptions) checkHooks() error {
	h := o.Spec.Hooks
	if h == nil {
		return nil
	}
	for _, hook := range slices.Concat(h.CreateContainer, h.StartContainer) {
		if hook.Timeout != nil && *hook.Timeout <= 0 {
			return fmt.Errorf("hooks: the timeout of %s is not above zero", hook.Path)
		}
	}
	if hasRuntimeHooks(h) && o.RuntimeHooks == nil {
		return &UnsupportedError{"hooks.createRuntime"}
	}
	if (len(h.CreateContainer) > 0 || len(h.StartContainer) > 0) && o.HookState == nil {
		return &UnsupportedError{"hooks.createContainer"}
	}
	return nil
}

func hasRuntimeHooks(h *specs.Hooks) bool {
	return h != nil && len(h.Prestart)+len(h.CreateRuntime) > 0 //nolint:staticcheck // deprecated, and to be run all the same
}

// hooks plans the hooks that run before the command.
func (c *starting) hooks(p *preparer, plan *stage.Plan, o *StartOptions) error {
	h := o.Spec.Hooks
	plan.WaitHooks = hasRuntimeHooks(h)
	if h == nil || len(h.CreateContainer)+len(h.StartContainer) == 0 {
		return nil
	}
	plan.CreateHooks, plan.StartHooks = planHooks(h.CreateContainer), planHooks(h.StartContainer)
	var err error
	if plan.CreateState, err = c.hookState(p, o, specs.StateCreating); err != nil {
		return err
	}
	if plan.StartState, err = c.hookState(p, o, specs.StateCreated); err != nil {
		return err
	}
	plan.HookOutput, err = p.addMemory("hook-output", nil)
	return err
}

func planHooks(hooks []specs.Hook) []stage.Hook {
	var out []stage.Hook
	for _, h := range hooks {
		s := stage.Hook{Path: h.Path, Args: h.Args, Env: h.Env}
		if len(s.Args) == 0 {
			s.Args = []string{h.Path}
		}
		if h.Timeout != nil {
			s.TimeoutSeconds = *h.Timeout
		}
		out = append(out, s)
	}
	return out
}

func (c *starting) hookState(p *preparer, o *StartOptions, status specs.ContainerState) (int, error) {
	text, err := o.HookState(c.process.Pid, status)
	if err != nil {
		return 0, err
	}
	return p.addMemory("hook-state", text)
}

// addMemory sends the child a file in memory, and returns its number.
func (p *preparer) addMemory(name string, data []byte) (int, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return 0, fmt.Errorf("make a file in memory: %w", err)
	}
	f := os.NewFile(uintptr(fd), name)
	p.files = append(p.files, f)
	if _, err := f.Write(data); err != nil {
		return 0, fmt.Errorf("write a file in memory: %w", err)
	}
	return len(p.files) - 1, nil
}

// runtimeHooks runs the caller's hooks when the child has come to them, and lets it go on.
func (c *starting) runtimeHooks(ctx context.Context, o *StartOptions) error {
	if err := c.await(stage.MsgHooks); err != nil {
		return err
	}
	if err := o.RuntimeHooks(ctx, c.process.Pid); err != nil {
		return err
	}
	return c.release()
}

var errDied = errors.New("start container: the child died")
