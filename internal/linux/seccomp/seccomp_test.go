package seccomp

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

var dockerCaps = []string{
	"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW",
	"CAP_SETGID", "CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
}

func arg(index uint, op specs.LinuxSeccompOperator, values ...uint64) specs.LinuxSeccompArg {
	a := specs.LinuxSeccompArg{Index: index, Op: op, Value: values[0]}
	if len(values) > 1 {
		a.ValueTwo = values[1]
	}
	return a
}

func rule(action specs.LinuxSeccompAction, names string, args ...specs.LinuxSeccompArg) specs.LinuxSyscall {
	return specs.LinuxSyscall{Names: strings.Fields(names), Action: action, Args: args}
}

var everyArch = []specs.Arch{specs.ArchX86_64, specs.ArchX86, specs.ArchX32, specs.ArchAARCH64, specs.ArchARM}

func TestCompileMeansTheProfile(t *testing.T) {
	const big = 0x1234567890abcdef
	many := []specs.LinuxSyscall{}
	for v := range uint64(450) { // more than one run, more than a short jump
		many = append(many, rule(specs.ActAllow, "socket", arg(0, specs.OpEqualTo, 2*v)))
	}
	var scattered []specs.LinuxSyscall
	for i, s := range abis[0].syscalls { // every second one conditional: the tree's own jumps become long
		if i%2 == 0 {
			scattered = append(scattered, rule(specs.ActErrno, s.name, arg(1, specs.OpGreaterThan, uint64(i%8)<<30)))
		}
	}
	tests := map[string]*specs.LinuxSeccomp{
		"allow all":  {DefaultAction: specs.ActAllow},
		"refuse all": {DefaultAction: specs.ActErrno, DefaultErrnoRet: new(uint(13))},
		"actions": {DefaultAction: specs.ActTrap, Syscalls: []specs.LinuxSyscall{
			rule(specs.ActAllow, "read write exit_group"), rule(specs.ActKill, "mount"), rule(specs.ActKillThread, "umount2"),
			rule(specs.ActKillProcess, "ptrace"), rule(specs.ActTrace, "openat"), rule(specs.ActLog, "close"),
			rule(specs.ActTrap, "kill"),
			{Names: []string{"setns"}, Action: specs.ActErrno, ErrnoRet: new(uint(4095))},
			{Names: []string{"bpf"}, Action: specs.ActTrace, ErrnoRet: new(uint(65535))},
			{Names: []string{"dup"}, Action: specs.ActErrno, ErrnoRet: new(uint(0))},
		}},
		"operators": {DefaultAction: specs.ActErrno, Syscalls: []specs.LinuxSyscall{
			rule(specs.ActAllow, "read", arg(0, specs.OpEqualTo, big)), rule(specs.ActAllow, "write", arg(1, specs.OpNotEqual, big)),
			rule(specs.ActAllow, "openat", arg(2, specs.OpLessThan, big)), rule(specs.ActAllow, "close", arg(3, specs.OpLessEqual, big)),
			rule(specs.ActAllow, "fstat", arg(4, specs.OpGreaterThan, big)), rule(specs.ActAllow, "lseek", arg(5, specs.OpGreaterEqual, big)),
			rule(specs.ActAllow, "clone", arg(0, specs.OpMaskedEqual, 0xff000000ff, 0x1200000034)),
			rule(specs.ActAllow, "mmap", arg(0, specs.OpMaskedEqual, 0xff, 0x1ff)),
		}},
		"conditions are joined": {DefaultAction: specs.ActErrno, Syscalls: []specs.LinuxSyscall{
			rule(specs.ActAllow, "prctl", arg(0, specs.OpEqualTo, 5), arg(1, specs.OpLessThan, 9), arg(2, specs.OpNotEqual, 0),
				arg(3, specs.OpGreaterEqual, 5), arg(4, specs.OpMaskedEqual, 4, 4), arg(5, specs.OpLessEqual, 5)),
		}},
		"one argument twice": {DefaultAction: specs.ActErrno, Syscalls: []specs.LinuxSyscall{
			rule(specs.ActAllow, "prctl", arg(0, specs.OpEqualTo, 5), arg(0, specs.OpEqualTo, 7), arg(1, specs.OpEqualTo, 1)),
		}},
		"first rule that holds": {DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{
			rule(specs.ActErrno, "socket", arg(0, specs.OpEqualTo, 40)), rule(specs.ActLog, "socket", arg(0, specs.OpGreaterThan, 30)),
			rule(specs.ActAllow, "socket"), rule(specs.ActKill, "socket"), rule(specs.ActKill, "socket", arg(0, specs.OpEqualTo, 1)),
		}},
		"rules made needless": {DefaultAction: specs.ActErrno, Syscalls: []specs.LinuxSyscall{
			rule(specs.ActKill, "socket", arg(0, specs.OpEqualTo, 3)), rule(specs.ActAllow, "socket", arg(0, specs.OpEqualTo, 1)),
			rule(specs.ActAllow, "socket"),
		}},
		"unknown names":     {DefaultAction: specs.ActErrno, Syscalls: []specs.LinuxSyscall{rule(specs.ActAllow, "nosuch socketcall read")}},
		"only unknown":      {DefaultAction: specs.ActErrno, Syscalls: []specs.LinuxSyscall{rule(specs.ActAllow, "nosuch")}},
		"newest":            {DefaultAction: specs.ActKillProcess, Syscalls: []specs.LinuxSyscall{rule(specs.ActAllow, "rseq_slice_yield read")}},
		"traced by default": {DefaultAction: specs.ActTrace, Syscalls: []specs.LinuxSyscall{rule(specs.ActAllow, "read")}},
		"equal below, not above": {DefaultAction: specs.ActErrno, Syscalls: []specs.LinuxSyscall{
			rule(specs.ActAllow, "socket", arg(0, specs.OpEqualTo, 1)), rule(specs.ActAllow, "socket", arg(0, specs.OpEqualTo, 5<<32|2)),
			rule(specs.ActAllow, "socket", arg(0, specs.OpEqualTo, 5<<32|3)), rule(specs.ActLog, "socket", arg(1, specs.OpEqualTo, 4)),
		}},
		"asked": {DefaultAction: specs.ActErrno, ListenerPath: "/run/listener", Syscalls: []specs.LinuxSyscall{
			rule(specs.ActNotify, "mount umount2"), rule(specs.ActNotify, "socket", arg(0, specs.OpEqualTo, 16)), rule(specs.ActAllow, "read socket"),
		}},
		"other ABIs": {DefaultAction: specs.ActErrno, Architectures: everyArch, Syscalls: []specs.LinuxSyscall{
			rule(specs.ActAllow, "read write rt_sigreturn rt_sigaction cacheflush set_tls mmap2 socketcall ioctl"),
			rule(specs.ActKill, "socket", arg(0, specs.OpGreaterThan, 0x10002)), rule(specs.ActAllow, "openat", arg(1, specs.OpNotEqual, 7)),
		}},
		"32 bits only": {DefaultAction: specs.ActTrap, Architectures: []specs.Arch{specs.ArchX86, specs.ArchARM}, Syscalls: []specs.LinuxSyscall{
			rule(specs.ActErrno, "socket semop", arg(0, specs.OpEqualTo, 3)), rule(specs.ActAllow, "semop semget bind accept4 msgget shmat"),
			rule(specs.ActAllow, "connect", arg(0, specs.OpEqualTo, 3)), rule(specs.ActLog, "ipc", arg(1, specs.OpEqualTo, 1)),
		}},
		"private only": {DefaultAction: specs.ActErrno, Architectures: everyArch, Syscalls: []specs.LinuxSyscall{
			rule(specs.ActAllow, "set_tls"), rule(specs.ActLog, "breakpoint", arg(0, specs.OpEqualTo, 1)),
		}},
		"allowed but": {DefaultAction: specs.ActAllow, Architectures: everyArch, Syscalls: []specs.LinuxSyscall{
			rule(specs.ActErrno, "socket", arg(0, specs.OpEqualTo, 40)), rule(specs.ActErrno, "shmat ioctl"), rule(specs.ActAllow, "socketcall"),
		}},
		"long run":   {DefaultAction: specs.ActErrno, Syscalls: many},
		"long jumps": {DefaultAction: specs.ActAllow, Syscalls: scattered},
	}
	for name, p := range tests {
		t.Run(name, func(t *testing.T) {
			prog, err := Compile(p)
			if err != nil {
				t.Fatal(err)
			}
			verify(t, p, prog.Filter)
			if prog, err = compileFor(p, foreignABIs[:]); err != nil {
				t.Fatal(err)
			}
			verifyOn(t, foreignABIs[:], p, prog.Filter)
		})
	}
}

