package runtime

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/need"
)

// rootlessBox is a box for a runtime that is root of a user namespace itself: the container's is
// nested, with the same ids, and nothing is idmapped.
func rootlessBox(t *testing.T, size uint32, args ...string) *box {
	t.Helper()
	need.Userns(t)
	b := newBox(t, args...)
	ids := []specs.LinuxIDMapping{{Size: size}}
	b.o.Spec.Linux.UIDMappings, b.o.Spec.Linux.GIDMappings = ids, ids
	return b
}

// giveTo gives the box's directories to a host id.
func (b *box) giveTo(id int) {
	b.t.Helper()
	for _, d := range []string{"", "upper", "work", "upper/data"} {
		if err := os.Chown(filepath.Join(b.base, d), id, id); err != nil && !errors.Is(err, os.ErrNotExist) {
			b.t.Fatal(err)
		}
	}
	// Others must be able to come this far.
	for dir := b.base; dir != "/"; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			b.t.Fatal(err)
		}
		if info.Mode()&0o001 == 0 {
			if err := os.Chmod(dir, 0o755); err != nil {
				b.t.Fatal(err)
			}
		}
	}
}

const subordinate = 2000000

func TestRootless(t *testing.T) {
	for name, mode := range map[string]string{"plain": "start", "init": "init", "root": "start-root"} {
		t.Run(name, func(t *testing.T) {
			b := rootlessBox(t, 65536, "guest", "write", "/data/file", "x")
			if err := os.Mkdir(b.upper("data"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(b.upper("data"), 0o777); err != nil {
				t.Fatal(err)
			}
			b.giveTo(subordinate)
			if err := os.Chmod(imageDir(t), 0o755); err != nil {
				t.Fatal(err)
			}
			o := b.order(mode)
			o.UserXattr = true
			ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: subordinate, Size: 65536}}
			s := launch(t, "/proc/self/exe", o, &syscall.SysProcAttr{
				Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS, UidMappings: ids, GidMappings: ids,
				GidMappingsEnableSetgroups: true, Credential: &syscall.Credential{},
			})
			s.readPid()
			if out := s.output(); out != "" || s.cmd.ProcessState.ExitCode() != 0 {
				t.Fatalf("%v: %s", s.cmd.ProcessState, out)
			}
			var st unix.Stat_t
			want := uint32(subordinate + userID)
			if mode == "start-root" {
				want = subordinate
			}
			if err := unix.Stat(b.upper("data/file"), &st); err != nil || st.Uid != want {
				t.Errorf("owner %d on disk (%v), want %d", st.Uid, err, want)
			}
		})
	}
}

// TestSingleID is an ordinary user without subordinate ids, who then enters his container from the
// initial namespaces.
func TestSingleID(t *testing.T) {
	const user = 54321
	b := rootlessBox(t, 1, "guest", "sleep", "1m")
	b.o.Spec.Process.User = specs.User{}
	b.giveTo(user)
	if err := os.Chmod(imageDir(t), 0o755); err != nil {
		t.Fatal(err)
	}
	o := b.order("enter")
	o.UserXattr = true
	s := launch(t, "/proc/self/exe", o, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}})
	out := s.output()
	if got := status(out, "Uid"); got != "0 0 0 0" || !strings.Contains(out, "guest\x00sleep") {
		t.Errorf("%v: %s", s.cmd.ProcessState, out)
	}
}

// TestRootlessSpec has an ordinary user carry out what his kernel lets him.
func TestRootlessSpec(t *testing.T) {
	tests := map[string]struct {
		args   []string
		change func(*box)
		want   string
	}{
		"time": {[]string{"cat", "/proc/self/timens_offsets"}, func(b *box) {
			add(b.o.Spec, specs.TimeNamespace, "")
			b.o.Spec.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"boottime": {Secs: 77}}
		}, "77"},
		"copy-up": {[]string{"cat", "/data/file"}, func(b *box) {
			if err := os.Mkdir(b.upper("data"), 0o755); err != nil {
				b.t.Fatal(err)
			}
			if err := os.WriteFile(b.upper("data/file"), []byte("copied"), 0o644); err != nil {
				b.t.Fatal(err)
			}
			b.mount(specs.Mount{Destination: "/data", Type: "tmpfs", Source: "tmpfs", Options: []string{"tmpcopyup"}})
		}, "copied"},
		"remount": {[]string{"cat", "/proc/self/mountinfo"}, func(b *box) {
			b.mount(specs.Mount{Destination: "/mem", Type: "tmpfs", Source: "tmpfs"}, specs.Mount{Destination: "/mem", Options: []string{"remount", "ro", "size=8k"}})
		}, "/mem ro,"},
		"device of the host": {[]string{"stat", "/dev/loop-control"}, func(b *box) {
			var st unix.Stat_t
			if err := unix.Stat("/dev/loop-control", &st); err != nil {
				b.t.Fatal(err)
			}
			b.o.Spec.Linux.Devices = []specs.LinuxDevice{device("/dev/loop-control", "c", int64(unix.Major(st.Rdev)), int64(unix.Minor(st.Rdev)))}
		}, "loop-control 20"},
		"pipe": {[]string{"stat", "/dev/pipe"}, func(b *box) {
			b.o.Spec.Linux.Devices = []specs.LinuxDevice{device("/dev/pipe", "p", 0, 0)}
		}, "pipe 10666 0:0"},
		"nice": {[]string{"sched"}, func(b *box) {
			b.o.Spec.Process.Scheduler = &specs.Scheduler{Policy: specs.SchedBatch, Nice: 5}
		}, "3 5 "},
		"host's pids":  {[]string{"links", "/proc/self/ns/pid"}, func(b *box) { b.leave(specs.PIDNamespace) }, "pid:["},
		"host's IPC":   {[]string{"true"}, func(b *box) { b.leave(specs.IPCNamespace); b.dropMount("/dev/mqueue") }, ""},
		"host's group": {[]string{"true"}, func(b *box) { b.leave(specs.CgroupNamespace) }, ""},
		"limits": {[]string{"true"}, func(b *box) {
			b.o.Spec.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NPROC", Soft: 100, Hard: 100}}
		}, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := rootlessBox(t, 65536, append([]string{"guest"}, tt.args...)...)
			tt.change(b)
			b.giveTo(subordinate)
			if err := os.Chmod(imageDir(t), 0o755); err != nil {
				t.Fatal(err)
			}
			o := b.order("start")
			o.UserXattr = true
			ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: subordinate, Size: 65536}}
			s := launch(t, "/proc/self/exe", o, &syscall.SysProcAttr{
				Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS, UidMappings: ids, GidMappings: ids,
				GidMappingsEnableSetgroups: true, Credential: &syscall.Credential{},
			})
			if out := s.output(); !strings.Contains(out, tt.want) || s.cmd.ProcessState.ExitCode() != 0 {
				t.Errorf("%v: %s", s.cmd.ProcessState, out)
			}
		})
	}
}

// dropMount leaves a mount out.
func (b *box) dropMount(target string) {
	b.o.Spec.Mounts = slices.DeleteFunc(b.o.Spec.Mounts, func(m specs.Mount) bool { return m.Destination == target })
}
