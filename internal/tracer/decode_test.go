package tracer

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/guard/observe"
	"github.com/deckhand-engine/deckhand/internal/linux/seccomp"
)

// sockaddr is an address as programs pass it.
func sockaddr(family uint16, rest ...byte) []byte {
	b := binary.LittleEndian.AppendUint16(nil, family)
	return append(b, rest...)
}

func TestParseAddress(t *testing.T) {
	v6 := func(port, last byte, scope ...byte) []byte {
		b := append([]byte{0, port, 0, 0, 0, 0}, make([]byte, 15)...)
		return append(append(b, last), scope...)
	}
	tests := map[string]struct {
		b    []byte
		want address
	}{
		"inet":             {sockaddr(unix.AF_INET, 0x1f, 0x90, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0), address{unix.AF_INET, "127.0.0.1:8080", ""}},
		"inet, short":      {sockaddr(unix.AF_INET, 0, 80, 127), address{unix.AF_INET, "", ""}},
		"inet6":            {sockaddr(unix.AF_INET6, v6(80, 0)...), address{unix.AF_INET6, "[::]:80", ""}},
		"inet6, scope":     {sockaddr(unix.AF_INET6, v6(80, 1, 3, 0, 0, 0)...), address{unix.AF_INET6, "[::1%3]:80", ""}},
		"inet6, no scope":  {sockaddr(unix.AF_INET6, v6(80, 1, 0, 0, 0, 0)...), address{unix.AF_INET6, "[::1]:80", ""}},
		"unix":             {sockaddr(unix.AF_UNIX, []byte("/run/a\x00junk")...), address{unix.AF_UNIX, "unix:/run/a", "/run/a"}},
		"unix, no zero":    {sockaddr(unix.AF_UNIX, []byte("a")...), address{unix.AF_UNIX, "unix:a", "a"}},
		"unix, abstract":   {sockaddr(unix.AF_UNIX, []byte("\x00na\x00me")...), address{unix.AF_UNIX, "unix:@na\x00me", ""}},
		"unix, no name":    {sockaddr(unix.AF_UNIX), address{unix.AF_UNIX, "unix:", ""}},
		"netlink":          {sockaddr(unix.AF_NETLINK, 0, 0, 1, 0, 0, 0), address{unix.AF_NETLINK, "", ""}},
		"family is broken": {[]byte{2}, address{-1, "", ""}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, ok := parseAddress(tt.b)
			if got != tt.want || ok != (tt.want.family >= 0) {
				t.Errorf("%+v, %v", got, ok)
			}
		})
	}
}

func FuzzParseAddress(f *testing.F) {
	f.Add(sockaddr(unix.AF_INET, 0, 80, 1, 2, 3, 4))
	f.Add(sockaddr(unix.AF_INET6, make([]byte, 26)...))
	f.Add(sockaddr(unix.AF_UNIX, []byte("/run/a\x00")...))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, ok := parseAddress(b)
		if ok != (len(b) >= 2) {
			t.Error("read what is not there")
		}
		if a.path != "" && (a.family != unix.AF_UNIX || a.text != "unix:"+a.path || strings.Contains(a.path, "\x00")) {
			t.Errorf("%+v", a)
		}
	})
}

func TestTidy(t *testing.T) {
	for path, want := range map[string]string{
		"/": "/", "//": "/", "/.": "/", "/a": "/a", "/a/": "/a", "//a/./b//": "/a/b", "/a/../b": "/a/../b", "/.a": "/.a", "/a/...": "/a/...",
	} {
		if got := tidy(path); got != want {
			t.Errorf("%q is %q, want %q", path, got, want)
		}
	}
}

func FuzzTidy(f *testing.F) {
	f.Add("/a//./b/../c/")
	f.Fuzz(func(t *testing.T, p string) {
		got := tidy("/" + p)
		if got[0] != '/' || tidy(got) != got || strings.Contains(got, "//") || strings.Contains(got+"/", "/./") {
			t.Errorf("%q is %q", p, got)
		}
	})
}