// TestJumpsOfEveryLength passes the point where a conditional jump no longer reaches.
func TestJumpsOfEveryLength(t *testing.T) {
	for n := range uint64(70) {
		p := &specs.LinuxSeccomp{DefaultAction: specs.ActAllow}
		for v := range n {
			p.Syscalls = append(p.Syscalls, rule(specs.ActKill, "read", arg(0, specs.OpNotEqual, v)))
		}
		p.Syscalls = append(p.Syscalls, rule(specs.ActTrap, "write"), rule(specs.ActErrno, "close"))
		prog, err := Compile(p)
		if err != nil {
			t.Fatal(err)
		}
		for nr := range uint32(5) {
			d := data{nr: nr, arch: auditArch}
			if got, err := run(prog.Filter, d); err != nil || got != interpret(p, d) {
				t.Errorf("%d rules: syscall %d: got %#x, %v, want %#x", n, nr, got, err, interpret(p, d))
			}
		}
	}
}

func TestDefaultMeansDockers(t *testing.T) {
	for name, caps := range map[string][]string{"docker's": dockerCaps, "none": nil, "admin": {"CAP_SYS_ADMIN", "CAP_BPF"}} {
		t.Run(name, func(t *testing.T) {
			p, err := Default(caps)
			if err != nil {
				t.Fatal(err)
			}
			prog, err := Compile(p)
			if err != nil {
				t.Fatal(err)
			}
			verify(t, p, prog.Filter)
			if len(prog.Filter) > 400 {
				t.Errorf("%d instructions", len(prog.Filter))
			}
		})
	}
}

