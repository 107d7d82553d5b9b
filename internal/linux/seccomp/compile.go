package seccomp

import (
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

// Compile compiles p for the running architecture. The profile's architectures are checked but not
// followed: other ABIs' syscalls are refused. A *ProfileError says which entry is at fault.
func Compile(p *specs.LinuxSeccomp) (*Program, error) {
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
	d, err := decide(p)
	if err != nil {
		return nil, err
	}
	filter := assemble(d)
	if len(filter) > maxInstructions {
		return nil, fmt.Errorf("seccomp profile: compiles to %d instructions, the kernel takes %d: fewer argument rules are needed",
			len(filter), maxInstructions)
	}
	return &Program{Filter: filter, Flags: flags, NoExec: d.refusesAlways("execve")}, nil
}

// flagBits translates flags; TSYNC is meaningless right before execve and left out.
func flagBits(flags []specs.LinuxSeccompFlag) (bits uint, err error) {
	for i, f := range flags {
		switch f {
		case specs.LinuxSeccompFlagLog:
			bits |= unix.SECCOMP_FILTER_FLAG_LOG
		case specs.LinuxSeccompFlagSpecAllow:
			bits |= unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW
		case "SECCOMP_FILTER_FLAG_TSYNC", specs.LinuxSeccompFlagWaitKillableRecv:
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

// assemble makes the whole filter: ABI checks, then a binary search over the syscall number.
func assemble(d *decisions) []unix.SockFilter {
	out := make([]unix.SockFilter, 0, 512)
	out = append(out,
		stmt(opLoad, offsetArch),
		jump(opEQ, auditArch, 1, 0),
		stmt(opRet, retENOSYS),
		stmt(opLoad, offsetNumber))
	if hasX32 {
		out = append(out, jump(opGE, x32Bit, 0, 1), stmt(opRet, retENOSYS))
	}
	return search(out, spans(d))
}

// span is a run of syscall numbers, from first up to the next span, that share one decision.
type span struct {
	first uint32
	*decision
}

// spans merges neighbours whose decision is the same constant.
func spans(d *decisions) []span {
	out := make([]span, 0, 128)
	for n := range d.calls {
		call := &d.calls[n]
		if last := len(out) - 1; last >= 0 && call.constant() && out[last].constant() && out[last].final == call.final {
			continue
		}
		out = append(out, span{uint32(n), call})
	}
	return append(out, span{uint32(len(d.calls)), &decision{final: d.beyond}}) //nolint:gosec // at most lastSyscall+1
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