func TestParseStatus(t *testing.T) {
	status := "Name:\ta b\\n\\\\\nUmask:\t0022\nState:\tt (tracing stop)\nTgid:\t12\nNgid:\t0\nPid:\t13\nPPid:\t1\nTracerPid:\t99\n" +
		"Uid:\t100000\t109000\t100000\t100000\nGid:\t0\t0\t0\t0\nNSpid:\t13\t1\n"
	ids := parseIDMap("         0     100000      65536\n")
	want := observe.Process{PID: 12, Parent: 1, Comm: "a b\n\\", UID: 9000}
	if diff := cmp.Diff(want, parseStatus([]byte(status), ids)); diff != "" {
		t.Error(diff)
	}
	if got := tracerOf([]byte(status)); got != 99 {
		t.Errorf("traced by %d", got)
	}
	if !isFirst([]byte(status)) || isFirst([]byte("NSpid:\t13\t2\n")) || isFirst([]byte("NSpid:\t\n")) || isFirst(nil) {
		t.Error("the first of its namespace is another")
	}
	if got := ids.inside(0); got != overflowID {
		t.Errorf("an id outside is %d", got)
	}
}

func FuzzParseStatus(f *testing.F) {
	f.Add("Name:\tx\nTgid:\t1\nPPid:\t0\nUid:\t0\t0\t0\t0\n", "0 0 4294967295\n")
	f.Add("Uid:\n\nNSpid:", "0 1")
	f.Fuzz(func(t *testing.T, status, ids string) {
		m := parseIDMap(ids)
		p := parseStatus([]byte(status), m)
		if strings.Contains(status, "\nName:") && !utf8.ValidString(status) {
			return
		}
		if len(p.Comm) > len(status) {
			t.Errorf("%+v", p)
		}
		for _, s := range m {
			if got := m.inside(s.outside); s.count > 0 && got == overflowID && s.inside != overflowID && len(m) == 1 {
				t.Errorf("%+v: %d", s, got)
			}
		}
	})
}