// Known answers, so that a fault that simulator and interpreter share would show.
func TestDefaultKnownAnswers(t *testing.T) {
	tests := map[string]struct {
		caps []string
		call string
		args [6]uint64
		want uint32
	}{
		"read":                     {nil, "read", [6]uint64{}, 0x7fff0000},
		"mount":                    {dockerCaps, "mount", [6]uint64{}, 0x00050001},
		"mount with admin":         {[]string{"CAP_SYS_ADMIN"}, "mount", [6]uint64{}, 0x7fff0000},
		"clone3":                   {dockerCaps, "clone3", [6]uint64{}, 0x00050026},
		"clone a thread":           {dockerCaps, "clone", [6]uint64{0x3d0f00}, 0x7fff0000},
		"clone a user namespace":   {dockerCaps, "clone", [6]uint64{unix.CLONE_NEWUSER}, 0x00050001},
		"chroot":                   {dockerCaps, "chroot", [6]uint64{}, 0x7fff0000},
		"chroot without the cap":   {nil, "chroot", [6]uint64{}, 0x00050001},
		"personality":              {nil, "personality", [6]uint64{0xffffffff}, 0x7fff0000},
		"personality ADDR_NO_RAND": {nil, "personality", [6]uint64{0x40000}, 0x00050001},
		"socket AF_INET6":          {nil, "socket", [6]uint64{unix.AF_INET6}, 0x7fff0000},
		"socket AF_VSOCK":          {nil, "socket", [6]uint64{unix.AF_VSOCK}, 0x00050001},
		"socket AF_ALG":            {nil, "socket", [6]uint64{unix.AF_ALG}, 0x00050001},
		"newer than the profile":   {nil, "rseq_slice_yield", [6]uint64{}, 0x00050026},
		"keyctl":                   {dockerCaps, "keyctl", [6]uint64{}, 0x00050001},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p, err := Default(tt.caps)
			if err != nil {
				t.Fatal(err)
			}
			prog, err := Compile(p)
			if err != nil {
				t.Fatal(err)
			}
			got, err := run(prog.Filter, data{nr: uint32(number(tt.call)), arch: auditArch, args: tt.args})
			if err != nil || got != tt.want {
				t.Errorf("got %#x, %v, want %#x", got, err, tt.want)
			}
		})
	}
}

