package tracer

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/deckhand-engine/deckhand/internal/linux/mount"
	"github.com/deckhand-engine/deckhand/internal/need"
	"github.com/deckhand-engine/deckhand/internal/runtime"
)

const subordinate = 2000000

// TestRootless: root of an ordinary user's namespace watches as root does.
func TestRootless(t *testing.T) {
	need.Userns(t)
	b := newBox(t)
	b.addTool(0o755)
	if err := giveAway(b.base); err != nil {
		t.Fatal(err)
	}
	ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: subordinate, Size: 65536}}
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Args = []string{"watcher", b.base}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS, UidMappings: ids, GidMappings: ids,
		GidMappingsEnableSetgroups: true, Credential: &syscall.Credential{},
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want := "setresuid 33:0 EPERM 9000\nopenat /proc/self/oom_score_adj writes creates 9000\nwrite /proc/1/oom_score_adj writes EACCES 9000\n"
	if diff := cmp.Diff(want, string(out)); diff != "" {
		t.Error(diff)
	}
}

// giveAway makes a box's directories those of the subordinate root, and lets others come this far.
func giveAway(base string) error {
	for _, d := range []string{"", "upper", "work"} {
		if err := os.Chown(filepath.Join(base, d), subordinate, subordinate); err != nil {
			return err
		}
	}
	for dir := base; dir != "/"; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return err
		}
		if info.Mode()&0o001 == 0 {
			if err := os.Chmod(dir, 0o755); err != nil {
				return err
			}
		}
	}
	return nil
}

// watcher is the program that TestRootless starts in a user namespace. It prints some of what it sees.
func watcher(args []string) int {
	base := args[0]
	t, err := New()
	if err != nil {
		fmt.Println(err)
		return 1
	}
	s := testSpec(0, []string{"/tool", "ids"})
	s.Mounts = slices.DeleteFunc(s.Mounts, func(m specs.Mount) bool { return m.Type == "bind" && m.Destination != "/usr" }) // out of reach
	s.Mounts[len(s.Mounts)-1].Options = []string{"rbind", "ro"}                                                             // what an ordinary user was given comes as a whole
	p, err := runtime.Start(context.Background(), runtime.StartOptions{
		ID: "test", Spec: s, Attach: t.Attach, Stdio: runtime.Stdio{Out: os.Stdout, Err: os.Stdout},
		Rootfs: func(*os.File) (*os.File, error) {
			return mount.Overlay{
				Lower: []string{filepath.Join(base, "layer")}, UpperBase: base, UserXattr: true,
				Upper: filepath.Join(base, "upper"), Work: filepath.Join(base, "work"), Volatile: true,
			}.Mount()
		},
	})
	if err != nil {
		fmt.Println("start:", err)
		return 1
	}
	exit, err := p.Wait()
	for _, c := range t.Record().Calls {
		if c.Syscall == "setresuid" || strings.HasSuffix(c.Path, "oom_score_adj") {
			fmt.Println(line(&c), c.Process.UID)
		}
	}
	if closeErr := t.Close(); err != nil || closeErr != nil {
		fmt.Println(err, closeErr)
	}
	return exit.Code
}