// FuzzMemory reads this process's own memory as a tracee's.
func FuzzMemory(f *testing.F) {
	f.Add([]byte("/etc/passwd\x00"), 0, 4096)
	f.Add(make([]byte, 9000), 4090, 300)
	f.Add([]byte(strings.Repeat("x", 5000)), 1, 4096)
	f.Fuzz(func(t *testing.T, b []byte, at, limit int) {
		if len(b) == 0 || at < 0 || at >= len(b) || limit <= 0 || limit > maxPathBytes {
			return
		}
		b = append(b, 0) // there may be no other in all our memory
		m := &memory{}
		got, ok := m.text(unix.Getpid(), uint64(uintptr(unsafe.Pointer(&b[at]))), limit)
		want, _, _ := strings.Cut(string(b[at:]), "\x00")
		if whole := len(want) < limit; ok != whole && len(want) != limit {
			t.Errorf("whole: %v, %d bytes of %d", ok, len(want), limit)
		}
		if ok && got != want || !ok && !strings.HasPrefix(want, got) {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

func TestMemoryNotThere(t *testing.T) {
	m := &memory{}
	for _, addr := range []uint64{0, 8, 1 << 63, ^uint64(0)} {
		if s, ok := m.text(unix.Getpid(), addr, maxPathBytes); ok || s != "" {
			t.Errorf("%#x: %q, %v", addr, s, ok)
		}
		if list, ok := m.argv(unix.Getpid(), addr); ok || len(list) > 0 {
			t.Errorf("%#x: %q, %v", addr, list, ok)
		}
	}
}

func TestArgvLimits(t *testing.T) {
	long := append([]byte(strings.Repeat("x", maxArgvBytes)), 0)
	short := []byte("a\x00")
	at := func(b []byte) uint64 { return uint64(uintptr(unsafe.Pointer(&b[0]))) }
	m := &memory{}
	list := []uint64{at(short), at(long), at(short), 0}
	got, ok := m.argv(unix.Getpid(), uint64(uintptr(unsafe.Pointer(&list[0]))))
	if ok || len(got) != 2 || len(got[0])+len(got[1]) > maxArgvBytes {
		t.Errorf("%d arguments, %v", len(got), ok)
	}
	many := make([]uint64, maxArgvCount+10)
	for i := range many {
		many[i] = at(short)
	}
	if got, ok := m.argv(unix.Getpid(), uint64(uintptr(unsafe.Pointer(&many[0])))); ok || len(got) > maxArgvCount+1 {
		t.Errorf("%d arguments, %v", len(got), ok)
	}
}

// TestRecordLimits: a record stops growing, keeps what matters longer, and says what is missing.
func TestRecordLimits(t *testing.T) {
	r := &recorder{index: map[string]int{}}
	add := func(n int, writes bool) {
		s := &seen{}
		s.Syscall, s.Path, s.Writes = "openat", fmt.Sprint("/", n, writes), writes
		r.add(s)
	}
	for n := range maxCalls {
		add(n, false)
	}
	read := len(r.calls)
	if read == 0 || read > maxCalls/2 || int(r.lost) != maxCalls-read {
		t.Errorf("%d kept, %d lost", read, r.lost)
	}
	for n := range maxCalls {
		add(n, true)
	}
	if len(r.calls) <= read || len(r.calls) > maxCalls || r.bytes > maxCallBytes || int(r.lost) != 2*maxCalls-len(r.calls) {
		t.Errorf("%d kept, %d bytes, %d lost", len(r.calls), r.bytes, r.lost)
	}
	add(0, true)
	if r.calls[read].Count != 2 {
		t.Errorf("%+v", r.calls[read])
	}
}

func TestFilter(t *testing.T) {
	enosys := new(uint(unix.ENOSYS))
	names := seccomp.Names()
	last := names[len(names)-1]
	args := []specs.LinuxSeccompArg{{Index: 0, Value: 1, Op: specs.OpEqualTo}}
	p := &specs.LinuxSeccomp{
		DefaultAction: specs.ActErrno, DefaultErrnoRet: new(uint(unix.EACCES)),
		Syscalls: []specs.LinuxSyscall{
			{Names: []string{"read", "openat"}, Action: specs.ActAllow},
			{Names: []string{"personality"}, Action: specs.ActAllow, Args: args},
			{Names: []string{"keyctl"}, Action: specs.ActErrno},
			{Names: []string{"ptrace"}, Action: specs.ActKillProcess},
			{Names: []string{"bpf"}, Action: specs.ActTrace},
			{Names: []string{last}, Action: specs.ActLog},
		},
	}
	want := &specs.LinuxSeccomp{
		DefaultAction: specs.ActTrace, DefaultErrnoRet: new(dataDefault | uint(unix.EACCES)),
		Syscalls: []specs.LinuxSyscall{
			{Names: []string{"read", "openat"}, Action: specs.ActTrace, ErrnoRet: new(uint(dataPass))},
			{Names: []string{"personality"}, Action: specs.ActTrace, ErrnoRet: new(uint(dataPass)), Args: args},
			{Names: []string{"keyctl"}, Action: specs.ActTrace, ErrnoRet: new(uint(unix.EPERM))},
			{Names: []string{"ptrace"}, Action: specs.ActKillProcess},
			{Names: []string{"bpf"}, Action: specs.ActTrace, ErrnoRet: enosys},
			{Names: []string{last}, Action: specs.ActTrace, ErrnoRet: new(uint(dataPass))},
		},
	}
	if diff := cmp.Diff(want, Filter(p)); diff != "" {
		t.Error(diff)
	}
	denials := DenialsFilter(p).Syscalls
	if diff := cmp.Diff(specs.LinuxSyscall{Names: []string{"read"}, Action: specs.ActAllow}, denials[0]); diff != "" {
		t.Error(diff)
	}
	p.Syscalls = p.Syscalls[:1]
	newer := Filter(p).Syscalls[1] // what is newer than the profile is refused as unknown
	if newer.Names[len(newer.Names)-1] != last || *newer.ErrnoRet != uint(unix.ENOSYS) {
		t.Errorf("%+v", newer)
	}
	for _, f := range []*specs.LinuxSeccomp{Filter(nil), DenialsFilter(nil), Filter(p), DenialsFilter(p)} {
		if _, err := seccomp.Compile(f); err != nil {
			t.Error(err)
		}
	}
}

func TestUserErrno(t *testing.T) {
	for n, want := range map[int64]unix.Errno{1: unix.EPERM, 512: unix.EINTR, 516: unix.EINTR, 530: 530} {
		if got := userErrno(n); got != want {
			t.Errorf("%d is %d", n, got)
		}
	}
}
