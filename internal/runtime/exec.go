package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/runtime/stage"
)

// ExecOptions describe a further process in a running container.
type ExecOptions struct {
	Pid int // of the container's first process
	// StartTicks of that process: it is refused if Pid has been reused. 0: not checked.
	StartTicks uint64
	Spec       *specs.Spec    // the container's config.json: namespaces, seccomp
	Process    *specs.Process // what to run; its capabilities are its own
	Stdio      Stdio          // ignored with Process.Terminal
	Cgroup     *os.File       // v2 directory of the container, or nil
	Outlive    bool           // as StartOptions.Outlive
	ExtraFiles []*os.File     // as StartOptions.ExtraFiles
	// HookState is StartOptions.HookState, for a seccomp listener.
	HookState func(pid int, status specs.ContainerState) ([]byte, error)
	Warn      func(message string) // as StartOptions.Warn
	// Resolve finishes Process from the container's root, as StartOptions.Rootfs does; may be nil.
	Resolve func(root *os.File, p *specs.Process) error
	// Enter is StartOptions.Enter.
	Enter func(fork func() error) error
	// Attach is StartOptions.Attach: the process is in the container, and waits to be told its command.
	Attach func(pid int) error
}

// Exec starts a process in a container. It works for the real root and for the ordinary user who
// owns the container's outer user namespace. Errors are Start's; os.ErrProcessDone says that the
// container has ended.
func Exec(ctx context.Context, o ExecOptions) (*Process, error) {
	target, err := openPid(o.Pid, o.StartTicks)
	if err != nil {
		return nil, err
	}
	defer closeFd(target)
	spec := *o.Spec
	spec.Process = o.Process
	if err := checkSpec(&spec); err != nil {
		return nil, err
	}
	if err := o.resolve(target); err != nil {
		return nil, err
	}
	m, err := idsOf(&spec, o.Pid)
	if err != nil {
		return nil, err
	}
	plan, err := processPlan(o.Process, spec.Linux, m, o.Warn)
	if err != nil {
		return nil, err
	}
	if err := withoutMissing(plan, &spec, o.Warn); err != nil {
		return nil, err
	}
	plan.CreateCwd = false // as runc
	c, err := o.fork(target)
	if err != nil {
		return nil, err
	}
	defer c.close()
	stop := context.AfterFunc(ctx, c.kill)
	defer stop()
	if err := c.finishExec(plan, &o, m); err != nil {
		c.abandon()
		if ctx.Err() != nil {
			err = fmt.Errorf("exec in container: %w", context.Cause(ctx))
		}
		return nil, err
	}
	return &Process{Pid: c.process.Pid, Console: c.takeConsole(), handle: c.process}, nil
}

func (c *starting) finishExec(plan *stage.Plan, o *ExecOptions, m *ids) error {
	if err := c.attach(o.Attach); err != nil {
		return err
	}
	affinity, err := c.setAffinity(o.Process.ExecCPUAffinity)
	if err != nil {
		return err
	}
	if err := c.limit(plan, o.Process); err != nil {
		return err
	}
	if err := giveStdio(&o.Stdio, o.Process, m); err != nil {
		return err
	}
	if err := affinity(); err != nil {
		return err
	}
	plan.ParentDeathUnwanted = o.Outlive
	p := &preparer{}
	defer p.close()
	if err := c.listener(p, plan, o.Spec, o.HookState); err != nil {
		return err
	}
	plan.Extra = len(o.ExtraFiles)
	if err := c.send(plan, append(p.files, o.ExtraFiles...)); err != nil {
		return err
	}
	return c.awaitCommand()
}

// resolve calls Resolve with the container's root.
func (o *ExecOptions) resolve(target int) error {
	if o.Resolve == nil {
		return nil
	}
	root, err := o.openRoot(target)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }() // O_PATH
	return o.Resolve(root, o.Process)
}

// openRoot opens the container's root, through a pid that is made sure of.
func (o *ExecOptions) openRoot(target int) (*os.File, error) {
	path := "/proc/" + strconv.Itoa(o.Pid) + "/root"
	fd, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	root := os.NewFile(uintptr(fd), path)
	if err := unix.PidfdSendSignal(target, 0, nil, 0); errors.Is(err, unix.ESRCH) {
		_ = root.Close() // O_PATH
		return nil, fmt.Errorf("exec in container: %w", os.ErrProcessDone)
	}
	return root, nil
}

// fork starts our program in the container; it waits for its plan.
func (o *ExecOptions) fork(target int) (*starting, error) {
	sealed, err := openSealed()
	if err != nil {
		return nil, err
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		sealed.close()
		return nil, fmt.Errorf("make a socket pair: %w", err)
	}
	high, err := unix.FcntlInt(uintptr(target), unix.F_DUPFD_CLOEXEC, highFd) // out of the way of 0 to 3
	if err != nil {
		sealed.close()
		closeFd(pair[0])
		closeFd(pair[1])
		return nil, fmt.Errorf("duplicate a descriptor: %w", err)
	}
	defer closeFd(high)
	pid, err := o.join(high, sealed.fd, pair[1])
	closeFd(pair[1])
	if err != nil {
		sealed.close()
		closeFd(pair[0])
		return nil, err
	}
	process, err := os.FindProcess(pid) // our child, not reaped: the pid is its own
	if err != nil {
		reap(pid)
		sealed.close()
		closeFd(pair[0])
		return nil, fmt.Errorf("find process %d: %w", pid, err)
	}
	return &starting{process: process, sock: pair[0], exe: sealed}, nil
}

// join forks our program into the container.
func (o *ExecOptions) join(target, exe, sock int) (int, error) {
	files, err := fillStdio(&o.Stdio, o.Process.Terminal)
	if err != nil {
		return 0, err
	}
	defer files.close()
	f, release, err := newFork(stage.ArgExec, exe, files.with(sock))
	if err != nil {
		return 0, err
	}
	defer release()
	j := &join{fork: f}
	namespaces := uintptr(0)
	for _, n := range o.Spec.Linux.Namespaces {
		namespaces |= cloneFlag(n.Type)
	}
	if namespaces != 0 {
		j.add(uintptr(target), namespaces)
	}
	if namespaces&unix.CLONE_NEWNS == 0 { // the container's root is its processes' only
		root, err := o.openRoot(target)
		if err != nil {
			return 0, err
		}
		defer func() { _ = root.Close() }() // O_PATH
		high, err := unix.FcntlInt(root.Fd(), unix.F_DUPFD_CLOEXEC, highFd)
		if err != nil {
			return 0, fmt.Errorf("duplicate a descriptor: %w", err)
		}
		defer closeFd(high)
		j.root = uintptr(high)
	}
	if o.Cgroup != nil {
		f.clone.flags, f.clone.cgroup = unix.CLONE_INTO_CGROUP, uint64(o.Cgroup.Fd())
	}
	return entered(o.Enter, j.run)
}
