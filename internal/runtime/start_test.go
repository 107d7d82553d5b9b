package runtime

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/linux/caps"
)

func TestStart(t *testing.T) {
	newBox(t, "guest", "echo", "ahoy").want("ahoy")
}

func TestExitCodes(t *testing.T) {
	for _, code := range []int{0, 1, 42, 255} {
		if r := newBox(t, "guest", "exit", strconv.Itoa(code)).run(); r.Code != code || r.Signal != 0 {
			t.Errorf("%+v, want %d", r, code)
		}
	}
}

func TestSignal(t *testing.T) {
	b := newBox(t, "guest", "sleep", "1m")
	b.o.Init = true // pid 1 ignores what it has no handler for
	p := b.start()
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	exit, err := p.Wait()
	if err != nil || exit.Code != 128+int(syscall.SIGTERM) {
		t.Errorf("%+v, %v", exit, err)
	}
	if err := p.Signal(syscall.SIGTERM); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("signal after the end: %v, want os.ErrProcessDone", err)
	}
}

func TestKilled(t *testing.T) {
	p := newBox(t, "guest", "sleep", "1m").start()
	if err := p.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	exit, err := p.Wait()
	if err != nil || exit.Code != 137 || exit.Signal != syscall.SIGKILL {
		t.Errorf("%+v, %v", exit, err)
	}
}

func TestIdentity(t *testing.T) {
	ambient := []string{"CAP_NET_BIND_SERVICE"}
	const docker, bind = "00000000a80425fb", "0000000000000400"
	const none = "0000000000000000"
	tests := map[string]struct {
		process func(*specs.Process)
		want    map[string]string
	}{
		"user without capabilities": {
			process: func(*specs.Process) {},
			want: map[string]string{
				"Uid": "9000 9000 9000 9000", "Gid": "9000 9000 9000 9000", "Groups": "9000", "NoNewPrivs": "1", "Seccomp": "0",
				"CapInh": none, "CapPrm": none, "CapEff": none, "CapBnd": none, "CapAmb": none,
			},
		},
		"user with groups": {
			process: func(p *specs.Process) { p.User = specs.User{UID: 33, GID: 44, AdditionalGids: []uint32{44, 5, 65535}} },
			want:    map[string]string{"Uid": "33 33 33 33", "Gid": "44 44 44 44", "Groups": "5 44 65535"},
		},
		"user with an ambient capability": {
			process: func(p *specs.Process) {
				p.Capabilities = &specs.LinuxCapabilities{Bounding: ambient, Effective: ambient, Permitted: ambient, Inheritable: ambient, Ambient: ambient}
			},
			want: map[string]string{"CapInh": bind, "CapPrm": bind, "CapEff": bind, "CapBnd": bind, "CapAmb": bind},
		},
		"root": {
			process: func(p *specs.Process) {
				p.User = specs.User{AdditionalGids: []uint32{0}}
				p.Capabilities = &specs.LinuxCapabilities{Bounding: caps.Docker, Effective: caps.Docker, Permitted: caps.Docker}
			},
			want: map[string]string{
				"Uid": "0 0 0 0", "Groups": "0",
				"CapInh": none, "CapPrm": docker, "CapEff": docker, "CapBnd": docker, "CapAmb": none,
			},
		},
		"root without capabilities": {
			process: func(p *specs.Process) { p.User = specs.User{} },
			want:    map[string]string{"Uid": "0 0 0 0", "CapPrm": none, "CapEff": none, "CapBnd": none},
		},
		"new privileges": {
			process: func(p *specs.Process) { p.NoNewPrivileges = false },
			want:    map[string]string{"NoNewPrivs": "0"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := newBox(t, "guest", "cat", "/proc/self/status")
			tt.process(b.o.Spec.Process)
			compareStatus(t, b.run(), tt.want)
		})
		t.Run("exec, "+name, func(t *testing.T) {
			b := newBox(t, "guest", "sleep", "1m")
			p := b.start()
			r := execIn(t, b, p, func(o *ExecOptions) { tt.process(o.Process) }, "guest", "cat", "/proc/self/status")
			compareStatus(t, r, tt.want)
		})
	}
}

