package tracer

import (
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/linux/seccomp"
)

// What the filter tells the tracer with each stop (SECCOMP_RET_DATA): up to maxErrno the error to refuse with,
// with dataDefault added where no rule of the profile named the call, or that it may pass.
const (
	maxErrno    = 4095
	dataDefault = 0x1000
	dataPass    = 0x8000
)

// Filter is the profile for a container that a Tracer watches: each call stops once for the tracer, which lets
// pass what p allows and refuses, with p's errno, what p refuses so. Rules keep their conditions and their
// order; actions that kill or trap stay. A nil p allows everything. p is not changed.
//
// Without a tracer every call that stops fails with ENOSYS.
func Filter(p *specs.LinuxSeccomp) *specs.LinuxSeccomp { return transform(p, nil) }

// DenialsFilter is Filter for those who want to know what was refused and what paths, sockets and identities were
// asked for, but not how often each call was made: allowed calls that are only counted do not stop, and are not
// counted.
func DenialsFilter(p *specs.LinuxSeccomp) *specs.LinuxSeccomp { return transform(p, countedNames()) }

// countedNames lists the calls that are only counted.
func countedNames() []string {
	var names []string
	for _, c := range table() {
		if c.keep == count && c.name != "" {
			names = append(names, c.name)
		}
	}
	return names
}

// transform has all calls stop but those named free, where they are allowed.
func transform(p *specs.LinuxSeccomp, free []string) *specs.LinuxSeccomp {
	if p == nil {
		p = &specs.LinuxSeccomp{DefaultAction: specs.ActAllow}
	}
	out := *p
	out.Syscalls = make([]specs.LinuxSyscall, 0, len(p.Syscalls)+2)
	highest := -1
	for _, rule := range p.Syscalls {
		out.Syscalls = append(out.Syscalls, rules(rule, free)...)
		for _, name := range rule.Names {
			if n, ok := seccomp.Number(name); ok {
				highest = max(highest, n)
			}
		}
	}
	if highest < 0 || !refused(p.DefaultAction) {
		out.DefaultAction, out.DefaultErrnoRet = traced(p.DefaultAction, p.DefaultErrnoRet, 0)
		if p.DefaultAction == specs.ActAllow && len(free) > 0 {
			out.Syscalls = append(out.Syscalls, specs.LinuxSyscall{Names: free, Action: specs.ActAllow})
		}
		return &out
	}
	out.DefaultAction, out.DefaultErrnoRet = traced(p.DefaultAction, p.DefaultErrnoRet, dataDefault)
	if newer := namesFrom(highest + 1); len(newer) > 0 {
		out.Syscalls = append(out.Syscalls, specs.LinuxSyscall{Names: newer, Action: specs.ActTrace, ErrnoRet: new(uint(unix.ENOSYS))})
	}
	return &out
}

// rules are what one rule becomes: that for the tracer, and for the names that are free the rule itself.
func rules(rule specs.LinuxSyscall, free []string) []specs.LinuxSyscall {
	out := rule
	out.Action, out.ErrnoRet = traced(rule.Action, rule.ErrnoRet, 0)
	if rule.Action != specs.ActAllow || len(free) == 0 {
		return []specs.LinuxSyscall{out}
	}
	same := rule
	same.Names, out.Names = nil, nil
	for _, name := range rule.Names {
		if slices.Contains(free, name) {
			same.Names = append(same.Names, name)
		} else {
			out.Names = append(out.Names, name)
		}
	}
	return []specs.LinuxSyscall{same, out}
}

// refused reports whether an action refuses, so that package seccomp has calls that are newer than the profile
// fail with ENOSYS instead. To it our filter refuses nothing: we must do the same.
func refused(a specs.LinuxSeccompAction) bool {
	return a != specs.ActAllow && a != specs.ActLog && a != specs.ActTrace
}

// traced turns an action into one that asks the tracer, where the tracer can answer for it.
func traced(a specs.LinuxSeccompAction, errno *uint, mark uint) (specs.LinuxSeccompAction, *uint) {
	switch a {
	case specs.ActAllow, specs.ActLog:
		return specs.ActTrace, new(uint(dataPass))
	case specs.ActTrace: // nobody traced it: the kernel says ENOSYS
		return specs.ActTrace, new(uint(unix.ENOSYS))
	case specs.ActErrno:
		if errno == nil {
			return specs.ActTrace, new(uint(unix.EPERM) | mark)
		}
		if *errno > maxErrno {
			return a, errno // package seccomp says what is wrong with it
		}
		return specs.ActTrace, new(*errno | mark)
	default:
		return a, errno
	}
}

// namesFrom lists the known syscalls from a number upwards.
func namesFrom(first int) []string {
	all := seccomp.Names()
	return slices.DeleteFunc(all[min(first, len(all)):], func(name string) bool { return name == "" })
}
