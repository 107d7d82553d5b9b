package runtime

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/linux/cgroup"
	"github.com/deckhand-engine/deckhand/internal/linux/seccomp"
)

// Every attack here and in attack_test.go is shown to succeed where its defence is taken out: see
// internal/attack, which builds this package without it.

// TestOverwriteExeByExec is CVE-2019-5736 as it was: the engine enters a container that waits for it.
func TestOverwriteExeByExec(t *testing.T) {
	for _, command := range []string{"/proc/self/exe", "/bin/self.sh"} {
		t.Run(command, func(t *testing.T) {
			b := newBox(t, "guest", "sleep", "1m").asRoot()
			exe := chownedCopy(t, b.idr.HostBase)
			before := exeDigest(t, exe)
			o := b.order("exec")
			o.ExecArgs = []string{command, "overwrite"}
			if r := launch(t, exe, o, nil).output(); !strings.Contains(r, "read-only file system") {
				t.Errorf("opening the runtime for writing: %q", r)
			}
			if exeDigest(t, exe) != before {
				t.Error("the executable was changed")
			}
		})
	}
}

// TestWorkingDirectoryByDescriptor is CVE-2024-21626: the working directory is one of the host's, by a
// descriptor that the engine left open.
func TestWorkingDirectoryByDescriptor(t *testing.T) {
	fd, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	high, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD, 250) // not close-on-exec
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(high)
	for name, cwd := range map[string]string{"directly": "/proc/self/fd/%d", "by a link": "/escape"} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t, "guest", "ls", ".")
			if err := os.Symlink(fmt.Sprintf("/proc/self/fd/%d", high), b.upper("escape")); err != nil {
				t.Fatal(err)
			}
			b.o.Spec.Process.Cwd = cwd
			if name == "directly" {
				b.o.Spec.Process.Cwd = fmt.Sprintf(cwd, high)
			}
			if r, err := b.try(t.Context()); err == nil {
				t.Errorf("started outside of its root: %+v", r)
			}
		})
	}
}

// withoutDev has the box use the image's own /dev.
func (b *box) withoutDev() *box {
	var kept []specs.Mount
	for _, m := range b.o.Spec.Mounts {
		if m.Destination != "/dev" {
			kept = append(kept, m)
		}
	}
	b.o.Spec.Mounts = kept
	return b
}

// TestMaskWithForgedNull is CVE-2025-31133: the image's /dev/null is a link to what is to be seen.
func TestMaskWithForgedNull(t *testing.T) {
	b := newBox(t, "guest", "cat", "/proc/keys").withoutDev()
	if err := os.Mkdir(b.upper("dev"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/proc/sys/kernel/ostype", b.upper("dev/null")); err != nil {
		t.Fatal(err)
	}
	b.want("")
}

// TestForgedConsole is CVE-2025-52565: the image's /dev/console is a link to what the terminal is to
// be mounted over.
func TestForgedConsole(t *testing.T) {
	b := terminalBox(t, "guest", "stat", "/etc/passwd").withoutDev()
	if err := os.Mkdir(b.upper("dev"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", b.upper("dev/console")); err != nil {
		t.Fatal(err)
	}
	p := b.start()
	if got := readConsole(t, p.Console); got != crlf("passwd 100644 0:0\n") {
		t.Errorf("the terminal is mounted over the link's end: %q", got)
	}
	if exit, err := p.Wait(); err != nil || exit.Code != 0 {
		t.Errorf("%+v, %v", exit, err)
	}
}

// TestSysctlRedirected is CVE-2025-52881: what the engine writes to procfs is led elsewhere.
func TestSysctlRedirected(t *testing.T) {
	const key = "net.ipv4.ip_unprivileged_port_start"
	for name, link := range map[string]bool{"by a link": true, "to another filesystem": false} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "sys", strings.ReplaceAll(key, ".", "/"))
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			b := newBox(t, "guest")
			b.o.Spec.Mounts[0] = bindMount(dir, "/proc")
			b.o.Spec.Linux.MaskedPaths, b.o.Spec.Linux.ReadonlyPaths = nil, nil
			b.o.Spec.Linux.Sysctl = map[string]string{key: "7"}
			victim := file
			if link {
				victim = b.upper("victim")
				if err := os.Symlink("/victim", file); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.WriteFile(victim, []byte("before"), 0o666); err != nil {
				t.Fatal(err)
			}
			_, err := b.try(t.Context())
			if text, readErr := os.ReadFile(victim); readErr != nil || string(text) != "before" {
				t.Errorf("written to: %q, %v", text, readErr)
			}
			if err == nil || !strings.Contains(err.Error(), "sysctl") {
				t.Errorf("%v, want a refusal", err)
			}
		})
	}
}

