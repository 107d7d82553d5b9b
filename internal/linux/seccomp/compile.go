package seccomp

import (
	"errors"
	"fmt"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

const (
	maxInstructions = 4096 // BPF_MAXINSNS
	maxJump         = 255  // conditional jump offsets are bytes
	x32Bit          = 0x40000000

	// offsets into struct seccomp_data
	offsetNumber = 0
	offsetArch   = 4
	offsetArgs   = 16
)

const (
	opLoad = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
	opAnd  = unix.BPF_ALU | unix.BPF_AND | unix.BPF_K
	opRet  = unix.BPF_RET | unix.BPF_K
	opJump = unix.BPF_JMP | unix.BPF_JA
	opEQ   = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
	opGT   = unix.BPF_JMP | unix.BPF_JGT | unix.BPF_K
	opGE   = unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K
)

// Compile compiles p for the running architecture and those of the profile's architectures whose
// programs its kernels run as well (32-bit ones); other ABIs' syscalls are refused. SCMP_ACT_NOTIFY
// needs a listenerPath. A *ProfileError says which entry is at fault.
func Compile(p *specs.LinuxSeccomp) (*Program, error) { return compileFor(p, abis[:]) }

// compileFor compiles for an architecture whose ABIs these are.
func compileFor(p *specs.LinuxSeccomp, abis []abi) (*Program, error) {
	if p == nil {
		return nil, &ProfileError{"profile", "there is none"}
	}
	flags, err := flagBits(p.Flags)
	if err != nil {
		return nil, err
	}
	if err := checkArchitectures(p.Architectures); err != nil {
		return nil, err
	}
	var all []*decisions
	for i := range abis {
		if i > 0 && !slices.Contains(p.Architectures, abis[i].arch) {
			continue
		}
		d, err := decide(p, &abis[i])
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	filter := assemble(all)
	if len(filter) > maxInstructions {
		return nil, fmt.Errorf("seccomp profile: compiles to %d instructions, the kernel takes %d: fewer argument rules are needed",
			len(filter), maxInstructions)
	}
	if err := checkNotify(p); err != nil {
		return nil, err
	}
	prog := &Program{Filter: filter, NoExec: all[0].refusesAlways("execve"), Flags: flags, Notify: p.ListenerPath != "" && notifies(p)}
	if prog.Notify {
		prog.Flags |= unix.SECCOMP_FILTER_FLAG_NEW_LISTENER
	} else {
		prog.Flags &^= unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV // EINVAL without a listener
	}
	return prog, nil
}

// notifies reports whether a rule asks a supervisor.
func notifies(p *specs.LinuxSeccomp) bool {
	return slices.ContainsFunc(p.Syscalls, func(s specs.LinuxSyscall) bool { return s.Action == specs.ActNotify })
}

// checkNotify refuses what would leave the container waiting for itself.
func checkNotify(p *specs.LinuxSeccomp) error {
	if err := checkNotifyDefault(p.DefaultAction); err != nil {
		return err
	}
	for i := range p.Syscalls {
		s := &p.Syscalls[i]
		if err := checkNotifyCalls(s.Action, s.Names, p.ListenerPath); err != nil {
			return &ProfileError{entry(i, s.Names), err.Error()}
		}
	}
	return nil
}

func checkNotifyDefault(action specs.LinuxSeccompAction) error {
	if action == specs.ActNotify {
		return &ProfileError{"defaultAction", "SCMP_ACT_NOTIFY cannot be the default: the call that hands the listener on would wait for it"}
	}
	return nil
}

// checkNotifyCalls: without a listener nobody answers, and a start that may write once the filter is on
// cannot wait for an answer. runc refuses the same.
func checkNotifyCalls(action specs.LinuxSeccompAction, names []string, listener string) error {
	if action != specs.ActNotify {
		return nil
	}
	if listener == "" {
		return errors.New("action SCMP_ACT_NOTIFY needs a listenerPath")
	}
	if slices.Contains(names, "write") {
		return errors.New("action SCMP_ACT_NOTIFY cannot be had for write, which the start itself may need")
	}
	return nil
}

// flagBits translates flags; TSYNC is meaningless right before execve and left out.
func flagBits(flags []specs.LinuxSeccompFlag) (bits uint, err error) {
	for i, f := range flags {
		switch f {
		case specs.LinuxSeccompFlagLog:
			bits |= unix.SECCOMP_FILTER_FLAG_LOG
		case specs.LinuxSeccompFlagSpecAllow:
			bits |= unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW
		case specs.LinuxSeccompFlagWaitKillableRecv:
			bits |= unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
		case "SECCOMP_FILTER_FLAG_TSYNC":
		default:
			return 0, &ProfileError{fmt.Sprintf("flags[%d]", i), fmt.Sprintf("unknown flag %q", f)}
		}
	}
	return bits, nil
}

func checkArchitectures(arches []specs.Arch) error {
	for i, a := range arches {
		switch a {
		case specs.ArchX86, specs.ArchX86_64, specs.ArchX32, specs.ArchARM, specs.ArchAARCH64, specs.ArchMIPS,
			specs.ArchMIPS64, specs.ArchMIPS64N32, specs.ArchMIPSEL, specs.ArchMIPSEL64, specs.ArchMIPSEL64N32,
			specs.ArchPPC, specs.ArchPPC64, specs.ArchPPC64LE, specs.ArchS390, specs.ArchS390X, specs.ArchPARISC,
			specs.ArchPARISC64, specs.ArchRISCV64, specs.ArchLOONGARCH64, specs.ArchM68K, specs.ArchSH, specs.ArchSHEB:
		default:
			return &ProfileError{fmt.Sprintf("architectures[%d]", i), fmt.Sprintf("unknown architecture %q", a)}
		}
	}
	return nil
}

// assemble makes the whole filter: for each ABI a check, then a binary search over the number.
// The running architecture's comes first; x32, whose calls come with the same AUDIT_ARCH, behind it.
func assemble(all []*decisions) []unix.SockFilter {
	out := make([]unix.SockFilter, 0, 512)
	out = append(out, stmt(opLoad, offsetArch))
	for i := 0; i < len(all); {
		same := i + 1
		for same < len(all) && all[same].abi.audit == all[i].abi.audit {
			same++
		}
		block := assembleArch(all[i:same])
		out = append(out, jump(opEQ, all[i].abi.audit, 1, 0), stmt(opJump, uint32(len(block)))) //nolint:gosec // checked later
		out = append(out, block...)
		i = same
	}
	return append(out, stmt(opRet, retENOSYS))
}

// assembleArch makes the part for one AUDIT_ARCH; every path through it returns.
func assembleArch(all []*decisions) []unix.SockFilter {
	out := []unix.SockFilter{stmt(opLoad, offsetNumber)}
	d := all[0]
	if d.abi.audit != unix.AUDIT_ARCH_X86_64 {
		return search(out, spans(d))
	}
	own := search(nil, spans(d))
	out = append(out, jump(opGE, x32Bit, 0, 1), stmt(opJump, uint32(len(own)))) //nolint:gosec // checked later
	out = append(out, own...)
	if len(all) == 1 {
		return append(out, stmt(opRet, retENOSYS))
	}
	return search(out, spans(all[1]))
}

// span is a run of syscall numbers, from first up to the next span, that share one decision.
type span struct {
	first uint32
	*decision
}

// spans merges neighbours whose decision is the same constant.
func spans(d *decisions) []span {
	out := make([]span, 0, 128)
	add := func(n uint32, call *decision) {
		if last := len(out) - 1; last >= 0 && call.constant() && out[last].constant() && out[last].final == call.final {
			return
		}
		out = append(out, span{n | d.abi.bit, call})
	}
	for n := range d.calls {
		add(uint32(n), &d.calls[n])
	}
	beyond := &decision{final: d.beyond}
	add(uint32(len(d.calls)), beyond) //nolint:gosec // at most lastDense+1
	for n := range d.private {
		add(privateFirst+uint32(n), &d.private[n])
	}
	if len(d.private) > 0 {
		add(privateFirst+uint32(len(d.private)), beyond) //nolint:gosec // a handful
	}
	return out
}

func (d *decision) constant() bool { return len(d.alternatives) == 0 }

// search appends a decision tree over the spans. The number is in the accumulator; every leaf returns.
func search(out []unix.SockFilter, s []span) []unix.SockFilter {
	if len(s) == 1 {
		return s[0].appendTo(out)
	}
	mid := len(s) / 2
	branch := len(out)
	out = append(out, jump(opGE, s[mid].first, 0, 0), unix.SockFilter{})
	out = search(out, s[:mid])
	if lower := len(out) - branch - 2; lower < maxJump {
		// the common case: no room for a long jump is needed
		out = slices.Delete(out, branch+1, branch+2)
		out[branch].Jt = uint8(lower) //nolint:gosec // below 255
	} else {
		out[branch].Jf = 1
		out[branch+1] = stmt(opJump, uint32(lower)) //nolint:gosec // far below 2^32
	}
	return search(out, s[mid:])
}

// appendTo appends the code of one decision, which always returns.
func (d *decision) appendTo(out []unix.SockFilter) []unix.SockFilter {
	for rest := d.alternatives; len(rest) > 0; {
		n := equalRun(rest)
		if n > 1 {
			out = appendEqualRun(out, rest[:n])
		} else {
			out = appendAlternative(out, rest[0])
		}
		rest = rest[n:]
	}
	return append(out, stmt(opRet, d.final))
}

func stmt(code uint16, k uint32) unix.SockFilter { return unix.SockFilter{Code: code, K: k} }

func jump(code uint16, k uint32, jt, jf uint8) unix.SockFilter {
	return unix.SockFilter{Code: code, Jt: jt, Jf: jf, K: k}
}
