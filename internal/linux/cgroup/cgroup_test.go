package cgroup

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/need"
)

// testID is unique to this process, so that several runs do not meet.
func testID(name string) string { return "test-" + name + "-" + strconv.Itoa(os.Getpid()) }

func newGroup(t *testing.T, name string) *Group {
	t.Helper()
	need.Root(t)
	g, err := New(testID(name))
	if err != nil {
		t.Fatal(err)
	}
	if g.Path == "" {
		t.Skip("no writable cgroup v2 tree")
	}
	t.Cleanup(func() { _ = g.Kill(); _ = g.Remove() })
	return g
}

// startIn starts a sleeping process in the group.
func startIn(t *testing.T, g *Group) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sleep", "100")
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(g.Dir.Fd()), Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

func TestKillAndRemove(t *testing.T) {
	g := newGroup(t, "kill")
	cmd := startIn(t, g)
	procs, err := os.ReadFile(filepath.Join(g.Path, "cgroup.procs"))
	if err != nil || string(procs) != strconv.Itoa(cmd.Process.Pid)+"\n" {
		t.Fatalf("cgroup.procs is %q (%v), want %d", procs, err, cmd.Process.Pid)
	}
	if err := g.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil || err.Error() != "signal: killed" {
		t.Fatalf("process ended with %v, want SIGKILL", err)
	}
	if err := g.Remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(g.Path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the group is still there: %v", err)
	}
	if err := g.Remove(); err != nil {
		t.Errorf("removing it twice: %v", err)
	}
}

// TestRemoveWaits removes a group whose process is dying.
func TestRemoveWaits(t *testing.T) {
	g := newGroup(t, "wait")
	cmd := startIn(t, g)
	done := make(chan error, 1)
	go func() { done <- g.Remove() }()
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestRemoveNested(t *testing.T) {
	g := newGroup(t, "nested")
	if err := os.MkdirAll(filepath.Join(g.Path, "a", "b"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := g.Remove(); err != nil {
		t.Error(err)
	}
}

func TestNewTakesOver(t *testing.T) {
	g := newGroup(t, "again")
	again, err := New(filepath.Base(g.Path))
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if again.Path != g.Path {
		t.Errorf("%s, want %s", again.Path, g.Path)
	}
	found, err := Open(filepath.Base(g.Path))
	if err != nil {
		t.Fatal(err)
	}
	defer found.Close()
}

func TestOpenMissing(t *testing.T) {
	if _, err := Open(testID("missing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v, want fs.ErrNotExist", err)
	}
}

func TestBadNames(t *testing.T) {
	for _, id := range []string{"", ".", "..", "../x", "a/b", "a\x00b"} {
		if _, err := New(id); err == nil {
			t.Errorf("New(%q) succeeded", id)
		}
	}
}

// TestSweep removes what nobody holds and leaves what somebody does, or what has processes.
func TestSweep(t *testing.T) {
	held := newGroup(t, "held")
	free := newGroup(t, "free")
	_ = free.Close()
	busy := newGroup(t, "busy")
	cmd := startIn(t, busy)
	_ = busy.Close()
	if err := Sweep(); err != nil {
		t.Fatal(err)
	}
	for g, want := range map[*Group]bool{held: true, free: false, busy: true} {
		if _, err := os.Stat(g.Path); (err == nil) != want {
			t.Errorf("%s is there: %v, want %v", g.Path, err == nil, want)
		}
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

// TestNewAgainstSweep makes groups while another goroutine sweeps: none may vanish under its holder.
func TestNewAgainstSweep(t *testing.T) {
	newGroup(t, "against")
	stop := make(chan struct{})
	swept := make(chan struct{})
	go func() {
		defer close(swept)
		for {
			select {
			case <-stop:
				return
			default:
				_ = Sweep()
			}
		}
	}()
	for range 200 {
		g, err := New(testID("raced"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(g.Path); err != nil {
			t.Fatal(err)
		}
		if err := g.Remove(); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	<-swept
}

// TestAllowDevices opens devices in a group with a rule.
func TestAllowDevices(t *testing.T) {
	g := newGroup(t, "devices")
	if err := AllowDevices(g.Dir, []Device{{Major: 1, Minor: 11}, {Block: true, Major: 7, Minor: 1}}); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{
		"/dev/null": true, "/dev/zero": true, "/dev/urandom": true, "/dev/kmsg": true,
		"/dev/mem": false, "/dev/fuse": false, "/dev/loop0": false, "/dev/loop1": true,
	} {
		if _, err := os.Stat(path); err != nil {
			continue // not on every machine
		}
		cmd := exec.CommandContext(t.Context(), "dd", "if="+path, "of=/dev/null", "count=0")
		cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(g.Dir.Fd())}
		out, err := cmd.CombinedOutput()
		if (err == nil) != want {
			t.Errorf("%s: %v %s", path, err, out)
		}
	}
}

// TestAllowDevicesSignalled sets the rule on a thread that gets signals all the while, as Go's scheduler sends them.
func TestAllowDevicesSignalled(t *testing.T) {
	g := newGroup(t, "signalled")
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	pid, tid := os.Getpid(), unix.Gettid()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				_ = unix.Tgkill(pid, tid, unix.SIGURG) // what preempts goroutines; it does nothing else
			}
		}
	}()
	for range 30 { // a group holds at most 64 rules
		if err := AllowDevices(g.Dir, nil); err != nil {
			t.Error(err)
			break
		}
	}
	close(stop)
	<-stopped
}