// TestFilesystemContext is the way to CVE-2022-0185, and to most holes since: a new user namespace, and
// in it what only root may do.
func TestFilesystemContext(t *testing.T) {
	b := newBox(t, "guest", "fsopen")
	profile, err := seccomp.Default(nil)
	if err != nil {
		t.Fatal(err)
	}
	b.o.Spec.Linux.Seccomp = profile
	if r := b.run(); r.Code != 1 || strings.Contains(r.out, "configured") || !strings.Contains(r.err, "operation not permitted") {
		t.Errorf("%+v", r)
	}
}

// TestRootMounts: root in a container without CAP_SYS_ADMIN, and without a filter, may not mount.
func TestRootMounts(t *testing.T) {
	b := newBox(t, "guest", "mount", "/tmp").asRoot()
	if r := b.run(); r.Code != 1 || !strings.Contains(r.err, "operation not permitted") {
		t.Errorf("%+v", r)
	}
}

// TestSetuidFile: a setuid file that came with a layer makes nobody root.
func TestSetuidFile(t *testing.T) {
	b := newBox(t, "/suid/guest", "cat", "/proc/self/status")
	program, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(b.upper("suid"), 0o755); err != nil {
		t.Fatal(err)
	}
	path := b.upper("suid/guest")
	if err := os.WriteFile(path, program, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Chmod(path, 0o4755); err != nil {
		t.Fatal(err)
	}
	r := b.run()
	if got := status(r.out, "Uid"); got != "9000 9000 9000 9000" {
		t.Errorf("runs as %s", got)
	}
}

// TestTerminalInjection lends the container our terminal: it may not type on it what our shell would
// then read (CVE-2005-4890, CVE-2016-2568).
func TestTerminalInjection(t *testing.T) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	unlock := 0
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, master.Fd(), unix.TIOCSPTLCK, uintptr(unsafe.Pointer(&unlock))); errno != 0 {
		t.Fatal(errno)
	}
	fd, _, errno := unix.Syscall(unix.SYS_IOCTL, master.Fd(), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY)
	if errno != 0 {
		t.Fatal(errno)
	}
	terminal := os.NewFile(fd, "terminal")
	defer terminal.Close()
	o := newBox(t, "guest", "inject").order("start")
	o.Stdin = true
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", string(text))
	cmd.Args[0], cmd.Dir = "starter", "/"
	cmd.Stdin, cmd.Stdout, cmd.Stderr = terminal, &out, &out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	err = cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() != 1 || !strings.Contains(out.String(), "TIOCSTI") {
		t.Errorf("%v: %s", err, out.String())
	}
}

// TestReleaseAgent is the escape by a cgroup's release_agent (CVE-2022-0492): root with CAP_SYS_ADMIN
// and no filter is held by the user namespace alone. Without it the attack succeeds, so that it can.
func TestReleaseAgent(t *testing.T) {
	filesystems, err := os.ReadFile("/proc/filesystems")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(filesystems), "\tcgroup\n") {
		t.Log("this kernel has no cgroups of version 1: there is no release_agent to write to")
		return
	}
	for name, tt := range map[string]struct {
		bare bool
		want string
	}{
		"defended": {false, ""}, "without the user namespace": {true, "the kernel will run it\n"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t, "guest", "release-agent", "/tmp", "deckhand-attack-"+strconv.Itoa(os.Getpid())).asRoot()
			set := append([]string{"CAP_SYS_ADMIN"}, b.o.Spec.Process.Capabilities.Bounding...)
			b.o.Spec.Process.Capabilities = &specs.LinuxCapabilities{Bounding: set, Effective: set, Permitted: set}
			if tt.bare {
				b.o.Spec.Linux.UIDMappings, b.o.Spec.Linux.GIDMappings = nil, nil
				b.o.Spec.Linux.Namespaces = withoutNamespace(b.o.Spec, specs.UserNamespace)
				b.o.Spec.Linux.Namespaces = withoutNamespace(b.o.Spec, specs.CgroupNamespace)
			}
			g, err := cgroup.New("test-release-" + strconv.Itoa(os.Getpid()))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = g.Remove() })
			b.o.Cgroup = g.Dir
			r := b.run()
			if r.out != tt.want || !tt.bare && !strings.Contains(r.err, "operation not permitted") {
				t.Errorf("%+v, want %q", r, tt.want)
			}
		})
	}
}