func TestTableMatchesTheKernelsNumbers(t *testing.T) {
	for name, want := range map[string]int{
		"read": unix.SYS_READ, "newfstatat": unix.SYS_NEWFSTATAT, "clone3": 435, "openat2": 437, "mseal": 462, "listns": 470,
	} {
		if got, ok := numberOf(name); !ok || int(got) != want {
			t.Errorf("%s is %d, %v, want %d", name, got, ok, want)
		}
	}
	syscalls := abis[0].syscalls
	for i := range syscalls {
		if i > 0 && syscalls[i-1].name >= syscalls[i].name {
			t.Errorf("%s and %s are out of order", syscalls[i-1].name, syscalls[i].name)
		}
		if syscalls[i].number > lastSyscall {
			t.Errorf("%s is above lastSyscall", syscalls[i].name)
		}
	}
	for _, name := range []string{"", "arch_specific_syscall", "zzz", "reae", "READ"} {
		if n, ok := numberOf(name); ok {
			t.Errorf("%q is %d", name, n)
		}
	}
}

func TestCompileRefuses(t *testing.T) {
	tests := map[string]struct {
		profile *specs.LinuxSeccomp
		want    string
	}{
		"nothing":        {nil, "seccomp profile: profile: there is none"},
		"no default":     {&specs.LinuxSeccomp{}, `seccomp profile: defaultAction: unknown action ""`},
		"unknown action": {&specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{rule(specs.ActKill, "read"), rule("SCMP_ACT_FOO", "ptrace")}}, `seccomp profile: syscalls[1] (ptrace): unknown action "SCMP_ACT_FOO"`},
		"notify":         {&specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{rule(specs.ActNotify, "mount umount2")}}, `seccomp profile: syscalls[0] (mount, …): action SCMP_ACT_NOTIFY needs a listenerPath`},
		"notify always":  {&specs.LinuxSeccomp{DefaultAction: specs.ActNotify, ListenerPath: "/l"}, `seccomp profile: defaultAction: SCMP_ACT_NOTIFY cannot be the default: the call that hands the listener on would wait for it`},
		"notify write":   {&specs.LinuxSeccomp{DefaultAction: specs.ActAllow, ListenerPath: "/l", Syscalls: []specs.LinuxSyscall{rule(specs.ActNotify, "read write")}}, `seccomp profile: syscalls[0] (read, …): action SCMP_ACT_NOTIFY cannot be had for write, which the start itself may need`},
		"argument":       {&specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{rule(specs.ActKill, "read", arg(6, specs.OpEqualTo, 0))}}, `seccomp profile: syscalls[0] (read): args[0]: index 6: a syscall has arguments 0 to 5`},
		"operator":       {&specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{rule(specs.ActKill, "read", arg(0, "SCMP_CMP_XX", 0))}}, `seccomp profile: syscalls[0] (read): args[0]: unknown operator "SCMP_CMP_XX"`},
		"errno":          {&specs.LinuxSeccomp{DefaultAction: specs.ActErrno, DefaultErrnoRet: new(uint(4096))}, `seccomp profile: defaultAction: errnoRet 4096 is more than 4095`},
		"errno of allow": {&specs.LinuxSeccomp{DefaultAction: specs.ActAllow, DefaultErrnoRet: new(uint(1))}, `seccomp profile: defaultAction: action SCMP_ACT_ALLOW takes no errnoRet`},
		"flag":           {&specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Flags: []specs.LinuxSeccompFlag{"FAST"}}, `seccomp profile: flags[0]: unknown flag "FAST"`},
		"architecture":   {&specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Architectures: []specs.Arch{specs.ArchX86, "amd64"}}, `seccomp profile: architectures[1]: unknown architecture "amd64"`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Compile(tt.profile)
			var pe *ProfileError
			if !errors.As(err, &pe) || err.Error() != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
	t.Run("too large", func(t *testing.T) {
		p := &specs.LinuxSeccomp{DefaultAction: specs.ActAllow}
		for v := range uint64(1000) {
			p.Syscalls = append(p.Syscalls, rule(specs.ActKill, "ioctl", arg(1, specs.OpNotEqual, v)))
		}
		if _, err := Compile(p); err == nil || !strings.Contains(err.Error(), "the kernel takes 4096") {
			t.Errorf("got %v", err)
		}
	})
}

