package bundle

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// hookPoint is a point of the lifecycle and its hooks (runtime-spec, config.md, "POSIX-platform Hooks").
type hookPoint struct {
	name  string
	hooks []specs.Hook
}

const (
	pointPrestart        = "prestart"
	pointCreateRuntime   = "createRuntime"
	pointCreateContainer = "createContainer"
	pointStartContainer  = "startContainer"
	pointPoststart       = "poststart"
	pointPoststop        = "poststop"
)

func hookPoints(h *specs.Hooks) []hookPoint {
	return []hookPoint{
		{pointPrestart, h.Prestart}, //nolint:staticcheck // deprecated, and to be called all the same
		{pointCreateRuntime, h.CreateRuntime},
		{pointCreateContainer, h.CreateContainer},
		{pointStartContainer, h.StartContainer},
		{pointPoststart, h.Poststart},
		{pointPoststop, h.Poststop},
	}
}

// hooksAt are the hooks of a point; h may be nil.
func hooksAt(h *specs.Hooks, point string) []specs.Hook {
	if h == nil {
		return nil
	}
	for _, p := range hookPoints(h) {
		if p.name == point {
			return p.hooks
		}
	}
	return nil
}

// runHooks calls the hooks of a point in their order, up to the first that fails. They are given the
// container's state on their standard input.
func runHooks(ctx context.Context, h *specs.Hooks, point string, state *State) error {
	hooks := hooksAt(h, point)
	for i := range hooks {
		if err := runHook(ctx, &hooks[i], state); err != nil {
			return hookError(point, i, err)
		}
	}
	return nil
}

// runEveryHook calls them all, whatever becomes of those before.
func runEveryHook(ctx context.Context, h *specs.Hooks, point string, state *State) error {
	var errs []error
	hooks := hooksAt(h, point)
	for i := range hooks {
		if err := runHook(ctx, &hooks[i], state); err != nil {
			errs = append(errs, hookError(point, i, err))
		}
	}
	return errors.Join(errs...)
}

func hookError(point string, i int, err error) error {
	return fmt.Errorf("error running %s hook #%d: %w", point, i, err)
}

// runtimeHooks calls the hooks of create, which are called while the container is being made.
func (c *Container) runtimeHooks(ctx context.Context, pid int) error {
	state := c.state(specs.StateCreating)
	state.Pid = pid
	if err := runHooks(ctx, c.spec.Hooks, pointPrestart, state); err != nil {
		return err
	}
	return runHooks(ctx, c.spec.Hooks, pointCreateRuntime, state)
}

// hookState is the state for a hook that runs in the container, with the pid as it is seen there.
func (c *Container) hookState(pid int, status specs.ContainerState) ([]byte, error) {
	state := c.state(status)
	inner, err := innerPid(pid)
	if err != nil {
		return nil, err
	}
	state.Pid = inner
	return json.Marshal(state)
}

// innerPid is a process's pid in its own namespace.
func innerPid(pid int) (int, error) {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0, fmt.Errorf("find the pid inside: %w", err)
	}
	for line := range strings.Lines(string(status)) {
		if list, ok := strings.CutPrefix(line, "NSpid:"); ok {
			pids := strings.Fields(list)
			return strconv.Atoi(pids[len(pids)-1])
		}
	}
	return 0, errors.New("find the pid inside: no NSpid")
}

// hookDrain is how long a hook's output is read after its end, should it have left something running.
const hookDrain = 100 * time.Millisecond

func runHook(ctx context.Context, h *specs.Hook, state *State) error {
	input, err := json.Marshal(state)
	if err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	if h.Timeout != nil {
		var cancel context.CancelFunc
		timeout := time.Duration(*h.Timeout) * time.Second
		ctx, cancel = context.WithTimeoutCause(ctx, timeout, fmt.Errorf("it took more than %s", timeout))
		defer cancel()
	}
	var output bytes.Buffer
	cmd := exec.CommandContext(ctx, h.Path)
	if len(h.Args) > 0 {
		cmd.Args = h.Args
	}
	cmd.Env = append([]string{}, h.Env...) // not nil, which would be ours
	cmd.Stdin = bytes.NewReader(input)
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.WaitDelay = hookDrain
	err = cmd.Run()
	if err == nil || errors.Is(err, exec.ErrWaitDelay) {
		return nil
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if said := strings.TrimSpace(output.String()); said != "" {
		return fmt.Errorf("%s: %w: %s", h.Path, err, said)
	}
	return fmt.Errorf("%s: %w", h.Path, err)
}
