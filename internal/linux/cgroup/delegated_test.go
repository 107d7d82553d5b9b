package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/deckhand-engine/deckhand/internal/need"
)

// asUser in the environment makes this program a part of a test that an ordinary user runs.
const asUser = "DECKHAND_CGROUP_TEST"

func TestMain(m *testing.M) {
	part := map[string]func() error{"limit": limitAsUser, "plain": plainAsUser, "find": findAsUser}[os.Getenv(asUser)]
	if part == nil {
		os.Exit(m.Run())
	}
	if err := part(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// limitAsUser has a process born in a group of the user's own.
func limitAsUser() error {
	g, err := Make("mine", &specs.LinuxResources{Unified: map[string]string{"cgroup.max.descendants": "5"}})
	if err != nil {
		return err
	}
	cmd := exec.Command("cat", "/proc/self/cgroup")
	cmd.Stdout = os.Stdout
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(g.Dir.Fd())}
	return errors.Join(g.Enter(cmd.Run), g.Remove())
}

// plainAsUser may have no group, and no limit of version 1.
func plainAsUser() error {
	g, err := Make("mine", nil)
	if err != nil || g.Path == "" {
		return errors.Join(err, errors.New("no group"))
	}
	return g.Close()
}

func findAsUser() error {
	g, err := Find("mine")
	if err != nil {
		return err
	}
	fmt.Println(g.Path)
	return g.Remove()
}

const testUser = 34567

// asUserIn runs a part of this program as an ordinary user, in a group.
func asUserIn(t *testing.T, part, dir string) (string, error) {
	t.Helper()
	group, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer group.Close()
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Env = append(os.Environ(), asUser+"="+part)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{
		UseCgroupFD: true, CgroupFD: int(group.Fd()), Credential: &syscall.Credential{Uid: testUser, Gid: testUser},
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// delegate makes groups, and gives some to the user as systemd does.
func delegate(t *testing.T, groups map[string]bool) string {
	t.Helper()
	need.Root(t)
	root := unifiedRoot()
	if root == "" {
		t.Skip("no cgroup v2 tree")
	}
	top := filepath.Join(root, testID("delegated"))
	t.Cleanup(func() {
		if err := removeGroup(top); err != nil {
			t.Error(err)
		}
	})
	names := make([]string, 0, len(groups))
	for name := range groups {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		dir := filepath.Join(top, name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, f := range []string{"", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"} {
			if !groups[name] {
				break
			}
			if err := os.Chown(filepath.Join(dir, f), testUser, testUser); err != nil {
				t.Fatal(err)
			}
		}
	}
	return top
}

// TestDelegatedUser makes a group below the user's systemd, from a scope of it.
func TestDelegatedUser(t *testing.T) {
	service := "user-" + strconv.Itoa(testUser) + ".slice/user@" + strconv.Itoa(testUser) + ".service"
	top := delegate(t, map[string]bool{service: true, service + "/app.scope": true, filepath.Dir(service) + "/session-1.scope": false})
	out, err := asUserIn(t, "limit", filepath.Join(top, service, "app.scope"))
	if err != nil || !strings.Contains(out, "0::"+strings.TrimPrefix(top, unifiedRoot())+"/"+service+"/deckhand/mine\n") {
		t.Errorf("%v: %s", err, out)
	}
	if out, err = asUserIn(t, "limit", filepath.Join(top, filepath.Dir(service), "session-1.scope")); err == nil || !strings.Contains(out, "this user may make no cgroups") {
		t.Errorf("from a login session: %v: %s", err, out)
	}
	if out, err = asUserIn(t, "plain", filepath.Join(top, service, "app.scope")); err != nil {
		t.Errorf("without limits: %v: %s", err, out)
	}
	if out, err = asUserIn(t, "find", filepath.Join(top, filepath.Dir(service), "session-1.scope")); err != nil || !strings.Contains(out, "/deckhand/mine\n") {
		t.Errorf("from a login session, what is there: %v: %s", err, out)
	}
}

// TestDelegatedService: Delegate=yes gives the service's own group.
func TestDelegatedService(t *testing.T) {
	top := delegate(t, map[string]bool{"x.service": true})
	out, err := asUserIn(t, "limit", filepath.Join(top, "x.service"))
	if err != nil || !strings.Contains(out, "/x.service/deckhand/mine\n") {
		t.Errorf("%v: %s", err, out)
	}
	if _, err := os.Stat(filepath.Join(top, "x.service/deckhand/mine")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is left: %v", err)
	}
}
