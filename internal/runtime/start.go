package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/linux/rootless"
	"github.com/deckhand-engine/deckhand/internal/runtime/stage"
)

// Start starts the container: it returns when the command has been executed. A *CommandError says
// that the command could not be; an *UnsupportedError names a field of the spec this runtime lacks.
// On error, or when ctx ends before it returns, nothing is left behind.
func Start(ctx context.Context, o StartOptions) (*Process, error) {
	if err := checkSpec(o.Spec); err != nil {
		return nil, err
	}
	if o.Init && len(o.ExtraFiles) > 0 {
		return nil, errors.New("an init passes no files on to its command")
	}
	if err := o.checkHooks(); err != nil {
		return nil, err
	}
	c, err := cloneChild(&o)
	if err != nil {
		return nil, err
	}
	defer c.close()
	stop := context.AfterFunc(ctx, c.kill)
	defer stop()
	if err = c.setUp(ctx, &o); err == nil {
		err = c.awaitCommand()
	}
	if err != nil {
		c.abandon()
		if ctx.Err() != nil {
			err = fmt.Errorf("start container: %w", context.Cause(ctx))
		}
		return nil, err
	}
	return &Process{Pid: c.process.Pid, Console: c.takeConsole(), handle: c.process}, nil
}

// starting is a child on its way to become a container's process.
type starting struct {
	process *os.Process
	sock    int // our end
	exe     *sealedExe
	console *os.File // the pty master, once the child has sent it
	gate    string   // made for the child, "": none
}

func (c *starting) close() {
	closeFd(c.sock)
	c.exe.close()
	if c.console != nil {
		_ = c.console.Close() // a terminal nobody uses
	}
}

// takeExe hands the sealed program over to be sent.
func (c *starting) takeExe() *os.File {
	f := os.NewFile(uintptr(c.exe.fd), "deckhand")
	c.exe.fd = -1
	return f
}

func (c *starting) takeConsole() *os.File {
	f := c.console
	c.console = nil
	return f
}

func (c *starting) kill() { _ = c.process.Kill() } // gone already is as good

// abandon ends the child and reaps it.
func (c *starting) abandon() {
	if c.gate != "" {
		_ = os.Remove(c.gate) // the error that made us abandon it is the one to report
	}
	c.kill()
	_, _ = awaitEnd(c.process)
}

// setUp does the parent's part while the child waits for the plan, and then for the network.
func (c *starting) setUp(ctx context.Context, o *StartOptions) error {
	if err := c.attach(o.Attach); err != nil {
		return err
	}
	m, err := idsOf(o.Spec, c.process.Pid)
	if err != nil {
		return err
	}
	p := &preparer{spec: o.Spec, ids: m, strictIDMap: o.StrictIDMap, detached: o.Detached}
	defer p.close()
	if err := c.openRoot(p, o); err != nil {
		return err
	}
	plan, err := c.plan(p, o)
	if err != nil {
		return err
	}
	if err := restrictDevices(o, p.devices); err != nil {
		return err
	}
	if err := c.limit(plan, o.Spec.Process); err != nil {
		return err
	}
	if err := giveStdio(&o.Stdio, o.Spec.Process, m); err != nil {
		return err
	}
	if err := c.listener(p, plan, o.Spec, o.HookState); err != nil {
		return err
	}
	if err := c.makeGate(p, plan, o.Gate); err != nil {
		return err
	}
	if err := c.netDevices(o.Spec); err != nil {
		return err
	}
	return c.goOn(ctx, p, plan, o)
}

