package runtime

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// exeDigest is enough of an executable to see that it was changed.
func exeDigest(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(len(b), bytes.Count(b, []byte{0}))
}

// TestOverwriteExe is CVE-2019-5736: the container has the runtime execute itself inside, by
// /proc/self/exe, and opens that process's executable for writing. The file belongs to the
// container's root here, so that nothing but the seal protects it, and is not in use any more: the
// runtime has ended, and the container lives on.
func TestOverwriteExe(t *testing.T) {
	for _, command := range []string{"/proc/self/exe", "/bin/self.sh"} {
		t.Run(command, func(t *testing.T) {
			b := newBox(t, command, "overwrite").asRoot()
			exe := chownedCopy(t, b.idr.HostBase)
			before := exeDigest(t, exe)
			o := b.order("leave")
			o.Outlive = true
			r := launch(t, exe, o, nil).output()
			if !strings.Contains(r, "read-only file system") {
				t.Errorf("opening the runtime for writing: %q", r)
			}
			if exeDigest(t, exe) != before {
				t.Error("the executable was changed")
			}
		})
	}
}

// TestOverwritePid1 does the same to the init, whose program is ours by right.
func TestOverwritePid1(t *testing.T) {
	before := exeDigest(t, "/proc/self/exe")
	b := newBox(t, "guest", "reopen", "/proc/1/exe", "#!/bin/evil").asRoot()
	b.o.Init = true
	r := b.run()
	if r.Code != 1 || !strings.Contains(r.err, "read-only file system") {
		t.Errorf("%+v", r)
	}
	if exeDigest(t, "/proc/self/exe") != before {
		t.Error("the executable was changed")
	}
}

// TestMemoryExe: the fallback without overlays is sealed as well.
func TestMemoryExe(t *testing.T) {
	fd, err := memoryExe()
	if err != nil {
		t.Fatal(err)
	}
	defer closeFd(fd)
	path := "/proc/self/fd/" + strconv.Itoa(fd)
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err == nil {
		_, err = f.WriteString("x")
		_ = f.Close()
	}
	if !errors.Is(err, unix.EPERM) {
		t.Errorf("write to the sealed copy: %v, want EPERM", err)
	}
	want, err := os.Stat("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.Stat(path)
	if err != nil || got.Size() != want.Size() {
		t.Errorf("copy has %v bytes (%v), want %d", got, err, want.Size())
	}
}

// TestLeakedDescriptors is CVE-2024-21626: a descriptor of the host that is open in the runtime must
// not be open in the container.
func TestLeakedDescriptors(t *testing.T) {
	fd, err := unix.Open("/", unix.O_PATH, 0) // not close-on-exec
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	high, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD, 200)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(high)
	newBox(t, "guest", "fds").want("0\n1\n2")
	b := newBox(t, "guest", "fds")
	b.o.Init = true
	b.want("0\n1\n2")
	b = newBox(t, "guest", "sleep", "1m")
	if r := execIn(t, b, b.start(), nil, "guest", "fds"); r.out != "0\n1\n2\n" {
		t.Errorf("exec: %+v", r)
	}
}

// TestWorkingDirectoryOutside tries to start in a directory of the host through such a descriptor.
func TestWorkingDirectoryOutside(t *testing.T) {
	for fd := 3; fd < 12; fd++ {
		b := newBox(t, "guest", "pwd")
		b.o.Spec.Process.Cwd = fmt.Sprintf("/proc/self/fd/%d", fd)
		r, err := b.try(t.Context())
		if err == nil {
			t.Errorf("started in %s: %+v", b.o.Spec.Process.Cwd, r)
		}
	}
	b := newBox(t, "guest", "ls", ".")
	if err := os.Symlink("/proc/1/root", b.upper("escape")); err != nil {
		t.Fatal(err)
	}
	b.o.Spec.Process.Cwd = "/escape"
	if r, err := b.try(t.Context()); err == nil {
		t.Errorf("started through a magic link: %+v", r)
	}
}

// TestWorkingDirectoryLink follows a link within the root.
func TestWorkingDirectoryLink(t *testing.T) {
	b := newBox(t, "guest", "ls", ".")
	if err := os.Symlink("/", b.upper("rootlink")); err != nil {
		t.Fatal(err)
	}
	b.o.Spec.Process.Cwd = "/rootlink"
	r := b.run()
	if !strings.Contains(r.out, "rootlink") {
		t.Errorf("not the container's root: %+v", r)
	}
}

// TestPidReuse never signals another process than the one it was asked to.
func TestPidReuse(t *testing.T) {
	p := newBox(t, "guest", "sleep", "1m").start()
	ticks, err := StartTicks(p.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if err := SignalPid(p.Pid, ticks+1, syscall.SIGKILL); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("another start time: %v, want os.ErrProcessDone", err)
	}
	if err := SignalPid(p.Pid, ticks, 0); err != nil {
		t.Errorf("the container was hit: %v", err)
	}
	_, err = Exec(t.Context(), ExecOptions{Pid: p.Pid, StartTicks: ticks + 1, Spec: testSpec(0, []string{"guest"}), Process: testSpec(0, []string{"guest"}).Process})
	if !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("exec with another start time: %v, want os.ErrProcessDone", err)
	}
	if err := SignalPid(p.Pid, ticks, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if exit, err := p.Wait(); err != nil || exit.Signal != syscall.SIGKILL {
		t.Errorf("%+v, %v", exit, err)
	}
	if err := SignalPid(p.Pid, ticks, 0); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("after the end: %v, want os.ErrProcessDone", err)
	}
}

// TestParentDies kills a process that runs containers: they must not survive it.
func TestParentDies(t *testing.T) {
	for _, mode := range []string{"start", "start-root", "init", "exec"} {
		t.Run(mode, func(t *testing.T) {
			b := newBox(t, "guest", "sleep", "1m")
			s := newStarter(t, "/proc/self/exe", b, mode)
			pid := s.readPid()
			ticks, err := StartTicks(pid)
			if err != nil {
				t.Fatal(err)
			}
			if err := SignalPid(pid, ticks, 0); err != nil {
				t.Fatal("it does not run: ", err)
			}
			_ = s.cmd.Process.Kill()
			_ = s.cmd.Wait()
			for deadline := time.Now().Add(5 * time.Second); SignalPid(pid, ticks, 0) == nil && !isZombie(pid); time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					_ = SignalPid(pid, ticks, syscall.SIGKILL)
					t.Fatal("the container outlives its parent")
				}
			}
		})
	}
}

// isZombie reports whether only the parent's wait is missing: whoever inherited it may be slow.
func isZombie(pid int) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	return err != nil || strings.HasPrefix(status(string(b), "State"), "Z")
}

// chownedCopy is a copy of our program that belongs to a container's root.
func chownedCopy(t *testing.T, uid uint32) string {
	t.Helper()
	b, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "starter")
	if err := os.WriteFile(path, b, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, int(uid), int(uid)); err != nil {
		t.Fatal(err)
	}
	return path
}
