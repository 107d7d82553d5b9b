package seccomp

import (
	"encoding/binary"
	"encoding/json"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// FuzzParse: whatever ParseProfile takes, Compile takes too (but for its size) and means the same.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"defaultAction":"SCMP_ACT_ERRNO","archMap":[{"architecture":"SCMP_ARCH_X86_64"}],"syscalls":[{"names":["read"],"action":"SCMP_ACT_ALLOW","args":[{"index":1,"value":4,"valueTwo":4,"op":"SCMP_CMP_MASKED_EQ"}],"includes":{"caps":["CAP_CHOWN"],"minKernel":"3.2"},"excludes":{"arches":["s390x"]}}]}`))
	f.Add([]byte(`{"defaultAction":"SCMP_ACT_KILL","syscalls":[{"name":"read","action":"SCMP_ACT_LOG"},{"names":["read"],"action":"SCMP_ACT_TRAP"}]}`))
	f.Add([]byte(`{"defaultAction":"SCMP_ACT_NOTIFY","architectures":["SCMP_ARCH_X86","SCMP_ARCH_ARM"],"syscalls":[{"names":["socket"],"action":"SCMP_ACT_NOTIFY"}]}`))
	f.Add([]byte(`{"defaultAction":"SCMP_ACT_LOG","listenerPath":"/l","architectures":["SCMP_ARCH_X32"],"syscalls":[{"names":["socket"],"action":"SCMP_ACT_NOTIFY"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ParseProfile(data, []string{"CAP_CHOWN"})
		if err != nil {
			return
		}
		prog, err := Compile(p)
		if err != nil {
			if len(data) < 4096 {
				t.Fatalf("parsed, but: %v", err)
			}
			return
		}
		verify(t, p, prog.Filter)
	})
}

// FuzzCompile builds a profile out of the input, sends it through JSON, and compares simulator and interpreter.
func FuzzCompile(f *testing.F) {
	f.Add([]byte("deckhand"))
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 200, 100, 50, 25, 12, 6, 3, 1, 0, 255, 254, 128, 64, 32, 16, 8})
	f.Fuzz(func(t *testing.T, in []byte) {
		p := randomProfile(in)
		text, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := ParseProfile(text, nil)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		prog, err := Compile(parsed)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		verify(t, p, prog.Filter)
	})
}

// source hands out bytes of the fuzzer's input, then zeroes.
type source []byte

func (s *source) n(limit int) int {
	if len(*s) == 0 {
		return 0
	}
	v := int((*s)[0])
	*s = (*s)[1:]
	return v % limit
}

// value is a small number, or a 64-bit one.
func (s *source) value() uint64 {
	if len(*s) < 9 || s.n(2) == 0 {
		return uint64(s.n(8)) << (8 * s.n(8))
	}
	v := binary.LittleEndian.Uint64(*s)
	*s = (*s)[8:]
	return v
}

var (
	fuzzActions = []specs.LinuxSeccompAction{
		specs.ActAllow, specs.ActErrno, specs.ActKill, specs.ActKillProcess,
		specs.ActTrap, specs.ActTrace, specs.ActLog,
	}
	fuzzOps = []specs.LinuxSeccompOperator{
		specs.OpEqualTo, specs.OpNotEqual, specs.OpLessThan, specs.OpLessEqual,
		specs.OpGreaterThan, specs.OpGreaterEqual, specs.OpMaskedEqual,
	}
)

func randomProfile(in []byte) *specs.LinuxSeccomp {
	s := source(in[:min(len(in), 300)])
	p := &specs.LinuxSeccomp{DefaultAction: fuzzActions[s.n(len(fuzzActions))]}
	if s.n(2) == 1 {
		p.Architectures = everyArch
	}
	for len(s) > 0 && len(p.Syscalls) < 40 {
		r := specs.LinuxSyscall{Action: fuzzActions[s.n(len(fuzzActions))]}
		if r.Action == specs.ActErrno && s.n(2) == 1 {
			r.ErrnoRet = new(uint(s.n(200)))
		}
		for range 1 + s.n(6) {
			// few different calls, so that rules meet
			r.Names = append(r.Names, abis[0].syscalls[s.n(16)*20].name)
		}
		for range s.n(4) {
			r.Args = append(r.Args, arg(uint(s.n(6)), fuzzOps[s.n(len(fuzzOps))], s.value(), s.value()))
		}
		p.Syscalls = append(p.Syscalls, r)
	}
	return p
}
