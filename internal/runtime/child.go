package runtime

import (
	"errors"
	"fmt"
	"os"
	goruntime "runtime"
	"slices"
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/linux/cgroup"
	"github.com/deckhand-engine/deckhand/internal/linux/rootless"
	"github.com/deckhand-engine/deckhand/internal/runtime/stage"
)

// startIn starts the child; where the container joins a network namespace by path, from a thread that
// is in it, since the child's user namespace has no right to enter.
func startIn(s *specs.Spec, f *fork) (pid int, err error) {
	if !joinsOnlyNetwork(s) {
		return forkJoining(s, f)
	}
	path, _ := namespace(s, specs.NetworkNamespace)
	if path == "" {
		return f.start()
	}
	err = inNetwork(path, func() (err error) {
		pid, err = f.start()
		return err
	})
	return pid, err
}

// inNetwork calls fn on a thread in the network namespace at path.
func inNetwork(path string, fn func() error) error {
	target, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = target.Close() }() // read only
	goruntime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		goruntime.UnlockOSThread()
		return err
	}
	defer func() { _ = home.Close() }() // read only
	if err := unix.Setns(int(target.Fd()), unix.CLONE_NEWNET); err != nil {
		goruntime.UnlockOSThread()
		return fmt.Errorf("join network namespace %s: %w", path, err)
	}
	err = fn()
	// A thread that cannot go home stays locked, and ends with its goroutine.
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
		return errors.Join(err, fmt.Errorf("return to our network namespace: %w", back))
	}
	goruntime.UnlockOSThread()
	return err
}

// stdio are the standard files of a child.
type stdio struct {
	child [3]int
	null  int
}

func (s *stdio) close() {
	if s.null >= 0 {
		closeFd(s.null)
	}
}

// with adds the socket.
func (s *stdio) with(sock int) [4]int { return [4]int{s.child[0], s.child[1], s.child[2], sock} }

// fillStdio fills what is missing with /dev/null; with a terminal, everything.
func fillStdio(given *Stdio, terminal bool) (*stdio, error) {
	s := &stdio{null: -1}
	for i, f := range [...]*os.File{given.In, given.Out, given.Err} {
		if f != nil && !terminal {
			s.child[i] = int(f.Fd())
			continue
		}
		if s.null < 0 {
			null, err := unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0)
			if err != nil {
				return nil, fmt.Errorf("open stdio: %w", err)
			}
			s.null = null
		}
		s.child[i] = s.null
	}
	return s, nil
}

// restrictDevices has the kernel refuse devices to a container that could get at them: by taking nodev
// from its mounts, which are filesystems of the host's, or by making nodes, for which it has to be
// without a user namespace.
func restrictDevices(o *StartOptions, more []cgroup.Device) error {
	c := o.Spec.Process.Capabilities
	if c == nil || rootless.Inside() || deviceRules(o.Spec.Linux.Resources) {
		return nil
	}
	nodes := slices.Contains(c.Bounding, "CAP_MKNOD") && !newNamespace(o.Spec, specs.UserNamespace)
	if !nodes && !slices.Contains(c.Bounding, "CAP_SYS_ADMIN") {
		return nil
	}
	if o.Cgroup == nil {
		return errors.New("these capabilities need a cgroup of version 2, to keep devices from the container")
	}
	return cgroup.AllowDevices(o.Cgroup, more)
}

// deviceRules reports whether the container's cgroup has been given rules of its own.
func deviceRules(r *specs.LinuxResources) bool { return r != nil && len(r.Devices) > 0 }

const pipefsMagic = 0x50495045

// giveStdio gives pipes to the container's user, so that he can open /dev/stdout, which is a link to
// /proc/self/fd/1. Nothing else is touched: a file or terminal of the host keeps its owner.
func giveStdio(given *Stdio, p *specs.Process, m *ids) error {
	if p.Terminal {
		return nil
	}
	uid, ok := hostID(m.uids, p.User.UID)
	if !ok {
		return nil // the plan reports it
	}
	for _, f := range []*os.File{given.In, given.Out, given.Err} {
		if f == nil {
			continue
		}
		var st unix.Statfs_t
		if err := unix.Fstatfs(int(f.Fd()), &st); err != nil || st.Type != pipefsMagic {
			continue
		}
		if err := unix.Fchown(int(f.Fd()), int(uid), -1); err != nil && !errors.Is(err, unix.EPERM) {
			return fmt.Errorf("give %s to the container's user: %w", f.Name(), err)
		}
	}
	return nil
}

