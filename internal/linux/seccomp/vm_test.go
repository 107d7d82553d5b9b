package seccomp

import (
	"fmt"
	"maps"
	"slices"
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

// auditArch is the running architecture's.
var auditArch = abis[0].audit

// abiOf finds the ABI of a call by the numbers in it, nil where the profile does not name it.
func abiOf(p *specs.LinuxSeccomp, d data, abis []abi) *abi {
	var found *abi
	for i := range abis {
		a := &abis[i]
		x32 := d.arch == unix.AUDIT_ARCH_X86_64 && d.nr >= 0x40000000
		if a.audit == d.arch && x32 == (a.arch == specs.ArchX32) {
			found = a
		}
	}
	if found == nil || found != &abis[0] && !slices.Contains(p.Architectures, found.arch) {
		return nil
	}
	return found
}

// interpret is the meaning of a profile, read off the package documentation: slow and plain.
func interpret(p *specs.LinuxSeccomp, d data) uint32 { return interpretOn(abis[:], p, d) }

func interpretOn(abis []abi, p *specs.LinuxSeccomp, d data) uint32 {
	a := abiOf(p, d, abis)
	if a == nil {
		return unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
	}
	nr := int(d.nr &^ a.bit)
	highest := -1
	for _, rule := range p.Syscalls {
		for _, name := range rule.Names {
			if n := numberIn(a, name); n < privateFirst {
				highest = max(highest, n)
			}
			if through, _ := throughOf(a, name); through >= 0 && (len(rule.Args) == 0 || refuses(value(rule.Action, rule.ErrnoRet))) {
				highest = max(highest, through)
			}
		}
	}
	for _, rule := range p.Syscalls {
		for _, name := range rule.Names {
			if numberIn(a, name) == nr && holds(rule.Args, d) || holdsThrough(a, rule, name, nr, d) {
				return value(rule.Action, rule.ErrnoRet)
			}
		}
	}
	named := slices.ContainsFunc(a.syscalls, func(s syscallNumber) bool { return s.number >= privateFirst && int(s.number) == nr })
	if highest >= 0 && nr > highest && !named {
		switch p.DefaultAction {
		case specs.ActAllow, specs.ActLog, specs.ActTrace:
		default:
			return unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)
		}
	}
	return value(p.DefaultAction, p.DefaultErrnoRet)
}

// holdsThrough: a rule decides about the same call made through socketcall or ipc.
func holdsThrough(a *abi, rule specs.LinuxSyscall, name string, nr int, d data) bool {
	through, first := throughOf(a, name)
	if through != nr || len(rule.Args) > 0 && !refuses(value(rule.Action, rule.ErrnoRet)) {
		return false
	}
	if nr == 117 {
		return d.args[0]&0xffff == first
	}
	return d.args[0] == first
}

// throughOf gives the number of the call that name can be made through, and its first argument then.
func throughOf(a *abi, name string) (int, uint64) {
	if a.arch != specs.ArchX86 {
		return -1, 0
	}
	for _, m := range multiplexed {
		if m.name == name {
			return map[string]int{"socketcall": 102, "ipc": 117}[m.through], m.first
		}
	}
	return -1, 0
}

// numbers are the tables as maps: a different lookup from the one under test.
var numbers = func() map[specs.Arch]map[string]int {
	m := map[specs.Arch]map[string]int{}
	for _, a := range slices.Concat(abis[:], foreignABIs[:]) {
		m[a.arch] = map[string]int{}
		for _, s := range a.syscalls {
			m[a.arch][s.name] = int(s.number)
		}
	}
	return m
}()

func number(name string) int { return numberIn(&abis[0], name) }

func numberIn(a *abi, name string) int {
	if n, ok := numbers[a.arch][name]; ok {
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
	case specs.ActNotify:
		return 0x7fc00000
	default:
	}
	panic("action " + a)
}