func compareStatus(t *testing.T, r result, want map[string]string) {
	t.Helper()
	if r.Code != 0 {
		t.Fatalf("%+v", r)
	}
	got := map[string]string{}
	for key := range want {
		got[key] = status(r.out, key)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestSeccomp(t *testing.T) {
	profile := &specs.LinuxSeccomp{
		DefaultAction: specs.ActAllow,
		Syscalls:      []specs.LinuxSyscall{{Names: []string{"mkdirat", "mkdir"}, Action: specs.ActErrno}},
	}
	check := func(t *testing.T, st, dir result) {
		t.Helper()
		if got := status(st.out, "Seccomp"); got != "2" {
			t.Errorf("Seccomp: %s, want 2", got)
		}
		if dir.Code != 1 || !strings.Contains(dir.err, "operation not permitted") {
			t.Errorf("a refused system call: %+v", dir)
		}
	}
	t.Run("start", func(t *testing.T) {
		run := func(args ...string) result {
			b := newBox(t, args...)
			b.o.Spec.Linux.Seccomp = profile
			return b.run()
		}
		check(t, run("guest", "cat", "/proc/self/status"), run("guest", "mkdir", "/tmp/x"))
	})
	t.Run("exec", func(t *testing.T) {
		b := newBox(t, "guest", "sleep", "1m")
		b.o.Spec.Linux.Seccomp = profile
		p := b.start()
		check(t, execIn(t, b, p, nil, "guest", "cat", "/proc/self/status"), execIn(t, b, p, nil, "guest", "mkdir", "/tmp/x"))
	})
}

func TestNames(t *testing.T) {
	b := newBox(t, "guest", "host")
	b.o.Spec.Hostname = "ship"
	b.want("ship")
	b = newBox(t, "guest", "env")
	b.o.Spec.Process.Env = []string{"PATH=/bin", "A=1", "B="}
	b.want("PATH=/bin\nA=1\nB=")
}

func TestUmask(t *testing.T) {
	newBox(t, "guest", "umask").want("0022")
	b := newBox(t, "guest", "umask")
	b.o.Spec.Process.User.Umask = new(uint32)
	*b.o.Spec.Process.User.Umask = 0o77
	b.want("0077")
}

// TestOwnerOnDisk: what container uid 9000 makes is uid 9000's in the upper directory, which a build
// may thus rename into a layer.
func TestOwnerOnDisk(t *testing.T) {
	b := newBox(t, "guest", "write", "/home/user/file", "x")
	b.run()
	var st unix.Stat_t
	if err := unix.Stat(b.upper("home/user/file"), &st); err != nil {
		t.Fatal(err)
	}
	if st.Uid != userID || st.Gid != userID {
		t.Errorf("owner %d:%d on disk, want %d", st.Uid, st.Gid, userID)
	}
	b = newBox(t, "guest", "write", "/etc/file", "x").asRoot()
	b.run()
	if err := unix.Stat(b.upper("etc/file"), &st); err != nil || st.Uid != 0 {
		t.Errorf("root's file belongs to %d on disk (%v)", st.Uid, err)
	}
}

// TestOwnersSeen: files of the layer belong to whom they belonged to on disk.
func TestOwnersSeen(t *testing.T) {
	newBox(t, "guest", "stat", "/etc/passwd", "/home/user").want("passwd 100644 0:0\nuser 40755 9000:9000")
	r := newBox(t, "guest", "cat", "/etc/secret").run()
	if r.Code != 1 || !strings.Contains(r.err, "permission denied") {
		t.Errorf("uid 9000 reads root's file: %+v", r)
	}
	newBox(t, "guest", "cat", "/etc/secret").asRoot().want("secret")
}

func TestRemount(t *testing.T) {
	b := newBox(t, "guest", "write", "/home/user/file", "kept")
	b.run()
	b.o.Spec.Process.Args = []string{"guest", "cat", "/home/user/file"}
	b.o.Stdio = Stdio{}
	b.want("kept") // a volatile overlay is mounted a second time
}

func TestWorkingDirectory(t *testing.T) {
	b := newBox(t, "guest", "pwd")
	b.o.Spec.Process.Cwd = "/a/new/dir"
	b.want("/a/new/dir")
	var st unix.Stat_t
	if err := unix.Stat(b.upper("a/new/dir"), &st); err != nil || st.Uid != 0 || st.Mode != unix.S_IFDIR|0o755 {
		t.Errorf("made for uid %d with mode %o (%v), want root's 0755", st.Uid, st.Mode, err)
	}
	b = newBox(t, "guest", "pwd")
	b.o.Spec.Process.Cwd = "/bin/guest"
	if _, err := b.try(t.Context()); !errors.Is(err, unix.ENOTDIR) || !strings.Contains(err.Error(), "/bin/guest") {
		t.Errorf("a file as working directory: %v", err)
	}
}

func TestLimits(t *testing.T) {
	b := newBox(t, "guest", "sleep", "1m")
	b.o.Spec.Process.Rlimits = []specs.POSIXRlimit{
		{Type: "RLIMIT_SIGPENDING", Soft: 100, Hard: 200},
		{Type: "RLIMIT_NOFILE", Soft: 300, Hard: 400},
	}
	adj := 500
	b.o.Spec.Process.OOMScoreAdj = &adj
	p := b.start()
	var pending, files unix.Rlimit
	if err := unix.Prlimit(p.Pid, unix.RLIMIT_SIGPENDING, nil, &pending); err != nil || pending != (unix.Rlimit{Cur: 100, Max: 200}) {
		t.Errorf("pending signals: %v, %v", pending, err)
	}
	// The guest is a Go program and raises its soft limit to one below the hard one.
	if err := unix.Prlimit(p.Pid, unix.RLIMIT_NOFILE, nil, &files); err != nil || files.Max != 400 {
		t.Errorf("files: %v, %v", files, err)
	}
	if got, err := os.ReadFile("/proc/" + strconv.Itoa(p.Pid) + "/oom_score_adj"); err != nil || string(got) != "500\n" {
		t.Errorf("oom_score_adj %q, %v", got, err)
	}
	b = newBox(t, "guest")
	b.o.Spec.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NONSENSE"}}
	if _, err := b.try(t.Context()); err == nil || !strings.Contains(err.Error(), "RLIMIT_NONSENSE") {
		t.Errorf("unknown limit: %v", err)
	}
}

// TestFileLimitKept: what Go does to its own limit on files is nobody else's. It takes a program that
// is not Go's to see that.
func TestFileLimitKept(t *testing.T) {
	want, err := exec.CommandContext(t.Context(), "sh", "-c", "ulimit -n").Output()
	if err != nil {
		t.Fatal(err)
	}
	b := newBox(t, "sh", "-c", "ulimit -n").withHostPrograms()
	b.want(strings.TrimSpace(string(want)))
	b = newBox(t, "sleep", "60").withHostPrograms()
	if r := execIn(t, b, b.start(), nil, "sh", "-c", "ulimit -n"); r.out != string(want) {
		t.Errorf("exec: %+v, want %s", r, want)
	}
	b = newBox(t, "sh", "-c", "ulimit -n").withHostPrograms()
	b.o.Spec.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 300, Hard: 400}}
	b.want("300")
}

