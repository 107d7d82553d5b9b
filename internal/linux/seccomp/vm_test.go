package seccomp

import (
	"fmt"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// data is struct seccomp_data without the instruction pointer.
type data struct {
	nr, arch uint32
	args     [6]uint64
}

// word is what a filter's 32-bit load at offset k sees on a little-endian machine.
func (d data) word(k uint32) (uint32, error) {
	switch {
	case k == 0:
		return d.nr, nil
	case k == 4:
		return d.arch, nil
	case k >= 16 && k < 64 && k%4 == 0:
		v := d.args[(k-16)/8]
		if k%8 == 4 {
			v >>= 32
		}
		return uint32(v), nil
	}
	return 0, fmt.Errorf("load at %d", k)
}

// run executes a filter as the kernel would, refusing what the kernel's checker refuses.
func run(prog []unix.SockFilter, d data) (uint32, error) {
	var acc uint32
	for pc, steps := 0, 0; pc < len(prog); pc, steps = pc+1, steps+1 {
		if steps > len(prog) {
			return 0, fmt.Errorf("loop")
		}
		in := prog[pc]
		branch := func(taken bool) {
			if taken {
				pc += int(in.Jt)
			} else {
				pc += int(in.Jf)
			}
		}
		switch in.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			v, err := d.word(in.K)
			if err != nil {
				return 0, err
			}
			acc = v
		case unix.BPF_ALU | unix.BPF_AND | unix.BPF_K:
			acc &= in.K
		case unix.BPF_JMP | unix.BPF_JA:
			pc += int(in.K)
		case unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K:
			branch(acc == in.K)
		case unix.BPF_JMP | unix.BPF_JGT | unix.BPF_K:
			branch(acc > in.K)
		case unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K:
			branch(acc >= in.K)
		case unix.BPF_RET | unix.BPF_K:
			return in.K, nil
		default:
			return 0, fmt.Errorf("instruction %d: code %#x", pc, in.Code)
		}
	}
	return 0, fmt.Errorf("fell off the end")
}

// interpret is the meaning of a profile, read off the package documentation: slow and plain.
func interpret(p *specs.LinuxSeccomp, d data) uint32 {
	if d.arch != auditArch || (hasX32 && d.nr >= 0x40000000) {
		return unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
	}
	highest := -1
	for _, rule := range p.Syscalls {
		for _, name := range rule.Names {
			highest = max(highest, number(name))
		}
	}
	for _, rule := range p.Syscalls {
		for _, name := range rule.Names {
			if number(name) == int(d.nr) && holds(rule.Args, d) {
				return value(rule.Action, rule.ErrnoRet)
			}
		}
	}
	if highest >= 0 && int64(d.nr) > int64(highest) {
		switch p.DefaultAction {
		case specs.ActAllow, specs.ActLog, specs.ActTrace:
		default:
			return unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
		}
	}
	return value(p.DefaultAction, p.DefaultErrnoRet)
}

// numbers is the table as a map: a different lookup from the one under test.
var numbers = func() map[string]int {
	m := map[string]int{}
	for _, s := range syscalls {
		m[s.name] = int(s.number)
	}
	return m
}()

func number(name string) int {
	if n, ok := numbers[name]; ok {
		return n
	}
	return -1
}

func holds(args []specs.LinuxSeccompArg, d data) bool {
	seen := map[uint]int{}
	held := 0
	for _, a := range args {
		seen[a.Index]++
		if compare(a, d.args[a.Index]) {
			held++
		}
	}
	if len(seen) < len(args) { // an argument twice: any of them
		return held > 0
	}
	return held == len(args)
}

func compare(a specs.LinuxSeccompArg, v uint64) bool {
	switch a.Op {
	case specs.OpEqualTo:
		return v == a.Value
	case specs.OpNotEqual:
		return v != a.Value
	case specs.OpLessThan:
		return v < a.Value
	case specs.OpLessEqual:
		return v <= a.Value
	case specs.OpGreaterThan:
		return v > a.Value
	case specs.OpGreaterEqual:
		return v >= a.Value
	case specs.OpMaskedEqual:
		return v&a.Value == a.ValueTwo&a.Value
	}
	panic("operator " + a.Op)
}

// value spells the kernel's numbers out, rather than use the constants of the code under test.
func value(a specs.LinuxSeccompAction, errno *uint) uint32 {
	e := uint32(1)
	if errno != nil {
		e = uint32(*errno)
	}
	switch a {
	case specs.ActAllow:
		return 0x7fff0000
	case specs.ActErrno:
		return 0x00050000 | e
	case specs.ActKill, specs.ActKillThread:
		return 0
	case specs.ActKillProcess:
		return 0x80000000
	case specs.ActTrap:
		return 0x00030000
	case specs.ActTrace:
		return 0x7ff00000 | e
	case specs.ActLog:
		return 0x7ffc0000
	default:
	}
	panic("action " + a)
}

// corners are argument values worth trying for a profile: around every value it compares with.
func corners(p *specs.LinuxSeccomp) []uint64 {
	set := map[uint64]bool{0: true, 1: true, 1 << 31: true, 1<<32 - 1: true, 1 << 32: true, 1<<64 - 1: true}
	for _, s := range p.Syscalls {
		for _, a := range s.Args {
			for _, v := range []uint64{a.Value, a.ValueTwo} {
				for _, x := range []uint64{v, v - 1, v + 1, v ^ 1<<32, v ^ 1<<63, ^v, v & (v - 1)} {
					set[x] = true
				}
			}
		}
	}
	out := make([]uint64, 0, len(set))
	for v := range set {
		out = append(out, v)
	}
	return out
}

// verify compares filter and profile for every number up to 600, other ABIs, and argument corners.
func verify(t *testing.T, p *specs.LinuxSeccomp, prog []unix.SockFilter) {
	t.Helper()
	values := corners(p)
	conditional := map[uint32]bool{}
	for _, s := range p.Syscalls {
		for _, name := range s.Names {
			if n := number(name); n >= 0 && len(s.Args) > 0 {
				conditional[uint32(n)] = true
			}
		}
	}
	try := func(d data) {
		got, err := run(prog, d)
		if err != nil {
			t.Fatalf("%+v: %v", d, err)
		}
		if want := interpret(p, d); got != want {
			t.Fatalf("%+v: filter returns %#x, profile says %#x", d, got, want)
		}
	}
	for nr := range uint32(601) {
		try(data{nr: nr, arch: auditArch})
		if !conditional[nr] {
			continue
		}
		for i := range 6 {
			for _, v := range values {
				d := data{nr: nr, arch: auditArch}
				d.args[i] = v
				try(d)
				d.args = [6]uint64{v, v, v, v, v, v}
				try(d)
			}
		}
	}
	for _, nr := range []uint32{0, 59, 0x40000000, 0x40000001, 1 << 31, 1<<32 - 1} {
		try(data{nr: nr, arch: auditArch})
		try(data{nr: nr, arch: unix.AUDIT_ARCH_I386})
		try(data{nr: nr, arch: unix.AUDIT_ARCH_ARM})
	}
}
