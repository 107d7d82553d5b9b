package runtime

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/runtime/stage"
)

// addAttributes plans what the child sets for itself right before it becomes the user.
func addAttributes(plan *stage.Plan, p *specs.Process, l *specs.Linux) error {
	if err := addLabels(plan, p); err != nil {
		return err
	}
	if err := addPersonality(plan, l.Personality); err != nil {
		return err
	}
	return addMemoryPolicy(plan, l.MemoryPolicy)
}

// addLabels plans the labels of security modules; one that this kernel does not run cannot be obeyed.
func addLabels(plan *stage.Plan, p *specs.Process) error {
	if p.ApparmorProfile != "" {
		if !hasAppArmor() {
			return &UnsupportedError{"process.apparmorProfile (this kernel does not run AppArmor)"}
		}
		file := "attr/apparmor/exec"
		if _, err := os.Stat("/proc/thread-self/" + file); err != nil {
			file = "attr/exec" // before Linux 5.8
		}
		plan.Labels = append(plan.Labels, stage.Pair{Key: file, Value: "exec " + p.ApparmorProfile})
	}
	if p.SelinuxLabel != "" {
		if !hasSELinux() {
			return &UnsupportedError{"process.selinuxLabel (this kernel does not run SELinux)"}
		}
		plan.Labels = append(plan.Labels, stage.Pair{Key: "attr/exec", Value: p.SelinuxLabel})
	}
	return nil
}

func hasAppArmor() bool {
	text, err := os.ReadFile("/sys/module/apparmor/parameters/enabled")
	return err == nil && strings.HasPrefix(string(text), "Y")
}

func hasSELinux() bool {
	_, err := os.Stat("/sys/fs/selinux/enforce")
	return err == nil
}

func addPersonality(plan *stage.Plan, p *specs.LinuxPersonality) error {
	if p == nil {
		return nil
	}
	if len(p.Flags) > 0 {
		return &UnsupportedError{"linux.personality.flags " + string(p.Flags[0])}
	}
	const linux, linux32 = 0, 8 // PER_*
	switch p.Domain {
	case specs.PerLinux:
		plan.Personality = 1 + linux
	case specs.PerLinux32:
		plan.Personality = 1 + linux32
	default:
		return fmt.Errorf("linux.personality.domain: unknown %q", p.Domain)
	}
	return nil
}

// addMemoryPolicy plans set_mempolicy(2).
func addMemoryPolicy(plan *stage.Plan, m *specs.LinuxMemoryPolicy) error {
	if m == nil {
		return nil
	}
	mode, ok := memoryModes(m.Mode)
	if !ok {
		return fmt.Errorf("linux.memoryPolicy.mode: unknown %q", m.Mode)
	}
	for _, f := range m.Flags {
		switch f {
		case specs.MpolFNumaBalancing:
			mode |= 1 << 13
		case specs.MpolFRelativeNodes:
			mode |= 1 << 14
		case specs.MpolFStaticNodes:
			mode |= 1 << 15
		default:
			return fmt.Errorf("linux.memoryPolicy.flags: unknown %q", f)
		}
	}
	const maxNode = 1023
	nodes, err := parseRanges(m.Nodes, maxNode)
	if err != nil {
		return fmt.Errorf("linux.memoryPolicy.nodes: %w", err)
	}
	plan.MemoryMode = 1 + mode
	for _, n := range nodes {
		for len(plan.MemoryNodes) <= n/64 {
			plan.MemoryNodes = append(plan.MemoryNodes, 0)
		}
		plan.MemoryNodes[n/64] |= 1 << (n % 64)
	}
	return nil
}

// memoryModes are the MPOL_* by name.
func memoryModes(name specs.MemoryPolicyModeType) (uint32, bool) {
	for i, n := range [...]specs.MemoryPolicyModeType{
		specs.MpolDefault, specs.MpolPreferred, specs.MpolBind, specs.MpolInterleave, specs.MpolLocal, specs.MpolPreferredMany,
		specs.MpolWeightedInterleave,
	} {
		if n == name {
			return uint32(i), true
		}
	}
	return 0, false
}

// parseRanges reads numbers as "0-3,7" has them.
func parseRanges(list string, largest int) ([]int, error) {
	var all []int
	if list == "" {
		return nil, nil
	}
	for part := range strings.SplitSeq(list, ",") {
		first, last, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			last = first
		}
		from, err := strconv.ParseUint(first, 10, 16)
		if err != nil {
			return nil, fmt.Errorf("malformed list %q", list)
		}
		to, err := strconv.ParseUint(last, 10, 16)
		if err != nil || from > to {
			return nil, fmt.Errorf("malformed list %q", list)
		}
		if int(to) > largest {
			return nil, fmt.Errorf("%d in %q is too large", to, list)
		}
		for n := from; n <= to; n++ {
			all = append(all, int(n))
		}
	}
	return all, nil
}