func TestCommandErrors(t *testing.T) {
	tests := map[string]struct {
		command, message string
		code             int
	}{
		"not in PATH":           {"nosuch", `exec: "nosuch": executable file not found in $PATH`, 127},
		"no such path":          {"/nosuch", `exec: "/nosuch": stat /nosuch: no such file or directory`, 127},
		"not executable":        {"/bin/plain", `exec: "/bin/plain": permission denied`, 126},
		"not executable, PATH":  {"plain", `exec: "plain": executable file not found in $PATH`, 127},
		"directory":             {"/etc", `exec: "/etc": is a directory`, 126},
		"directory in the way":  {"/bin/guest/x", `exec: "/bin/guest/x": stat /bin/guest/x: not a directory`, 127},
		"no right to look":      {"/locked/x", `exec: "/locked/x": permission denied`, 126},
		"no format":             {"broken", `exec /bin/broken: exec format error`, 126},
		"missing interpreter":   {"/bin/orphan.sh", `exec /bin/orphan.sh: no such file or directory`, 127},
		"empty":                 {"", `exec: "": executable file not found in $PATH`, 127},
		"relative to directory": {"./bin/nosuch", `exec: "./bin/nosuch": stat ./bin/nosuch: no such file or directory`, 127},
	}
	check := func(t *testing.T, err error, code int, message string) {
		t.Helper()
		var ce *CommandError
		if !errors.As(err, &ce) || ce.Code != code || ce.Error() != message {
			t.Errorf("%v, want code %d: %s", err, code, message)
		}
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := newBox(t, tt.command).try(t.Context())
			check(t, err, tt.code, tt.message)
		})
		t.Run("init, "+name, func(t *testing.T) {
			b := newBox(t, tt.command)
			b.o.Init = true
			_, err := b.try(t.Context())
			check(t, err, tt.code, tt.message)
		})
	}
	b := newBox(t, "guest", "sleep", "1m")
	p := b.start()
	for name, tt := range tests {
		t.Run("exec, "+name, func(t *testing.T) {
			proc := *b.o.Spec.Process
			proc.Args = []string{tt.command}
			_, err := Exec(t.Context(), ExecOptions{Pid: p.Pid, Spec: b.o.Spec, Process: &proc})
			check(t, err, tt.code, tt.message)
		})
	}
}