// corners are argument values worth trying for a profile: around every value it compares with.
func corners(p *specs.LinuxSeccomp) []uint64 {
	set := map[uint64]bool{0: true, 1: true, 3: true, 0x10003: true, 1 << 31: true, 1<<32 - 1: true, 1 << 32: true, 1<<64 - 1: true}
	for _, s := range p.Syscalls {
		for _, a := range s.Args {
			for _, v := range []uint64{a.Value, a.ValueTwo} {
				for _, x := range []uint64{v, v - 1, v + 1, v ^ 1<<32, v ^ 1<<63, ^v, v & (v - 1)} {
					set[x] = true
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(set))
}

// verify compares filter and profile for every number up to 600 of every ABI, ARM's own calls, and
// argument corners.
func verify(t *testing.T, p *specs.LinuxSeccomp, prog []unix.SockFilter) {
	t.Helper()
	verifyOn(t, abis[:], p, prog)
}

func verifyOn(t *testing.T, abis []abi, p *specs.LinuxSeccomp, prog []unix.SockFilter) {
	t.Helper()
	values := corners(p)
	try := func(d data) {
		got, err := run(prog, d)
		if err != nil {
			t.Fatalf("%+v: %v", d, err)
		}
		if want := interpretOn(abis, p, d); got != want {
			t.Fatalf("%+v: filter returns %#x, profile says %#x", d, got, want)
		}
	}
	for i := range abis {
		a := &abis[i]
		if i > 0 && !slices.Contains(p.Architectures, a.arch) {
			try(data{nr: 1 | a.bit, arch: a.audit})
			continue
		}
		conditional := conditionalIn(p, a)
		for _, nr := range numbersToTry() {
			try(data{nr: nr | a.bit, arch: a.audit})
			if conditional[nr] {
				tryValues(values, bases(p, a, nr, values), data{nr: nr | a.bit, arch: a.audit}, try)
			}
		}
	}
	for _, nr := range []uint32{0, 59, 0x40000000, 0x40000001, 1 << 31, 1<<32 - 1} {
		for _, arch := range []uint32{unix.AUDIT_ARCH_X86_64, unix.AUDIT_ARCH_AARCH64, unix.AUDIT_ARCH_I386, unix.AUDIT_ARCH_ARM, unix.AUDIT_ARCH_RISCV64, 0} {
			try(data{nr: nr, arch: arch})
		}
	}
}

func numbersToTry() []uint32 {
	var n []uint32
	for nr := range uint32(601) {
		n = append(n, nr)
	}
	for nr := uint32(0xefffe); nr < 0xf000a; nr++ {
		n = append(n, nr)
	}
	return n
}

// conditionalIn are the calls of an ABI whose arguments matter.
func conditionalIn(p *specs.LinuxSeccomp, a *abi) map[uint32]bool {
	conditional := map[uint32]bool{}
	for _, s := range p.Syscalls {
		for _, name := range s.Names {
			if n := numberIn(a, name); n >= 0 && len(s.Args) > 0 {
				conditional[uint32(n)] = true
			}
			if through, _ := throughOf(a, name); through >= 0 {
				conditional[uint32(through)] = true
			}
		}
	}
	return conditional
}

// bases are arguments to start from: none, and for each rule of a call some that it holds for.
func bases(p *specs.LinuxSeccomp, a *abi, nr uint32, values []uint64) [][6]uint64 {
	out := [][6]uint64{{}}
	for _, s := range p.Syscalls {
		named := slices.ContainsFunc(s.Names, func(name string) bool { return numberIn(a, name) == int(nr) })
		if !named || len(s.Args) < 2 {
			continue
		}
		var base [6]uint64
		for _, c := range s.Args {
			if i := slices.IndexFunc(values, func(v uint64) bool { return compare(c, v) }); i >= 0 {
				base[c.Index] = values[i]
			}
		}
		out = append(out, base)
	}
	return out
}

// tryValues tries each value in each argument, from each base, and in all arguments.
func tryValues(values []uint64, bases [][6]uint64, d data, try func(data)) {
	for _, v := range values {
		d.args = [6]uint64{v, v, v, v, v, v}
		try(d)
		for _, base := range bases {
			for i := range 6 {
				d.args = base
				d.args[i] = v
				try(d)
			}
		}
	}
}
