package runtime

import (
	"errors"
	"os"
	"path/filepath"
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