func TestUnsupported(t *testing.T) {
	tests := map[string]struct {
		change func(*specs.Spec)
		field  string
	}{
		"intelRdt": {func(s *specs.Spec) { s.Linux.IntelRdt = &specs.LinuxIntelRdt{} }, "linux.intelRdt"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := newBox(t, "guest")
			tt.change(b.o.Spec)
			_, err := b.try(t.Context())
			var unsupported *UnsupportedError
			if !errors.As(err, &unsupported) || unsupported.Field != tt.field {
				t.Errorf("%v, want unsupported: %s", err, tt.field)
			}
		})
	}
}

func add(s *specs.Spec, typ specs.LinuxNamespaceType, path string) {
	s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: typ, Path: path})
}

func TestUnmappedIDs(t *testing.T) {
	b := newBox(t, "guest")
	b.o.Spec.Process.User.UID = 70000
	if _, err := b.try(t.Context()); err == nil || !strings.Contains(err.Error(), "uid 70000 is not mapped") {
		t.Errorf("%v", err)
	}
}

// TestRootfsError has the caller's part fail: the child must be gone.
func TestRootfsError(t *testing.T) {
	b := newBox(t, "guest")
	sentinel := errors.New("no root")
	b.o.Rootfs = func(*os.File) (*os.File, error) { return nil, sentinel }
	if _, err := b.try(t.Context()); !errors.Is(err, sentinel) {
		t.Error(err)
	}
	noChildren(t)
}

// TestRootfsChangesUser resolves the user from the mounted root, as run does.
func TestRootfsChangesUser(t *testing.T) {
	b := newBox(t, "guest", "cat", "/proc/self/status")
	b.o.Rootfs = func(userns *os.File) (*os.File, error) {
		b.o.Spec.Process.User = specs.User{UID: 77, GID: 78}
		return b.mountRoot(userns)
	}
	compareStatus(t, b.run(), map[string]string{"Uid": "77 77 77 77", "Gid": "78 78 78 78", "Groups": ""})
}

func TestContextEnds(t *testing.T) {
	b := newBox(t, "guest")
	ctx, cancel := context.WithCancel(t.Context())
	b.o.Rootfs = func(userns *os.File) (*os.File, error) {
		cancel()
		return b.mountRoot(userns)
	}
	if _, err := b.try(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	noChildren(t)
}

// noChildren fails the test if this process has a child.
func noChildren(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Second); ; time.Sleep(time.Millisecond) {
		children := children(t)
		if len(children) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("children left: %v", children)
		}
	}
}

func children(t *testing.T) []string {
	t.Helper()
	var all []string
	lists, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil || len(lists) == 0 {
		t.Fatal("no list of children: ", err)
	}
	for _, l := range lists {
		b, _ := os.ReadFile(l) // a thread may be gone by now
		all = append(all, strings.Fields(string(b))...)
	}
	return all
}
