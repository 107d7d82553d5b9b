// Package runtime starts containers: an OCI config.json in, a running process out.
package runtime

import (
	"context"
	"errors"
	"os"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Stdio are the container's standard files; nil means /dev/null. Ignored with Spec.Process.Terminal.
type Stdio struct{ In, Out, Err *os.File }

// StartOptions describe one container.
type StartOptions struct {
	ID   string
	Spec *specs.Spec
	// Rootfs makes the detached root mount once the user namespace (nil without one) exists; the
	// runtime closes it. It may still change Spec.Process (user, env, cwd), e.g. after reading
	// the root's passwd file: the spec is sent to the child after it returns.
	Rootfs func(userns *os.File) (root *os.File, err error)
	// Network sets up the new network namespace; runs while the child mounts. Nil: loopback only.
	Network func(ctx context.Context, netns *os.File, pid int) error
	Stdio   Stdio
	Init    bool     // a small init of ours as pid 1
	Cgroup  *os.File // v2 directory for CLONE_INTO_CGROUP, or nil
	// UsernsBase is the first host id of the 65,536 mapped; Spec.Linux.UIDMappings say the same.
}

// Process is a running container's first process.
type Process struct {
	Pid     int
	Console *os.File // pty master where Spec.Process.Terminal, else nil; the caller closes it
}

// Exit is how it ended.
type Exit struct {
	Code   int // 128+signal when killed
	Signal syscall.Signal
}

// CommandError is a command that could not be executed: Code 127 (not found) or 126.
type CommandError struct {
	Code int
	Path string
	Err  error
}

func (e *CommandError) Error() string { return e.Err.Error() }
func (e *CommandError) Unwrap() error { return e.Err }

// Start starts the container. On error nothing is left behind.
func Start(ctx context.Context, o StartOptions) (*Process, error) { return nil, errors.ErrUnsupported }

// Wait waits for the process to end; once.
func (p *Process) Wait() (Exit, error) { return Exit{}, errors.ErrUnsupported }

// Signal sends by pidfd.
func (p *Process) Signal(sig syscall.Signal) error { return errors.ErrUnsupported }

// ExecOptions describe a further process in a running container.
type ExecOptions struct {
	Pid     int            // of the container's first process
	Spec    *specs.Spec    // the container's config.json: namespaces, seccomp, capabilities
	Process *specs.Process // what to run
	Stdio   Stdio
	Cgroup  *os.File
	Resolve func(root *os.File, p *specs.Process) error // as Rootfs above: finishes Process from the container's root
}

// Exec starts it.
func Exec(ctx context.Context, o ExecOptions) (*Process, error) { return nil, errors.ErrUnsupported }

// SignalPid signals a container's first process found by pid and start ticks (pidfd: never a reused pid).
func SignalPid(pid int, startTicks uint64, sig syscall.Signal) error { return errors.ErrUnsupported }

// StartTicks reads field 22 of /proc/pid/stat.
func StartTicks(pid int) (uint64, error) { return 0, errors.ErrUnsupported }
