package bundle

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// shell is a hook that runs a line of shell.
func shell(line string) specs.Hook {
	return specs.Hook{Path: "/bin/sh", Args: []string{"hook", "-c", line}}
}

func TestHooks(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	state := &State{OCIVersion: "1.0.0", ID: "x", Pid: 7, Status: specs.StateCreating, Bundle: "/b"}
	hooks := &specs.Hooks{
		Prestart:      []specs.Hook{shell("cat >>" + out)}, //nolint:staticcheck // deprecated, and to be called all the same
		CreateRuntime: []specs.Hook{shell("echo $0 $A$PATH >>" + out), shell("exit 3"), shell("echo no >>" + out)},
		Poststop:      []specs.Hook{shell("echo said >&2; exit 4"), shell("echo still >>" + out)},
	}
	hooks.CreateRuntime[0].Env = []string{"A=a"}
	if err := runHooks(t.Context(), hooks, pointPrestart, state); err != nil {
		t.Fatal(err)
	}
	err := runHooks(t.Context(), hooks, pointCreateRuntime, state)
	if err == nil || !strings.Contains(err.Error(), "error running createRuntime hook #1: /bin/sh: exit status 3") {
		t.Errorf("error %v", err)
	}
	err = runEveryHook(t.Context(), hooks, pointPoststop, state)
	if err == nil || !strings.Contains(err.Error(), "error running poststop hook #0: /bin/sh: exit status 4: said") {
		t.Errorf("error %v", err)
	}
	got, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	input, rest, _ := strings.Cut(string(got), "}")
	var read State
	if err := json.Unmarshal([]byte(input+"}"), &read); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(state, &read); diff != "" {
		t.Error(diff)
	}
	// The shell sets PATH when it has none: what matters is that ours is not there.
	if want := "hook a"; !strings.HasPrefix(rest, want) || strings.Contains(rest, os.Getenv("PATH")) || !strings.HasSuffix(rest, "\nstill\n") {
		t.Errorf("the hooks wrote %q", rest)
	}
}

func TestHookTimeout(t *testing.T) {
	h := shell("exec sleep 100")
	second := 1
	h.Timeout = &second
	err := runHooks(t.Context(), &specs.Hooks{CreateRuntime: []specs.Hook{h}}, pointCreateRuntime, &State{})
	if err == nil || !strings.Contains(err.Error(), "it took more than 1s") {
		t.Errorf("error %v", err)
	}
}

// TestHookLeavesChild: a hook's end is what is waited for, not that of what it started.
func TestHookLeavesChild(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	pid := filepath.Join(t.TempDir(), "pid")
	h := shell("sleep 100 & echo $! >" + pid)
	if err := runHook(ctx, &h, &State{}); err != nil {
		t.Error(err)
	}
	b, err := os.ReadFile(pid)
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if err := json.Unmarshal(b, &n); err != nil || n <= 1 {
		t.Fatalf("pid %q: %v", b, err)
	}
	_ = unix.Kill(n, unix.SIGKILL)
}

func TestNoHooks(t *testing.T) {
	if err := errors.Join(runHooks(t.Context(), nil, pointPrestart, nil), runEveryHook(t.Context(), nil, pointPoststop, nil)); err != nil {
		t.Error(err)
	}
}

func TestConsoleSocket(t *testing.T) {
	// Longer than an address.
	dir := filepath.Join(t.TempDir(), strings.Repeat("d", 100))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "socket")
	t.Chdir(dir)
	l, err := new(net.ListenConfig).Listen(t.Context(), "unix", "socket")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s, err := openConsole(path, &specs.Process{Terminal: true})
	if err != nil {
		t.Fatal(err)
	}
	master, err := os.Open("/dev/zero")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.send(master); err != nil {
		t.Fatal(err)
	}
	s.close()
	if _, err := master.Stat(); err == nil {
		t.Error("the master is still open here")
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	conn, ok := c.(*net.UnixConn)
	if !ok {
		t.Fatal("no unix socket")
	}
	buf, oob := make([]byte, 100), make([]byte, 100)
	n, oobn, _, _, err := conn.ReadMsgUnix(buf, oob)
	if err != nil || string(buf[:n]) != "/dev/zero" {
		t.Fatalf("received %q: %v", buf[:n], err)
	}
	msgs, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil || len(msgs) != 1 {
		t.Fatalf("control messages %v: %v", msgs, err)
	}
	fds, err := unix.ParseUnixRights(&msgs[0])
	if err != nil || len(fds) != 1 {
		t.Fatalf("descriptors %v: %v", fds, err)
	}
	_ = unix.Close(fds[0])
}

func TestConsoleSocketRefused(t *testing.T) {
	if _, err := openConsole("/x", &specs.Process{}); err == nil {
		t.Error("a console socket without a terminal is accepted")
	}
	if _, err := openConsole(filepath.Join(t.TempDir(), "none"), &specs.Process{Terminal: true}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

func TestWritePidFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pid")
	for _, pid := range []int{1234567, 8} {
		if err := WritePidFile(path, pid); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "8" {
		t.Errorf("%q: %v", b, err)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	if err := WritePidFile(filepath.Join(path, "below"), 1); err == nil {
		t.Error("a file below a file was written")
	}
}