func TestNoExec(t *testing.T) {
	tests := map[string]struct {
		profile *specs.LinuxSeccomp
		want    bool
	}{
		"allow all":         {&specs.LinuxSeccomp{DefaultAction: specs.ActAllow}, false},
		"log all":           {&specs.LinuxSeccomp{DefaultAction: specs.ActLog}, false},
		"refuse all":        {&specs.LinuxSeccomp{DefaultAction: specs.ActErrno}, true},
		"beyond the list":   {&specs.LinuxSeccomp{DefaultAction: specs.ActErrno, Syscalls: []specs.LinuxSyscall{rule(specs.ActAllow, "read")}}, true},
		"killed":            {&specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Syscalls: []specs.LinuxSyscall{rule(specs.ActKillProcess, "execve")}}, true},
		"allowed":           {&specs.LinuxSeccomp{DefaultAction: specs.ActErrno, Syscalls: []specs.LinuxSyscall{rule(specs.ActAllow, "execve")}}, false},
		"allowed sometimes": {&specs.LinuxSeccomp{DefaultAction: specs.ActErrno, Syscalls: []specs.LinuxSyscall{rule(specs.ActAllow, "execve", arg(0, specs.OpNotEqual, 0))}}, false},
		"refused sometimes": {&specs.LinuxSeccomp{DefaultAction: specs.ActErrno, Syscalls: []specs.LinuxSyscall{rule(specs.ActKill, "execve", arg(0, specs.OpNotEqual, 0))}}, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p, err := Compile(tt.profile)
			if err != nil || p.NoExec != tt.want {
				t.Errorf("got %+v, %v, want %v", p, err, tt.want)
			}
		})
	}
}

func TestFlags(t *testing.T) {
	flags := []specs.LinuxSeccompFlag{
		specs.LinuxSeccompFlagLog, specs.LinuxSeccompFlagSpecAllow, "SECCOMP_FILTER_FLAG_TSYNC", specs.LinuxSeccompFlagWaitKillableRecv,
	}
	asked := []specs.LinuxSyscall{rule(specs.ActNotify, "mount")}
	tests := map[string]struct {
		profile *specs.LinuxSeccomp
		flags   uint
		notify  bool
	}{
		"none":            {&specs.LinuxSeccomp{DefaultAction: specs.ActAllow}, 0, false},
		"all":             {&specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Flags: flags}, 2 | 4, false},
		"listener":        {&specs.LinuxSeccomp{DefaultAction: specs.ActAllow, ListenerPath: "/l", Syscalls: asked}, 8, true},
		"listener, all":   {&specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Flags: flags, ListenerPath: "/l", Syscalls: asked}, 2 | 4 | 8 | 32, true},
		"nothing to hear": {&specs.LinuxSeccomp{DefaultAction: specs.ActAllow, Flags: flags, ListenerPath: "/l"}, 2 | 4, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p, err := Compile(tt.profile)
			if err != nil || p.Flags != tt.flags || p.Notify != tt.notify {
				t.Errorf("got %+v, %v, want %#x, %v", p, err, tt.flags, tt.notify)
			}
		})
	}
}