// schedule sets what needs the parent's rights: the scheduler and the priority of input and output. The
// thread whose id is the process's is the one that becomes the command.
func (c *starting) schedule(p *specs.Process) error {
	pid := c.process.Pid
	if p.Scheduler != nil {
		attr, err := schedAttr(p.Scheduler)
		if err != nil {
			return err
		}
		if err := unix.SchedSetAttr(pid, attr, 0); err != nil {
			return fmt.Errorf("process.scheduler: set %s: %w", p.Scheduler.Policy, err)
		}
	}
	if p.IOPriority == nil {
		return nil
	}
	priority, err := ioPriority(p.IOPriority)
	if err != nil {
		return err
	}
	const whoProcess = 1
	if _, _, errno := unix.Syscall(unix.SYS_IOPRIO_SET, whoProcess, uintptr(pid), uintptr(priority)); errno != 0 {
		return fmt.Errorf("process.ioPriority: set %s: %w", p.IOPriority.Class, errno)
	}
	return nil
}

func ioPriority(p *specs.LinuxIOPriority) (int, error) {
	const classShift, levels = 13, 8
	if p.Priority < 0 || p.Priority >= levels {
		return 0, fmt.Errorf("process.ioPriority.priority: %d is not within 0 to %d", p.Priority, levels-1)
	}
	for i, class := range [...]specs.IOPriorityClass{"", specs.IOPRIO_CLASS_RT, specs.IOPRIO_CLASS_BE, specs.IOPRIO_CLASS_IDLE} {
		if class == p.Class && i > 0 {
			return i<<classShift | p.Priority, nil
		}
	}
	return 0, fmt.Errorf("process.ioPriority.class: unknown %q", p.Class)
}

// schedAttr is what sched_setattr(2) takes.
func schedAttr(s *specs.Scheduler) (*unix.SchedAttr, error) {
	attr := &unix.SchedAttr{
		Nice: s.Nice, Priority: uint32(max(s.Priority, 0)), Runtime: s.Runtime, Deadline: s.Deadline, Period: s.Period,
	}
	if s.Priority < 0 {
		return nil, fmt.Errorf("process.scheduler.priority: %d is negative", s.Priority)
	}
	switch s.Policy {
	case specs.SchedOther:
	case specs.SchedFIFO:
		attr.Policy = unix.SCHED_FIFO
	case specs.SchedRR:
		attr.Policy = unix.SCHED_RR
	case specs.SchedBatch:
		attr.Policy = unix.SCHED_BATCH
	case specs.SchedIdle:
		attr.Policy = unix.SCHED_IDLE
	case specs.SchedDeadline:
		attr.Policy = unix.SCHED_DEADLINE
	case specs.SchedISO:
		return nil, &UnsupportedError{"process.scheduler.policy SCHED_ISO (no kernel has it)"}
	default:
		return nil, fmt.Errorf("process.scheduler.policy: unknown %q", s.Policy)
	}
	for _, name := range s.Flags {
		bit, ok := schedFlag(name)
		if !ok {
			return nil, fmt.Errorf("process.scheduler.flags: unknown %q", name)
		}
		attr.Flags |= bit
	}
	return attr, nil
}

func schedFlag(name specs.LinuxSchedulerFlag) (uint64, bool) {
	for i, n := range [...]specs.LinuxSchedulerFlag{
		specs.SchedFlagResetOnFork, specs.SchedFlagReclaim, specs.SchedFlagDLOverrun, specs.SchedFlagKeepPolicy,
		specs.SchedFlagKeepParams, specs.SchedFlagUtilClampMin, specs.SchedFlagUtilClampMax,
	} {
		if n == name {
			return 1 << i, true
		}
	}
	return 0, false
}

// setAffinity has a process that enters a container run on the initial processors while it is set up, and
// its command on the final ones (process.execCPUAffinity). done sets the latter.
func (c *starting) setAffinity(a *specs.CPUAffinity) (done func() error, err error) {
	if a == nil {
		return func() error { return nil }, nil
	}
	initial, err := parseCPUs("initial", a.Initial)
	if err != nil {
		return nil, err
	}
	final, err := parseCPUs("final", a.Final)
	if err != nil {
		return nil, err
	}
	pid := c.process.Pid
	if final == nil { // the container's, as it was born with
		final = new(unix.CPUSet)
		if err := unix.SchedGetaffinity(pid, final); err != nil {
			return nil, fmt.Errorf("process.execCPUAffinity: %w", err)
		}
	}
	if initial != nil {
		if err := unix.SchedSetaffinity(pid, initial); err != nil {
			return nil, fmt.Errorf("process.execCPUAffinity.initial: %w", err)
		}
	}
	return func() error {
		if err := unix.SchedSetaffinity(pid, final); err != nil {
			return fmt.Errorf("process.execCPUAffinity.final: %w", err)
		}
		return nil
	}, nil
}

func parseCPUs(field, list string) (*unix.CPUSet, error) {
	set := new(unix.CPUSet)
	numbers, err := parseRanges(list, len(set)*strconv.IntSize-1)
	if err != nil {
		return nil, fmt.Errorf("process.execCPUAffinity.%s: %w", field, err)
	}
	if len(numbers) == 0 {
		return nil, nil //nolint:nilnil // none is said
	}
	for _, n := range numbers {
		set.Set(n)
	}
	return set, nil
}