// goOn has the child carry out its plan.
func (c *starting) goOn(ctx context.Context, p *preparer, plan *stage.Plan, o *StartOptions) error {
	if err := c.hooks(p, plan, o); err != nil {
		return err
	}
	plan.Extra, plan.ParentDeathUnwanted = len(o.ExtraFiles), o.Outlive
	plan.NoPivot, plan.KeepSessionKeyring = o.NoPivot, o.KeepKeyring
	if err := c.send(plan, append(p.files, o.ExtraFiles...)); err != nil {
		return err
	}
	if plan.WaitHooks {
		if err := c.runtimeHooks(ctx, o); err != nil {
			return err
		}
	}
	if !plan.WaitNetwork {
		return nil
	}
	return c.setUpNetwork(ctx, o)
}

// attach shows the child to whoever wants to watch it, while it waits for its plan.
func (c *starting) attach(to func(pid int) error) error {
	if to == nil {
		return nil
	}
	return to(c.process.Pid)
}

// openRoot has the caller mount the root, which may change the spec.
func (c *starting) openRoot(p *preparer, o *StartOptions) error {
	if _, ok := namespace(o.Spec, specs.UserNamespace); ok {
		userns, err := c.open("ns/user")
		if err != nil {
			return err
		}
		p.userns = userns
	}
	root, err := o.Rootfs(p.userns)
	if err != nil {
		return err
	}
	p.files = append(p.files, root)
	return nil
}

// plan translates the spec, and opens what comes from the host.
func (c *starting) plan(p *preparer, o *StartOptions) (*stage.Plan, error) {
	plan, err := startPlan(o.Spec, p.ids, o.Warn)
	if err != nil {
		return nil, err
	}
	if err := withoutMissing(plan, o.Spec, o.Warn); err != nil {
		return nil, err
	}
	plan.WaitNetwork = o.Network != nil && plan.NewNetwork
	if err := p.mounts(plan); err != nil {
		return nil, err
	}
	if err := p.deviceNodes(plan); err != nil {
		return nil, err
	}
	if o.Init {
		plan.Init, plan.InitFd = true, len(p.files)
		p.files = append(p.files, c.takeExe())
	}
	return plan, nil
}

// open opens a file of the child's directory in /proc. The child is ours and not reaped: its pid is
// its own.
func (c *starting) open(name string) (*os.File, error) {
	f, err := os.Open("/proc/" + strconv.Itoa(c.process.Pid) + "/" + name)
	if err != nil {
		return nil, fmt.Errorf("open namespace: %w", err)
	}
	return f, nil
}

func (c *starting) send(plan *stage.Plan, files []*os.File) error {
	if len(files) > stage.MaxFds {
		return fmt.Errorf("%d mounts from the host and inherited files are too many: at most %d", len(files)-1, stage.MaxFds-1)
	}
	fds := make([]int, len(files))
	for i, f := range files {
		fds[i] = int(f.Fd())
	}
	if err := stage.SendPlan(c.sock, plan.Marshal(), fds); err != nil {
		return c.died(fmt.Errorf("send the plan: %w", err))
	}
	return nil
}

// setUpNetwork runs the caller's Network while the child mounts, and then lets the child go on.
func (c *starting) setUpNetwork(ctx context.Context, o *StartOptions) error {
	netns, err := c.open("ns/net")
	if err != nil {
		return err
	}
	defer func() { _ = netns.Close() }() // read only
	if err := o.Network(ctx, netns, c.process.Pid); err != nil {
		return err
	}
	return c.release()
}

// died prefers the child's own reason to ours.
func (c *starting) died(ours error) error {
	if err := c.awaitCommand(); err != nil {
		return err
	}
	return ours
}

// awaitCommand reads what the child has to say until it has executed the command.
func (c *starting) awaitCommand() error {
	if err := c.await(stage.MsgReady); err != nil {
		return err
	}
	if err := c.await(endOfSocket); err != errDied { //nolint:errorlint // that very one
		return err
	}
	return nil
}

// endOfSocket is no message.
const endOfSocket = 0

