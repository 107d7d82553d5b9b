package seccomp

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// update has TestSameAsLibseccomp write the profiles that hack/record-libseccomp then compiles.
var update = flag.Bool("update", false, "write the profiles to compare, for hack/record-libseccomp")

const recordings = "testdata/libseccomp"

// recorded is a profile and the program that libseccomp makes of it.
type recorded struct {
	Name    string              `json:"name"`
	Profile *specs.LinuxSeccomp `json:"profile"`
	Filter  string              `json:"filter"` // struct sock_filter, in hex
}

// machines are the architectures that filters are compiled for, by the one that is their own.
var machines = map[specs.Arch][]abi{abis[0].arch: abis[:], foreignABIs[0].arch: foreignABIs[:]}

// TestSameAsLibseccomp simulates our programs and libseccomp's, as recorded, side by side: every call of
// every ABI, and argument corners. They may differ in two things: calls above the highest that a profile
// names fail with ENOSYS in ours where the default action refuses (as runc does, behind libseccomp's back),
// and what a profile allows for some arguments only, 32-bit programs cannot have through socketcall.
func TestSameAsLibseccomp(t *testing.T) {
	if *update {
		writeProfiles(t)
		return
	}
	files, err := filepath.Glob(filepath.Join(recordings, "*.json"))
	if err != nil || len(files) < 4 {
		t.Fatalf("%v, %v: no recordings", files, err)
	}
	for _, name := range files {
		for _, r := range readRecordings(t, name) {
			t.Run(filepath.Base(name)+"/"+r.Name, func(t *testing.T) {
				list := machines[r.Profile.Architectures[0]]
				prog, err := compileFor(r.Profile, list)
				if err != nil {
					t.Fatal(err)
				}
				c := comparison{t: t, p: r.Profile, list: list, ours: prog.Filter, theirs: decodeFilter(t, r.Filter)}
				c.run()
				t.Logf("%d calls, %d instructions, libseccomp's %d", c.calls, len(c.ours), len(c.theirs))
				if c.calls < 400 {
					t.Errorf("only %d calls were compared", c.calls)
				}
			})
		}
	}
}

// TestComparisonSeesDifferences changes each recorded program in one place after the other; a
// comparison that takes them all would compare nothing.
func TestComparisonSeesDifferences(t *testing.T) {
	r := readRecordings(t, filepath.Join(recordings, "operators.json"))[0]
	theirs := decodeFilter(t, r.Filter)
	list := machines[r.Profile.Architectures[0]]
	prog, err := compileFor(r.Profile, list)
	if err != nil {
		t.Fatal(err)
	}
	for i := range theirs {
		changed := slices.Clone(theirs)
		switch changed[i].Code & 0x07 {
		case unix.BPF_RET:
			changed[i].K ^= 0x7fff0000
		case unix.BPF_JMP:
			if changed[i].Jt == changed[i].Jf || changed[i].K == 0xffffffff {
				continue
			}
			changed[i].Jt, changed[i].Jf = changed[i].Jf, changed[i].Jt
		default:
			continue
		}
		c := comparison{p: r.Profile, list: list, ours: prog.Filter, theirs: changed}
		c.run()
		if c.differences == 0 {
			t.Errorf("instruction %d changed from %+v to %+v: nothing noticed", i, theirs[i], changed[i])
		}
	}
}