// limit sets what needs the parent's rights: the scheduler, limits above our own, a lower badness.
func (c *starting) limit(plan *stage.Plan, p *specs.Process) error {
	if err := c.schedule(p); err != nil {
		return err
	}
	for i := range p.Rlimits {
		if err := c.limitResource(plan, p.Rlimits[:i], &p.Rlimits[i]); err != nil {
			return fmt.Errorf("process.rlimits: %w", err)
		}
	}
	if p.OOMScoreAdj == nil {
		return nil
	}
	f, err := os.OpenFile("/proc/"+strconv.Itoa(c.process.Pid)+"/oom_score_adj", os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("set oom_score_adj: %w", err)
	}
	if _, err := f.WriteString(strconv.Itoa(*p.OOMScoreAdj)); err != nil {
		_ = f.Close() // the write's error is the one to report
		return fmt.Errorf("process.oomScoreAdj: set oom_score_adj %d: %w", *p.OOMScoreAdj, err)
	}
	return f.Close()
}

// limitResource raises a limit; to lower it is left to the child, as the last it does: our program could
// not go on with what may be enough for the command.
func (c *starting) limitResource(plan *stage.Plan, before []specs.POSIXRlimit, r *specs.POSIXRlimit) error {
	if slices.ContainsFunc(before, func(o specs.POSIXRlimit) bool { return o.Type == r.Type }) {
		return fmt.Errorf("%s is there twice", r.Type)
	}
	resource, err := rlimit(r.Type)
	if err != nil {
		return err
	}
	if r.Soft > r.Hard {
		return fmt.Errorf("%s: soft limit %d is above hard limit %d", r.Type, r.Soft, r.Hard)
	}
	var now unix.Rlimit
	if err := unix.Prlimit(c.process.Pid, resource, nil, &now); err != nil {
		return fmt.Errorf("read limit %s: %w", r.Type, err)
	}
	if r.Hard > now.Max {
		if err := unix.Prlimit(c.process.Pid, resource, &unix.Rlimit{Cur: r.Hard, Max: r.Hard}, nil); err != nil {
			return fmt.Errorf("set limit %s to %d:%d: %w", r.Type, r.Soft, r.Hard, err)
		}
	}
	limit := stage.Limit{Soft: r.Soft, Hard: r.Hard}
	if resource == unix.RLIMIT_NOFILE { // the Go runtime in the child changes it
		plan.Files = limit
		return nil
	}
	plan.Limits = append(plan.Limits, stage.ResourceLimit{Resource: resource, Limit: limit})
	return nil
}

// Rlimit is a resource limit (runtime-spec, config.md "process.rlimits").
type Rlimit struct {
	Name     string // "RLIMIT_NOFILE"
	Resource int
}

// Rlimits are all there are. It is not to be changed. An array, not a map, costs nothing at the program's start.
var Rlimits = [...]Rlimit{
	{"RLIMIT_AS", unix.RLIMIT_AS},
	{"RLIMIT_CORE", unix.RLIMIT_CORE},
	{"RLIMIT_CPU", unix.RLIMIT_CPU},
	{"RLIMIT_DATA", unix.RLIMIT_DATA},
	{"RLIMIT_FSIZE", unix.RLIMIT_FSIZE},
	{"RLIMIT_LOCKS", unix.RLIMIT_LOCKS},
	{"RLIMIT_MEMLOCK", unix.RLIMIT_MEMLOCK},
	{"RLIMIT_MSGQUEUE", unix.RLIMIT_MSGQUEUE},
	{"RLIMIT_NICE", unix.RLIMIT_NICE},
	{"RLIMIT_NOFILE", unix.RLIMIT_NOFILE},
	{"RLIMIT_NPROC", unix.RLIMIT_NPROC},
	{"RLIMIT_RSS", unix.RLIMIT_RSS},
	{"RLIMIT_RTPRIO", unix.RLIMIT_RTPRIO},
	{"RLIMIT_RTTIME", unix.RLIMIT_RTTIME},
	{"RLIMIT_SIGPENDING", unix.RLIMIT_SIGPENDING},
	{"RLIMIT_STACK", unix.RLIMIT_STACK},
}

func rlimit(name string) (int, error) {
	for _, r := range Rlimits {
		if r.Name == name {
			return r.Resource, nil
		}
	}
	return 0, fmt.Errorf("unknown type %q", name)
}
