package seccomp

import (
	"fmt"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

const (
	retENOSYS = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
	maxErrno  = 4095 // the kernel's MAX_ERRNO
	maxArgs   = 6
)

// alternative is a set of conditions and what is returned when all of them hold.
type alternative struct {
	conditions []specs.LinuxSeccompArg
	ret        uint32
}

// decision says what happens to one syscall: the first alternative that holds, else final.
type decision struct {
	alternatives []alternative
	final        uint32
	closed       bool // final was set by an unconditional rule: later rules cannot matter
}

// The calls of ARM's own have numbers far above the others.
const (
	lastDense    = 1023
	privateFirst = 0xf0001
)

// decisions is a profile resolved for one ABI.
type decisions struct {
	abi     *abi
	calls   []decision // by number, up to the highest one the profile names
	private []decision // by number, from privateFirst on
	beyond  uint32     // for higher numbers
}

// decide resolves names, actions and order.
func decide(p *specs.LinuxSeccomp, a *abi) (*decisions, error) {
	fallback, err := returnValue(p.DefaultAction, p.DefaultErrnoRet)
	if err != nil {
		return nil, &ProfileError{"defaultAction", err.Error()}
	}
	d := &decisions{abi: a, calls: make([]decision, 0, 512), beyond: fallback}
	for _, s := range a.syscalls {
		if s.number >= privateFirst {
			d.call(s.number, fallback) // not beyond any that a profile names
		}
	}
	for i := range p.Syscalls {
		if err := d.addRule(&p.Syscalls[i], fallback); err != nil {
			return nil, &ProfileError{entry(i, p.Syscalls[i].Names), err.Error()}
		}
	}
	if len(d.calls) > 0 && refuses(fallback) {
		d.beyond = retENOSYS
	}
	return d, nil
}

// addRule adds one entry of the profile.
func (d *decisions) addRule(rule *specs.LinuxSyscall, fallback uint32) error {
	ret, err := returnValue(rule.Action, rule.ErrnoRet)
	if err != nil {
		return err
	}
	if err := checkArgs(rule.Args); err != nil {
		return err
	}
	sets := conditionSets(rule.Args)
	multiplexes := d.abi.arch == specs.ArchX86 && (len(sets) == 0 || refuses(ret))
	for _, name := range rule.Names {
		if n, ok := d.abi.number(name); ok {
			d.call(n, fallback).add(sets, ret)
		}
		if multiplexes {
			d.addMultiplexed(name, ret, fallback)
		}
	}
	return nil
}

// call is the place of a call's decision, which is fallback where there is none yet.
func (d *decisions) call(n, fallback uint32) *decision {
	place, i := &d.calls, n
	if n > lastDense {
		place, i = &d.private, n-privateFirst
	}
	for len(*place) <= int(i) {
		*place = append(*place, decision{final: fallback})
	}
	return &(*place)[i]
}

// add appends a rule's alternatives; no sets is an unconditional rule.
func (d *decision) add(sets [][]specs.LinuxSeccompArg, ret uint32) {
	if d.closed {
		return
	}
	if len(sets) == 0 {
		d.final, d.closed = ret, true
		for n := len(d.alternatives); n > 0 && d.alternatives[n-1].ret == ret; n-- {
			d.alternatives = d.alternatives[:n-1] // decides the same with or without
		}
		return
	}
	for _, set := range sets {
		d.alternatives = append(d.alternatives, alternative{set, ret})
	}
}

// conditionSets turns a rule's conditions into alternatives: one set of all of them, or one set
// each where an argument occurs twice (runc's and crun's reading).
func conditionSets(args []specs.LinuxSeccompArg) [][]specs.LinuxSeccompArg {
	if len(args) == 0 {
		return nil
	}
	var seen [maxArgs]bool
	for _, a := range args {
		if seen[a.Index] {
			return slices.Collect(slices.Chunk(args, 1))
		}
		seen[a.Index] = true
	}
	return [][]specs.LinuxSeccompArg{args}
}

func checkArgs(args []specs.LinuxSeccompArg) error {
	for i, a := range args {
		if a.Index >= maxArgs {
			return fmt.Errorf("args[%d]: index %d: a syscall has arguments 0 to 5", i, a.Index)
		}
		switch a.Op {
		case specs.OpNotEqual, specs.OpLessThan, specs.OpLessEqual, specs.OpEqualTo,
			specs.OpGreaterEqual, specs.OpGreaterThan, specs.OpMaskedEqual:
		default:
			return fmt.Errorf("args[%d]: unknown operator %q", i, a.Op)
		}
	}
	return nil
}

// returnValue is the filter's return value for an action.
func returnValue(action specs.LinuxSeccompAction, errnoRet *uint) (uint32, error) {
	var base uint32
	switch action {
	case specs.ActErrno, specs.ActTrace:
		return valueWithData(action, errnoRet)
	case specs.ActAllow:
		base = unix.SECCOMP_RET_ALLOW
	case specs.ActKill, specs.ActKillThread:
		base = unix.SECCOMP_RET_KILL_THREAD
	case specs.ActKillProcess:
		base = unix.SECCOMP_RET_KILL_PROCESS
	case specs.ActTrap:
		base = unix.SECCOMP_RET_TRAP
	case specs.ActLog:
		base = unix.SECCOMP_RET_LOG
	case specs.ActNotify:
		base = unix.SECCOMP_RET_USER_NOTIF
	default:
		return 0, fmt.Errorf("unknown action %q", action)
	}
	if errnoRet != nil { // runtime-spec config-linux: the runtime MUST generate an error
		return 0, fmt.Errorf("action %s takes no errnoRet", action)
	}
	return base, nil
}

// valueWithData is returnValue for the two actions that carry a number, EPERM unless given.
func valueWithData(action specs.LinuxSeccompAction, errnoRet *uint) (uint32, error) {
	data, base, limit := uint(unix.EPERM), uint32(unix.SECCOMP_RET_ERRNO), uint(maxErrno)
	if action == specs.ActTrace {
		base, limit = unix.SECCOMP_RET_TRACE, unix.SECCOMP_RET_DATA
	}
	if errnoRet != nil {
		data = *errnoRet
	}
	if data > limit {
		return 0, fmt.Errorf("errnoRet %d is more than %d", data, limit)
	}
	return base | uint32(data), nil
}

// refuses reports whether a syscall with this return value does not run.
func refuses(ret uint32) bool {
	switch ret & unix.SECCOMP_RET_ACTION_FULL {
	case unix.SECCOMP_RET_ALLOW, unix.SECCOMP_RET_LOG, unix.SECCOMP_RET_TRACE:
		return false
	}
	return true
}

// refusesAlways reports whether a syscall never runs.
func (d *decisions) refusesAlways(name string) bool {
	n, ok := numberOf(name)
	if !ok || int(n) >= len(d.calls) {
		return refuses(d.beyond)
	}
	call := &d.calls[n]
	return refuses(call.final) && !slices.ContainsFunc(call.alternatives, func(a alternative) bool { return !refuses(a.ret) })
}

// entry names an entry of a profile's syscalls list for an error.
func entry(i int, names []string) string {
	switch len(names) {
	case 0:
		return fmt.Sprintf("syscalls[%d]", i)
	case 1:
		return fmt.Sprintf("syscalls[%d] (%s)", i, names[0])
	}
	return fmt.Sprintf("syscalls[%d] (%s, …)", i, names[0])
}