func TestParseProfile(t *testing.T) {
	names := map[string]string{"amd64": "SCMP_ARCH_X86_64", "arm64": "SCMP_ARCH_AARCH64"}
	native := names[runtime.GOARCH]
	tests := map[string]struct {
		json string
		caps []string
		want string // names of the resolved rules
		err  string
	}{
		"oci":              {json: `{"defaultAction":"SCMP_ACT_ERRNO","architectures":["` + native + `"],"syscalls":[{"names":["read","write"],"action":"SCMP_ACT_ALLOW"}]}`, want: "read write"},
		"old name":         {json: `{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"name":"read","action":"SCMP_ACT_ALLOW","args":[]}]}`, want: "read"},
		"arch map":         {json: `{"defaultAction":"SCMP_ACT_ERRNO","archMap":[{"architecture":"` + native + `","subArchitectures":["SCMP_ARCH_X86"]}],"syscalls":[]}`},
		"cap included":     {json: `{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["mount"],"action":"SCMP_ACT_ALLOW","includes":{"caps":["CAP_SYS_ADMIN"]}}]}`, caps: []string{"CAP_SYS_ADMIN"}, want: "mount"},
		"cap not included": {json: `{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["mount"],"action":"SCMP_ACT_ALLOW","includes":{"caps":["CAP_SYS_ADMIN"]}}]}`},
		"cap excluded":     {json: `{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mount"],"action":"SCMP_ACT_ERRNO","excludes":{"caps":["CAP_SYS_ADMIN"]}}]}`, caps: []string{"CAP_SYS_ADMIN"}},
		"arch included":    {json: `{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["brk"],"action":"SCMP_ACT_ALLOW","includes":{"arches":["` + runtime.GOARCH + `"]}},{"names":["dup"],"action":"SCMP_ACT_ALLOW","includes":{"arches":["s390x"]}}]}`, want: "brk"},
		"kernel":           {json: `{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["brk"],"action":"SCMP_ACT_ALLOW","includes":{"minKernel":"4.8"}},{"names":["dup"],"action":"SCMP_ACT_ALLOW","includes":{"minKernel":"99.1"}}]}`, want: "brk"},

		"asked": {json: `{"defaultAction":"SCMP_ACT_ALLOW","listenerPath":"/l","syscalls":[{"names":["mount"],"action":"SCMP_ACT_NOTIFY"}]}`, want: "mount"},

		"empty":             {json: ``, err: "parse seccomp profile: line 1: unexpected end of JSON input"},
		"no default":        {json: `{}`, err: "seccomp profile: defaultAction: missing"},
		"syntax":            {json: "{\n\"defaultAction\": \"SCMP_ACT_ERRNO\",\n}", err: "parse seccomp profile: line 3: invalid character '}'"},
		"type":              {json: "{\n\"defaultAction\": 5}", err: "parse seccomp profile: line 2: json: cannot unmarshal number"},
		"null entry":        {json: `{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[null]}`, err: "seccomp profile: syscalls[0]: null"},
		"no names":          {json: `{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"action":"SCMP_ACT_ALLOW"}]}`, err: "seccomp profile: syscalls[0]: no names"},
		"both names":        {json: `{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"name":"a","names":["b"],"action":"SCMP_ACT_ALLOW"}]}`, err: "seccomp profile: syscalls[0] (b): both name and names"},
		"place in the file": {json: `{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["a"],"action":"SCMP_ACT_ALLOW","includes":{"arches":["s390x"]}},{"names":["b"],"action":"ALLOW"}]}`, err: `seccomp profile: syscalls[1] (b): unknown action "ALLOW"`},
		"nobody asked":      {json: `{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mount"],"action":"SCMP_ACT_NOTIFY"}]}`, err: "seccomp profile: syscalls[0] (mount): action SCMP_ACT_NOTIFY needs a listenerPath"},
		"all asked":         {json: `{"defaultAction":"SCMP_ACT_NOTIFY","listenerPath":"/l"}`, err: "seccomp profile: defaultAction: SCMP_ACT_NOTIFY cannot be the default"},
		"both arches":       {json: `{"defaultAction":"SCMP_ACT_ERRNO","architectures":["SCMP_ARCH_X86"],"archMap":[{"architecture":"SCMP_ARCH_X86"}]}`, err: "resolve seccomp profile: both 'architectures' and 'archMap'"},
		"kernel version":    {json: `{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["a"],"action":"SCMP_ACT_ALLOW","includes":{"minKernel":"four"}}]}`, err: "parse seccomp profile: invalid kernel version"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p, err := ParseProfile([]byte(tt.json), tt.caps)
			if tt.err != "" {
				if err == nil || !strings.HasPrefix(err.Error(), tt.err) {
					t.Fatalf("got %v, want %s", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range p.Syscalls {
				got = append(got, s.Names...)
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if _, err := Compile(p); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestKernelTakesIt loads the default profile in a child, which then tries refused syscalls.
func TestKernelTakesIt(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestChildUnderFilter$", "-test.v")
	cmd.Env = append(os.Environ(), "SECCOMP_TEST_CHILD=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestChildUnderFilter") {
		t.Fatalf("%v\n%s", err, out)
	}
}

func TestChildUnderFilter(t *testing.T) {
	if os.Getenv("SECCOMP_TEST_CHILD") == "" {
		t.Skip("runs as the child of TestKernelTakesIt")
	}
	runtime.LockOSThread() // and never unlock: the thread dies with its filter
	p, err := Default(dockerCaps)
	if err != nil {
		t.Fatal(err)
	}
	prog, err := Compile(p)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}
	if err := prog.Load(); err != nil {
		t.Fatal(err)
	}
	calls := map[string]struct {
		nr, a, b uintptr
		want     syscall.Errno
	}{
		"getpid":          {unix.SYS_GETPID, 0, 0, 0},
		"socket inet":     {unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_DGRAM, 0},
		"socket vsock":    {unix.SYS_SOCKET, unix.AF_VSOCK, unix.SOCK_STREAM, unix.EPERM},
		"mount":           {unix.SYS_MOUNT, 0, 0, unix.EPERM},
		"keyctl":          {unix.SYS_KEYCTL, 0, 0, unix.EPERM},
		"clone3":          {unix.SYS_CLONE3, 0, 0, unix.ENOSYS},
		"clone userns":    {unix.SYS_CLONE, unix.CLONE_NEWUSER | uintptr(unix.SIGCHLD), 0, unix.EPERM},
		"rseq_slice":      {471, 0, 0, unix.ENOSYS},
		"unshare":         {unix.SYS_UNSHARE, unix.CLONE_NEWNS, 0, unix.EPERM},
		"far beyond":      {4000, 0, 0, unix.ENOSYS},
		"io_uring_setup":  {unix.SYS_IO_URING_SETUP, 1, 0, unix.EPERM},
		"add_key":         {unix.SYS_ADD_KEY, 0, 0, unix.EPERM},
		"name_to_handle":  {unix.SYS_NAME_TO_HANDLE_AT, 0, 0, unix.EFAULT},
		"open_by_handle":  {unix.SYS_OPEN_BY_HANDLE_AT, 0, 0, unix.EPERM},
		"personality get": {unix.SYS_PERSONALITY, 0xffffffff, 0, 0},
	}
	for name, c := range calls {
		_, _, errno := unix.RawSyscall(c.nr, c.a, c.b, 0)
		if errno != c.want {
			t.Errorf("%s: got %v, want %v", name, errno, c.want)
		}
	}
}

func TestLoadRefusesNothing(t *testing.T) {
	for _, p := range []*Program{{}, {Filter: []unix.SockFilter{stmt(opRet, unix.SECCOMP_RET_ALLOW)}, Notify: true}} {
		if err := p.Load(); !errors.Is(err, unix.EINVAL) {
			t.Errorf("got %v", err)
		}
	}
}

func BenchmarkDefault(b *testing.B) {
	for b.Loop() {
		p, err := Default(dockerCaps)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := Compile(p); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCompileDefault(b *testing.B) {
	p, err := Default(dockerCaps)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Compile(p); err != nil {
			b.Fatal(err)
		}
	}
}

func ExampleCompile() {
	_, err := Compile(&specs.LinuxSeccomp{DefaultAction: "SCMP_ACT_FOO"})
	fmt.Println(err)
	// Output: seccomp profile: defaultAction: unknown action "SCMP_ACT_FOO"
}
