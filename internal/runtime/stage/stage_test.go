package stage

import (
	"errors"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func fullPlan() *Plan {
	return &Plan{
		NewUser: true, NewCgroup: true, NewNetwork: true, HostMounts: true, PropagateBelow: true, NoPivot: true, NewTime: true, TimeOffsets: "boottime 1 2", WaitHooks: true, CreateState: 1, StartState: 2, HookOutput: 3,
		CreateHooks: []Hook{{Path: "/bin/hook", Args: []string{"hook"}, TimeoutSeconds: 3}}, StartHooks: []Hook{{Path: "/x", Env: []string{"A=b"}}}, Loopback: true, WaitNetwork: true, ReadonlyRoot: true, RootPropagation: 1 << 19,
		Hostname: "ship", Domainname: "sea",
		Mounts: []Mount{
			{Type: "tmpfs", Target: "/dev", Attrs: 10, Options: []Pair{{"mode", "755"}, {"newinstance", ""}}, Propagation: 1 << 18},
			{Fd: 1, Source: "/srv", Target: "/data", File: true, Remount: true, CopyUp: true, ClearAttrs: 7},
		},
		Devices:     []Device{{"/dev/x", 0o60644, 1 << 40, 1, 2}},
		PopulateDev: true, Masked: []string{"/proc/kcore"}, Readonly: []string{"/proc/sys", "/proc/bus"},
		Sysctl:   []Pair{{"net.ipv4.ip_forward", "1"}},
		Terminal: true, Rows: 24, Columns: 65535, Init: true, InitFd: 7, UID: 9000, GID: 1 << 31, Groups: []uint32{1, 2, 3},
		SkipSetgroups: true, Umask: 0o22, Labels: []Pair{{"attr/exec", "exec x"}}, Personality: 9, MemoryMode: 3, MemoryNodes: []uint64{1 << 63}, Files: Limit{1, 1 << 63}, Limits: []ResourceLimit{{4, Limit{2, 3}}}, Caps: Caps{1, 2, 3, 4, 1 << 40}, NoNewPrivileges: true,
		Seccomp: []byte{1, 2, 3, 4, 5, 6, 7, 8}, SeccompFlags: 2, NotifyFd: 4, NotifyMessage: []byte("{}"), Cwd: "/", CreateCwd: true, Args: []string{"a", ""}, Env: []string{"A=b"},
		SearchPath: "/bin", Gate: 3, Extra: 2, KeepSessionKeyring: true, ParentDeathUnwanted: true,
	}
}

func TestPlanRoundTrip(t *testing.T) {
	for name, want := range map[string]*Plan{"full": fullPlan(), "empty": {}} {
		got := &Plan{}
		if err := got.Unmarshal(want.Marshal()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got, cmp.Transformer("nil", func(b []byte) string { return string(b) })); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestPlanDamaged(t *testing.T) {
	whole := fullPlan().Marshal()
	for n := range whole {
		if err := new(Plan).Unmarshal(whole[:n]); !errors.Is(err, syscall.EBADMSG) {
			t.Fatalf("first %d of %d bytes: %v, want EBADMSG", n, len(whole), err)
		}
	}
	if err := new(Plan).Unmarshal(append(whole, 0)); !errors.Is(err, syscall.EBADMSG) {
		t.Errorf("a byte too many: %v", err)
	}
}

func FuzzPlan(f *testing.F) {
	f.Add(fullPlan().Marshal())
	f.Add((&Plan{}).Marshal())
	f.Fuzz(func(t *testing.T, b []byte) {
		p := &Plan{}
		if p.Unmarshal(b) != nil {
			return
		}
		again := &Plan{}
		if err := again.Unmarshal(p.Marshal()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(p.Marshal(), again.Marshal()); diff != "" {
			t.Error(diff)
		}
	})
}

func FuzzFailure(f *testing.F) {
	f.Add((&Failure{Code: 127, Path: "x", What: "exec", Errno: syscall.ENOENT}).Marshal())
	f.Fuzz(func(_ *testing.T, b []byte) {
		_ = new(Failure).Unmarshal(b)
	})
}

func TestFailure(t *testing.T) {
	err := fail("mount proc", fail("open", syscall.ENOENT))
	if err.Error() != "mount proc: open: no such file or directory" || !errors.Is(err, syscall.ENOENT) {
		t.Error(err)
	}
	got := &Failure{}
	f := &Failure{}
	if !errors.As(err, &f) || got.Unmarshal(f.Marshal()) != nil || *got != *f {
		t.Errorf("%+v, want %+v", got, f)
	}
	if fail("x", nil) != nil {
		t.Error("no error became one")
	}
}

// TestImports holds this package to what is initialised before the rest of the program.
func TestImports(t *testing.T) {
	allowed := map[string]bool{
		"runtime": true, "syscall": true, "unsafe": true, "sync/atomic": true /* syscall's too */, "github.com/deckhand-engine/deckhand/internal/linux/raw": true,
	}
	checked := 0
	for _, dir := range []string{".", "../../linux/raw"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range parsed.Imports {
				checked++
				if path := strings.Trim(i.Path.Value, `"`); !allowed[path] {
					t.Errorf("%s imports %s", file, path)
				}
			}
		}
	}
	if checked == 0 {
		t.Error("no imports found")
	}
}

func TestSplit(t *testing.T) {
	for path, want := range map[string][]string{
		"/": nil, "": nil, "/a": {"a"}, "a//b/./c/": {"a", "b", "c"}, "/../a": {"..", "a"}, "...": {"..."},
	} {
		if diff := cmp.Diff(want, split(path)); diff != "" {
			t.Errorf("%q: %s", path, diff)
		}
	}
}

func TestUnder(t *testing.T) {
	for _, tt := range []struct {
		path, dir string
		want      bool
	}{{"/proc", "/proc", true}, {"/proc/sys", "/proc", true}, {"/process", "/proc", false}, {"/", "/proc", false}} {
		if got := under(tt.path, tt.dir); got != tt.want {
			t.Errorf("under(%q, %q) = %v", tt.path, tt.dir, got)
		}
	}
}

func TestDecimal(t *testing.T) {
	for n, want := range map[uint32]string{0: "0", 7: "7", 9000: "9000", 1<<32 - 1: "4294967295"} {
		if got := decimal(n); got != want {
			t.Errorf("%d is %q", n, got)
		}
	}
}

func TestSplitList(t *testing.T) {
	for list, want := range map[string][]string{"": {""}, "/bin": {"/bin"}, "/a::/b:": {"/a", "", "/b", ""}} {
		if diff := cmp.Diff(want, splitList(list)); diff != "" {
			t.Errorf("%q: %s", list, diff)
		}
	}
}

// TestLongPlan sends a plan that takes several packets, with descriptors.
func TestLongPlan(t *testing.T) {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(pair[0])
	defer syscall.Close(pair[1])
	want := fullPlan()
	for range 3000 {
		want.Env = append(want.Env, strings.Repeat("x", 300))
	}
	sent := make(chan error, 1)
	go func() { sent <- SendPlan(pair[0], want.Marshal(), []int{0, 1, 2}) }()
	got, fds, err := receivePlan(pair[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		_ = syscall.Close(fd)
	}
	if diff := cmp.Diff(want, got); diff != "" || len(fds) != 3 {
		t.Errorf("%d descriptors, %s", len(fds), diff)
	}
}