// await reads what the child has to say up to the message that is wanted. errDied is the end of the socket.
func (c *starting) await(wanted byte) error {
	buf := make([]byte, 64<<10)
	for {
		n, fds, err := stage.Receive(c.sock, buf, 1)
		if err != nil {
			return fmt.Errorf("hear from the child: %w", err)
		}
		if n == 0 {
			return errDied
		}
		switch buf[0] {
		case wanted:
			return nil
		case stage.MsgConsole:
			if len(fds) == 1 {
				c.console = os.NewFile(uintptr(fds[0]), "console")
			}
		case stage.MsgError:
			return childError(buf[:n])
		}
	}
}

// release lets a child go on that waits for a word.
func (c *starting) release() error {
	if err := unix.Sendmsg(c.sock, []byte{1}, nil, nil, unix.MSG_NOSIGNAL); err != nil {
		return c.died(fmt.Errorf("release the child: %w", err))
	}
	return nil
}

// childError makes an error of the child's report.
func childError(msg []byte) error {
	f := &stage.Failure{}
	if err := f.Unmarshal(msg); err != nil {
		return fmt.Errorf("understand the child: %w", err)
	}
	if f.Code != 0 {
		return &CommandError{Code: f.Code, Path: f.Path, Err: f}
	}
	return fmt.Errorf("start container: %w", f)
}

// cloneChild starts our own program, sealed, in the new namespaces. It waits for its plan.
func cloneChild(o *StartOptions) (*starting, error) {
	sealed, err := openSealed()
	if err != nil {
		return nil, err
	}
	c, err := cloneSealed(o, sealed)
	if err != nil {
		sealed.close()
	}
	return c, err
}

func cloneSealed(o *StartOptions, sealed *sealedExe) (*starting, error) {
	files, err := fillStdio(&o.Stdio, o.Spec.Process.Terminal)
	if err != nil {
		return nil, err
	}
	defer files.close()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make a socket pair: %w", err)
	}
	defer closeFd(pair[1]) // the child has it
	f, release, err := newFork(role(o.Spec), sealed.fd, files.with(pair[1]))
	if err == nil {
		defer release()
		var process *os.Process
		if process, err = startFork(o, f); err == nil {
			return &starting{process: process, sock: pair[0], exe: sealed}, nil
		}
	}
	closeFd(pair[0])
	return nil, fmt.Errorf("clone the container's first process: %w", err)
}

// startFork clones the child into its namespaces and cgroup, and gives the user namespace its ids.
func startFork(o *StartOptions, f *fork) (*os.Process, error) {
	f.clone.flags |= uint64(newFlags(o.Spec))
	if o.Cgroup != nil {
		f.clone.flags, f.clone.cgroup = f.clone.flags|unix.CLONE_INTO_CGROUP, uint64(o.Cgroup.Fd())
	}
	userns := newNamespace(o.Spec, specs.UserNamespace)
	if userns {
		f.keepCaps()
	}
	pid, err := entered(o.Enter, func() (int, error) { return startIn(o.Spec, f) })
	if err != nil {
		return nil, err
	}
	if userns {
		err = mapIDs(pid, o.Spec.Linux)
	}
	var process *os.Process
	if err == nil {
		process, err = os.FindProcess(pid) // our child, not reaped: the pid is its own
	}
	if err != nil {
		_ = unix.Kill(pid, unix.SIGKILL)
		reap(pid)
	}
	return process, err
}

func mapIDs(pid int, l *specs.Linux) error {
	// In an ordinary user's namespace the container's ids come in pieces.
	uids, gids, err := rootless.Split(idMap(l.UIDMappings), idMap(l.GIDMappings))
	if err != nil {
		return err
	}
	return writeMaps(pid, uids, gids, setgroupsDenied(l))
}

func idMap(mappings []specs.LinuxIDMapping) []syscall.SysProcIDMap {
	m := make([]syscall.SysProcIDMap, len(mappings))
	for i, e := range mappings {
		m[i] = syscall.SysProcIDMap{ContainerID: int(e.ContainerID), HostID: int(e.HostID), Size: int(e.Size)}
	}
	return m
}
