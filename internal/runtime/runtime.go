// Package runtime starts containers: an OCI config.json in, a running process out.
//
// The parent's side is here, the child's in package stage: Start clones a child into all new
// namespaces, has the caller mount the root with the new user namespace's mapping, opens everything
// else that comes from the host, and sends a plan with descriptors. The child makes itself the
// container's first process and says what went wrong, if anything did. Exec does the same for a
// process in a container that runs. There is no daemon and no state on disk; the caller keeps that.
//
// A container dies with the thread that started it: Start and Exec must not be called from a
// goroutine that is locked to a thread and ends before the container does.
package runtime

import (
	"context"
	"os"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	_ "github.com/deckhand-engine/deckhand/internal/runtime/pid1" // a role of this program
)

// Stdio are the container's standard files; nil means /dev/null. Ignored with Spec.Process.Terminal.
type Stdio struct{ In, Out, Err *os.File }

// StartOptions describe one container.
type StartOptions struct {
	ID string
	// Spec is carried out but for linux.resources and linux.cgroupsPath, which are the maker's of Cgroup,
	// and for the hooks below.
	Spec *specs.Spec
	// Rootfs makes the detached root mount once the user namespace (nil without one) exists; the
	// runtime closes it. It may still change Spec.Process (user, env, cwd), e.g. after reading
	// the root's passwd file: the spec is sent to the child after it returns.
	Rootfs func(userns *os.File) (root *os.File, err error)
	// Detached are mounts that bind mounts of Spec are made of, by their Source, instead of clones of what is there. They
	// belong to Start.
	Detached map[string]*os.File
	// Network sets up the new network namespace; runs while the child mounts. Nil: loopback only.
	Network func(ctx context.Context, netns *os.File, pid int) error
	// Attach is called with the child's pid before it does anything for the container, so that a tracer
	// sees all of it; may be nil. Its error ends the start.
	Attach func(pid int) error
	Stdio  Stdio
	Init   bool // a small init of ours as pid 1
	// Gate is the path of a socket that Start makes and the command waits at: Start returns when all is
	// set up but the execve, and any process may let the command go by OpenGate. Who can reach the
	// socket can start the command: its directory should be the caller's alone. "": not to wait.
	Gate string
	// Outlive lets the container live on when the thread that called Start ends. A start that is not
	// complete when that happens (with a gate: when nobody waits there yet) leaves nothing behind.
	Outlive bool
	// RuntimeHooks runs the hooks prestart and createRuntime: all namespaces and mounts are there, and the
	// root is not entered yet. It is called only where the spec has such hooks, and its error ends the start.
	RuntimeHooks func(ctx context.Context, pid int) error
	// HookState is the state, as JSON, that the hooks createContainer (creating) and startContainer
	// (created) read, which Start runs in the container, and what a seccomp listener's supervisor is sent. Poststart and poststop are the caller's.
	HookState func(pid int, status specs.ContainerState) ([]byte, error)
	// Warn is told of capabilities that cannot be granted, which are left out then, as the specification
	// has it. Nil: they are errors.
	Warn func(message string)
	// NoPivot covers the host's root by the container's instead of leaving it, where the root is a ramdisk
	// that pivot_root cannot leave.
	NoPivot bool
	// StrictIDMap makes it an error where a mount with idmap cannot be shifted, as the specification has it.
	// Without, such a mount stays as it is, and its files belong to nobody in the container.
	StrictIDMap bool
	// KeepKeyring leaves the container the caller's session keyring.
	KeepKeyring bool
	// ExtraFiles become the command's descriptors from 3 on; not to be had with Init.
	ExtraFiles []*os.File
	Cgroup     *os.File // v2 directory for CLONE_INTO_CGROUP, or nil
	// Enter calls fork on a thread from which the container's process is born into its groups of version 1
	// (cgroup.Group.Enter); may be nil.
	Enter func(fork func() error) error
}

// Process is a running container's first process.
type Process struct {
	Pid     int
	Console *os.File // pty master where Spec.Process.Terminal, else nil; the caller closes it
	handle  *os.Process
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

// Error is docker's and runc's message.
func (e *CommandError) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *CommandError) Unwrap() error { return e.Err }