func readRecordings(t *testing.T, name string) []recorded {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var all []recorded
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

func decodeFilter(t *testing.T, text string) []unix.SockFilter {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil || len(b) == 0 || len(b)%8 != 0 {
		t.Fatalf("%d bytes: %v", len(b), err)
	}
	var filter []unix.SockFilter
	for ; len(b) > 0; b = b[8:] {
		filter = append(filter, unix.SockFilter{
			Code: binary.LittleEndian.Uint16(b), Jt: b[2], Jf: b[3], K: binary.LittleEndian.Uint32(b[4:]),
		})
	}
	return filter
}

// comparison is of two programs for one profile.
type comparison struct {
	t                  *testing.T // nil: only count
	p                  *specs.LinuxSeccomp
	list               []abi
	ours, theirs       []unix.SockFilter
	calls, differences int
}

func (c *comparison) run() {
	values := corners(c.p)
	for i := range c.list {
		a := &c.list[i]
		if i > 0 && !slices.Contains(c.p.Architectures, a.arch) {
			for _, nr := range []uint32{0, 1, 59, 102, 400, 520} {
				c.try(a, -1, data{nr: nr | a.bit, arch: a.audit})
			}
			continue
		}
		values := values
		// Arguments have 32 bits; those of x32 can have more, which libseccomp overlooks.
		if a.arch == specs.ArchX86 || a.arch == specs.ArchARM || a.arch == specs.ArchX32 {
			values = slices.DeleteFunc(slices.Clone(values), func(v uint64) bool { return v>>32 != 0 })
		}
		conditional := conditionalIn(c.p, a)
		highest := c.highest(a)
		for _, nr := range numbersToTry() {
			try := func(d data) { c.try(a, highest, d) }
			try(data{nr: nr | a.bit, arch: a.audit})
			if conditional[nr] {
				tryValues(values, bases(c.p, a, nr, values), data{nr: nr | a.bit, arch: a.audit}, try)
			}
		}
	}
	for _, arch := range []uint32{0, unix.AUDIT_ARCH_RISCV64, unix.AUDIT_ARCH_S390X} {
		c.try(&c.list[0], -1, data{nr: 1, arch: arch})
	}
}

// highest is the last call of an ABI that the profile names.
func (c *comparison) highest(a *abi) int {
	last := -1
	for _, s := range c.p.Syscalls {
		for _, name := range s.Names {
			if n := numberIn(a, name); n < privateFirst {
				last = max(last, n)
			}
			through, _ := throughOf(a, name)
			last = max(last, through)
		}
	}
	return last
}

func (c *comparison) try(a *abi, highest int, d data) {
	c.calls++
	ours, err := run(c.ours, d)
	if err != nil {
		c.differ("%+v: ours: %v", d, err)
		return
	}
	theirs, err := run(c.theirs, d)
	if err != nil {
		c.differ("%+v: libseccomp's: %v", d, err)
		return
	}
	if ours == theirs {
		return
	}
	fallback := value(c.p.DefaultAction, c.p.DefaultErrnoRet)
	if highest >= 0 && int(d.nr&^a.bit) > highest && ours == retENOSYS && theirs == fallback && refuses(fallback) {
		return
	}
	if ours == fallback && refuses(fallback) && c.unseen(a, d) {
		return
	}
	c.differ("%s %d %#x: ours returns %#x, libseccomp's %#x", a.arch, d.nr&^a.bit, d.args, ours, theirs)
}

// unseen reports whether a call is made through socketcall, and the profile allows it for some of its
// arguments, which are in memory then: libseccomp allows it whatever they are.
func (c *comparison) unseen(a *abi, d data) bool {
	for _, s := range c.p.Syscalls {
		for _, name := range s.Names {
			through, first := throughOf(a, name)
			if through == int(d.nr) && d.args[0] == first && len(s.Args) > 0 && !refuses(value(s.Action, s.ErrnoRet)) {
				return true
			}
		}
	}
	return false
}

func (c *comparison) differ(format string, args ...any) {
	if c.differences++; c.t != nil && c.differences < 10 {
		c.t.Errorf(format, args...)
	}
}

// writeProfiles writes what hack/record-libseccomp is to compile.
func writeProfiles(t *testing.T) {
	t.Helper()
	if err := os.MkdirAll(recordings, 0o755); err != nil {
		t.Fatal(err)
	}
	x86 := []specs.Arch{specs.ArchX86_64, specs.ArchX86, specs.ArchX32}
	arm := []specs.Arch{specs.ArchAARCH64, specs.ArchARM}
	for name, cases := range map[string][]recorded{
		"docker":    dockerProfiles(t, x86, arm),
		"actions":   on(actionProfile(), x86, x86[:1], x86[:2], arm, arm[:1]),
		"operators": on(operatorProfile(), x86[:1], arm[:1]),
		"learnt":    slices.Concat(on(learntProfile(t), x86[:1], arm[:1]), on(serviceProfile(), x86, arm)),
		"random":    randomProfiles(x86, arm),
	} {
		text, err := json.MarshalIndent(cases, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(recordings, name+".json"), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// on gives a profile different architectures.
func on(p *specs.LinuxSeccomp, lists ...[]specs.Arch) []recorded {
	var out []recorded
	for _, l := range lists {
		q := *p
		q.Architectures = l
		out = append(out, recorded{Name: fmt.Sprint(l), Profile: &q})
	}
	return out
}

func dockerProfiles(t *testing.T, x86, arm []specs.Arch) []recorded {
	t.Helper()
	var out []recorded
	for name, caps := range map[string][]string{"docker's": dockerCaps, "none": nil, "admin": {"CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_BPF"}} {
		p, err := Default(caps)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range on(p, x86[:1], x86, arm[:1], arm) {
			r.Name = name + " " + r.Name
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b recorded) int { return compareStrings(a.Name, b.Name) })
	return out
}

func compareStrings(a, b string) int {
	if a < b {
		return -1
	}
	return 1
}

// actionProfile has every action, and every number that goes with one.
func actionProfile() *specs.LinuxSeccomp {
	return &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, DefaultErrnoRet: new(uint(13)), ListenerPath: "/run/listener", Syscalls: []specs.LinuxSyscall{
		rule(specs.ActAllow, "read write exit_group rt_sigreturn brk set_tls"), rule(specs.ActKill, "mount"),
		rule(specs.ActKillThread, "umount2"), rule(specs.ActKillProcess, "ptrace"), rule(specs.ActTrap, "kill"),
		rule(specs.ActLog, "close"), rule(specs.ActTrace, "openat"), rule(specs.ActNotify, "mkdirat unlinkat"),
		{Names: []string{"setns"}, Action: specs.ActErrno, ErrnoRet: new(uint(4094))},
		{Names: []string{"bpf"}, Action: specs.ActTrace, ErrnoRet: new(uint(65535))},
		{Names: []string{"dup"}, Action: specs.ActErrno, ErrnoRet: new(uint(0))},
		rule(specs.ActNotify, "ioctl", arg(1, specs.OpEqualTo, 0x5412)),
		rule(specs.ActKillProcess, "fcntl", arg(1, specs.OpMaskedEqual, 0xff, 9)),
	}}
}

// operatorProfile has every operator, with values of 64 bits, alone, joined, and twice for one argument.
func operatorProfile() *specs.LinuxSeccomp {
	const big = 0x1234567890abcdef
	return &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, Syscalls: []specs.LinuxSyscall{
		rule(specs.ActAllow, "read", arg(0, specs.OpEqualTo, big)), rule(specs.ActAllow, "write", arg(1, specs.OpNotEqual, big)),
		rule(specs.ActAllow, "openat", arg(2, specs.OpLessThan, big)), rule(specs.ActAllow, "close", arg(3, specs.OpLessEqual, big)),
		rule(specs.ActAllow, "fstat", arg(4, specs.OpGreaterThan, big)), rule(specs.ActAllow, "lseek", arg(5, specs.OpGreaterEqual, big)),
		rule(specs.ActAllow, "clone", arg(0, specs.OpMaskedEqual, 0xff000000ff, 0x1200000034)),
		rule(specs.ActAllow, "mmap", arg(0, specs.OpLessThan, 1<<32)), rule(specs.ActAllow, "munmap", arg(0, specs.OpLessEqual, 1<<32-2)),
		rule(specs.ActAllow, "mprotect", arg(0, specs.OpGreaterThan, 0)), rule(specs.ActAllow, "brk", arg(0, specs.OpGreaterEqual, 1<<63)),
		rule(specs.ActTrap, "prctl", arg(0, specs.OpEqualTo, 5), arg(1, specs.OpLessThan, 9), arg(2, specs.OpNotEqual, 0),
			arg(3, specs.OpGreaterEqual, 5), arg(4, specs.OpMaskedEqual, 4, 4), arg(5, specs.OpLessEqual, 5)),
		rule(specs.ActLog, "ioctl", arg(1, specs.OpEqualTo, 5), arg(1, specs.OpEqualTo, 7<<32|5), arg(2, specs.OpGreaterThan, 1<<40)),
	}}
}

// learntProfile is one that was learnt of a service.
func learntProfile(t *testing.T) *specs.LinuxSeccomp {
	t.Helper()
	b, err := os.ReadFile("../../../guard/proof/testdata/redis/seccomp.json")
	if err != nil {
		t.Fatal(err)
	}
	p, err := ParseProfile(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// serviceProfile is like those, and longer.
func serviceProfile() *specs.LinuxSeccomp {
	return &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, Syscalls: []specs.LinuxSyscall{
		rule(specs.ActAllow, `accept4 access arch_prctl bind brk clock_nanosleep clone3 close connect dup2 epoll_create1 epoll_ctl
			epoll_pwait epoll_wait eventfd2 execve exit exit_group faccessat faccessat2 fcntl fdatasync fstat fstatfs futex getcwd getdents64
			getpid getrandom getrlimit gettid ioctl listen lseek madvise mmap mprotect munmap nanosleep newfstatat openat pipe2 poll
			prctl pread64 prlimit64 pwrite64 read readlink readlinkat recvfrom rename rseq rt_sigaction rt_sigprocmask rt_sigreturn
			sched_getaffinity sendto set_robust_list set_tid_address setsockopt sigaltstack statx sysinfo tgkill umask uname unlink write writev`),
		rule(specs.ActAllow, "socket", arg(0, specs.OpEqualTo, 1)), rule(specs.ActAllow, "socket", arg(0, specs.OpEqualTo, 2)),
		rule(specs.ActAllow, "socket", arg(0, specs.OpEqualTo, 10)),
		rule(specs.ActAllow, "clone", arg(0, specs.OpMaskedEqual, 0x7e020000, 0)),
	}}
}

// randomProfiles name each call once: where rules for one call contradict each other, libseccomp has
// an order of its own.
func randomProfiles(lists ...[]specs.Arch) []recorded {
	rng := rand.New(rand.NewPCG(2026, 5))
	actions := append(slices.Clone(fuzzActions), specs.ActNotify)
	var out []recorded
	for i := range 40 {
		l := lists[i%len(lists)]
		p := &specs.LinuxSeccomp{DefaultAction: fuzzActions[rng.IntN(len(fuzzActions))], ListenerPath: "/run/listener", Architectures: l}
		wide := i%3 == 0
		if wide {
			p.Architectures = l[:1]
		}
		for _, n := range rng.Perm(len(abis[0].syscalls))[:1+rng.IntN(30)] {
			p.Syscalls = append(p.Syscalls, randomRule(rng, abis[0].syscalls[n].name, actions, wide))
		}
		p.Syscalls = slices.DeleteFunc(p.Syscalls, func(s specs.LinuxSyscall) bool {
			through, _ := throughOf(&abi{arch: specs.ArchX86}, s.Names[0])
			return through >= 0 || s.Names[0] == "socketcall" || s.Action == specs.ActNotify && checkNotify(&specs.LinuxSeccomp{ListenerPath: "/l", Syscalls: []specs.LinuxSyscall{s}}) != nil
		})
		out = append(out, recorded{Name: fmt.Sprint(i), Profile: p})
	}
	return out
}

func randomRule(rng *rand.Rand, name string, actions []specs.LinuxSeccompAction, wide bool) specs.LinuxSyscall {
	r := rule(actions[rng.IntN(len(actions))], name)
	for _, index := range rng.Perm(6)[:rng.IntN(4)] {
		v, w := uint64(rng.Uint32()), uint64(rng.Uint32())
		if wide {
			v, w = rng.Uint64(), rng.Uint64()
		}
		op := fuzzOps[rng.IntN(len(fuzzOps))]
		if op == specs.OpMaskedEqual {
			w &= v // what libseccomp does with other bits is its own affair
		}
		r.Args = append(r.Args, arg(uint(index), op, v, w))
	}
	return r
}
