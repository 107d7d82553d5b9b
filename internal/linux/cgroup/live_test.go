package cgroup

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/deckhand-engine/deckhand/internal/need"
)

// makeLimited makes a group with resources of this machine.
func makeLimited(t *testing.T, name string, r *specs.LinuxResources) *Group {
	t.Helper()
	need.Root(t)
	g, err := Make(testID(name), r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(g.Kill(), g.Remove()); err != nil {
			t.Error(err)
		}
		for _, m := range g.members {
			if _, err := os.Stat(m.dir); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s is left: %v", m.dir, err)
			}
		}
	})
	return g
}

// command is born in the group, in all hierarchies.
func startMember(t *testing.T, g *Group, args ...string) (*exec.Cmd, *strings.Builder) {
	t.Helper()
	out := &strings.Builder{}
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	if g.Dir != nil {
		cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(g.Dir.Fd())
	}
	if err := g.Enter(cmd.Start); err != nil {
		t.Fatal(err)
	}
	return cmd, out
}

// fileOf reads a file of the group where its controller is.
func fileOf(t *testing.T, g *Group, controller, name string) string {
	t.Helper()
	dir := g.Path
	if m := g.memberOf(controller); m != nil {
		dir = m.dir
	}
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

func TestWithoutResourcesNoMember(t *testing.T) {
	for name, r := range map[string]*specs.LinuxResources{
		"nil": nil, "empty": {}, "empty parts": {CPU: &specs.LinuxCPU{}, Memory: &specs.LinuxMemory{}, Pids: &specs.LinuxPids{}, BlockIO: &specs.LinuxBlockIO{}},
	} {
		t.Run(name, func(t *testing.T) {
			g := makeLimited(t, "none", r)
			if len(g.members) > 0 {
				t.Errorf("it is a member of %v", g.members)
			}
		})
	}
}

// TestBornInEveryHierarchy also finds this thread where it was.
func TestBornInEveryHierarchy(t *testing.T) {
	g := makeLimited(t, "born", &specs.LinuxResources{
		Memory: &specs.LinuxMemory{Limit: new(int64(64 << 20))}, Pids: &specs.LinuxPids{Limit: new(int64(10))},
		CPU: &specs.LinuxCPU{Shares: new(uint64(512)), Quota: new(int64(50000)), Period: new(uint64(100000)), Cpus: "0"},
	})
	before, err := memberships("self")
	if err != nil {
		t.Fatal(err)
	}
	cmd, _ := startMember(t, g, "sleep", "100")
	after, err := memberships("self")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, after, cmp.AllowUnexported(membership{})); diff != "" {
		t.Error(diff)
	}
	for _, m := range g.members {
		pids, err := pidsIn(m.dir)
		if err != nil || !slices.Equal(pids, []int{cmd.Process.Pid}) {
			t.Errorf("%s has %v (%v), want %d", m.dir, pids, err, cmd.Process.Pid)
		}
	}
	if pids, err := g.Pids(); err != nil || !slices.Equal(pids, []int{cmd.Process.Pid}) {
		t.Errorf("the group has %v (%v)", pids, err)
	}
	if g.memberOf("cpu") != nil {
		for file, want := range map[string]string{"cpu.shares": "512", "cpu.cfs_quota_us": "50000", "cpu.cfs_period_us": "100000"} {
			if got := fileOf(t, g, "cpu", file); got != want {
				t.Errorf("%s is %s, want %s", file, got, want)
			}
		}
	}
	if got := fileOf(t, g, "cpuset", "cpuset.cpus"); got != "0" {
		t.Errorf("cpuset.cpus is %s", got)
	}
	found, err := Find(testID("born"))
	if err != nil {
		t.Fatal(err)
	}
	defer found.Close()
	if diff := cmp.Diff(g.members, found.members, cmp.AllowUnexported(member{})); diff != "" {
		t.Error(diff)
	}
	if err := g.Kill(); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait()
}

// TestMemoryLimitKills has a process take more than it may.
func TestMemoryLimitKills(t *testing.T) {
	const limit = 16 << 20
	g := makeLimited(t, "memory", &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: new(int64(limit)), Swap: new(int64(limit))}})
	cmd, out := startMember(t, g, "sh", "-c", "head -c 200m /dev/zero | tail -c 100m | wc -c")
	_ = cmd.Wait()
	if strings.TrimSpace(out.String()) == "104857600" {
		t.Error("it got 100 MB")
	}
	if killed, err := g.OOMKilled(); err != nil || !killed {
		t.Errorf("OOMKilled is %v, %v", killed, err)
	}
	s, err := g.Stats()
	if err != nil {
		t.Fatal(err)
	}
	if s.Memory == nil || s.Memory.Limit != limit || s.Memory.OOMKills == 0 || s.Memory.SwapLimit != 0 {
		t.Errorf("statistics are %+v", s.Memory)
	}
}

func TestPidsLimitRefuses(t *testing.T) {
	g := makeLimited(t, "pids", &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: new(int64(3))}})
	cmd, out := startMember(t, g, "sh", "-c", "for i in 1 2 3; do sleep 100 >/dev/null 2>&1 & done; echo all")
	_ = cmd.Wait()
	if strings.Contains(out.String(), "all") || !strings.Contains(strings.ToLower(out.String()), "fork") {
		t.Errorf("four processes where three are allowed: %s", out)
	}
	if s, err := g.Stats(); err != nil || s.Pids == nil || s.Pids.Limit != 3 {
		t.Errorf("statistics are %+v (%v)", s, err)
	}
}

// TestDevices allows reading one device in either way of restricting.
func TestDevices(t *testing.T) {
	g := makeLimited(t, "rules", &specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{
		{Access: "rwm"},
		{Allow: true, Type: "c", Major: new(int64(1)), Minor: new(int64(3)), Access: "rw"},
		{Allow: true, Type: "c", Major: new(int64(1)), Minor: new(int64(5)), Access: "r"},
	}})
	checkDevices(t, g)
	v1 := &Group{Path: g.Path, members: []member{{[]string{"devices"}, "/sys/fs/cgroup/devices/deckhand/" + testID("rules1")}}}
	if h, err := thisHost(); err != nil || h.v1Of("devices") == nil {
		return // a machine of version 2
	}
	if _, err := makeDir(v1.members[0].dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = removeGroup(v1.members[0].dir); removeParents(v1.members[0].dir, true) })
	if err := restrictV1(v1.members[0].dir, []deviceRule{
		{kinds: isAny, major: any32, minor: any32, access: accessAll},
		{allow: true, kinds: isChar, major: 1, minor: 3, access: accessRead | accessWrite},
		{allow: true, kinds: isChar, major: 1, minor: 5, access: accessRead},
	}, true); err != nil {
		t.Fatal(err)
	}
	checkDevices(t, v1)
}

func checkDevices(t *testing.T, g *Group) {
	t.Helper()
	for command, want := range map[string]bool{
		": </dev/null": true, ": >/dev/null": true, ": </dev/zero": true, ": >/dev/zero": false, ": <>/dev/zero": false,
		": </dev/full": false, ": <>/dev/null": true,
	} {
		cmd, out := startMember(t, g, "sh", "-c", command)
		if err := cmd.Wait(); (err == nil) != want {
			t.Errorf("%s: %v %s", command, err, out)
		}
	}
}

// TestDevicesUpdated replaces a rule: the former one no longer counts.
func TestDevicesUpdated(t *testing.T) {
	rules := func(minor int64) *specs.LinuxResources {
		return &specs.LinuxResources{Devices: []specs.LinuxDeviceCgroup{
			{Access: "rwm"},
			{Allow: true, Type: "c", Major: new(int64(1)), Minor: new(int64(3))},
			{Allow: true, Type: "c", Major: new(int64(1)), Minor: &minor},
		}}
	}
	g := makeLimited(t, "replaced", rules(5))
	if m := g.memberOf("devices"); m != nil {
		if got := fileOf(t, g, "devices", "devices.list"); got != "c 1:3 rwm\nc 1:5 rwm" {
			t.Errorf("other programs read %q", got)
		}
	}
	for range 70 { // a group holds 64 rules
		if err := g.Update(rules(7)); err != nil {
			t.Fatal(err)
		}
	}
	for device, want := range map[string]bool{"/dev/zero": false, "/dev/full": true} {
		cmd, out := startMember(t, g, "sh", "-c", ": <"+device)
		if err := cmd.Wait(); (err == nil) != want {
			t.Errorf("%s: %v %s", device, err, out)
		}
	}
}

// TestUpdateJoins limits a live container that had no limit, with processes that fork.
func TestUpdateJoins(t *testing.T) {
	g := makeLimited(t, "update", nil)
	cmd, _ := startMember(t, g, "sh", "-c", "while :; do /bin/true; done & sleep 100")
	if err := g.Update(&specs.LinuxResources{
		Pids:   &specs.LinuxPids{Limit: new(int64(50))},
		Memory: &specs.LinuxMemory{Limit: new(int64(1 << 30))},
	}); err != nil {
		t.Fatal(err)
	}
	if err := g.Freeze(t.Context()); err != nil {
		t.Fatal(err)
	}
	home, err := g.Pids()
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(home)
	for _, m := range g.members {
		there, err := pidsIn(m.dir)
		slices.Sort(there)
		if err != nil || !slices.Equal(home, there) || len(home) < 2 {
			t.Errorf("%s has %v (%v), want %v", m.dir, there, err, home)
		}
	}
	if err := g.Kill(); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait()
}

// TestMemoryRaisedAndLowered changes limits in the order that the kernel wants, whichever that is.
func TestMemoryRaisedAndLowered(t *testing.T) {
	mem := func(limit, swap int64) *specs.LinuxResources {
		return &specs.LinuxResources{Memory: &specs.LinuxMemory{Limit: &limit, Swap: &swap}}
	}
	g := makeLimited(t, "raise", mem(64<<20, 128<<20))
	for _, r := range []*specs.LinuxResources{mem(256<<20, 512<<20), mem(32<<20, 32<<20), mem(-1, -1), mem(64<<20, -1)} {
		if err := g.Update(r); err != nil {
			t.Error(err)
		}
	}
	if s, err := g.Stats(); err != nil || s.Memory.Limit != 64<<20 || s.Memory.SwapLimit != Unlimited {
		t.Errorf("%+v, %v", s.Memory, err)
	}
}

func TestFreeze(t *testing.T) { freezeAndKill(t, makeLimited(t, "freeze", nil)) }

// TestWithoutUnifiedTree takes the freezer's hierarchy for home.
func TestWithoutUnifiedTree(t *testing.T) {
	need.Root(t)
	h, err := thisHost()
	if err != nil {
		t.Fatal(err)
	}
	if h.v1Of("freezer") == nil {
		return // a machine of version 2
	}
	old := &host{v1: h.v1}
	g, err := old.makeGroup(testID("old"), &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: new(int64(10))}})
	if err != nil {
		t.Fatal(err)
	}
	if g.Dir != nil || g.memberOf("freezer") == nil || g.memberOf("freezer").dir != g.Path || g.memberOf("pids") == nil {
		t.Errorf("the group is %+v", g)
	}
	freezeAndKill(t, g)
	found, err := find(old, testID("old"), "/deckhand/"+testID("old"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(g.members, found.members, cmp.AllowUnexported(member{})); diff != "" {
		t.Error(diff)
	}
	_ = g.Close()
	_ = found.Close()
	if err := sweepIn(filepath.Dir(g.Path)); err != nil {
		t.Fatal(err)
	}
	for _, m := range g.members {
		if _, err := os.Stat(m.dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is left: %v", m.dir, err)
		}
	}
}

// TestEnterFrozen refuses what would stop this thread.
func TestEnterFrozen(t *testing.T) {
	need.Root(t)
	h, err := thisHost()
	if err != nil {
		t.Fatal(err)
	}
	if h.v1Of("freezer") == nil {
		return // a machine of version 2
	}
	g, err := (&host{v1: h.v1}).makeGroup(testID("frozen"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Remove()
	if err := g.Freeze(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := g.Enter(func() error { return nil }); !errors.Is(err, ErrFrozen) {
		t.Errorf("the error is %v", err)
	}
	if err := g.Thaw(); err != nil {
		t.Fatal(err)
	}
}

func freezeAndKill(t *testing.T, g *Group) {
	t.Helper()
	cmd, _ := startMember(t, g, "sleep", "100")
	for _, want := range []bool{true, false, true} {
		var err error
		if want {
			err = g.Freeze(t.Context())
		} else {
			err = g.Thaw()
		}
		if err != nil {
			t.Fatal(err)
		}
		for { // thawing is not waited for
			frozen, err := g.Frozen()
			if err != nil {
				t.Fatal(err)
			}
			if frozen == want {
				break
			}
		}
	}
	if err := g.Kill(); err != nil { // frozen as it is
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil || err.Error() != "signal: killed" {
		t.Errorf("it ended with %v", err)
	}
}

// TestSweepRemovesMembers finds the hierarchies of a group whose holder is gone.
func TestSweepRemovesMembers(t *testing.T) {
	g := makeLimited(t, "swept", &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: new(int64(10))}, CPU: &specs.LinuxCPU{Shares: new(uint64(100))}})
	_ = g.Close()
	if err := Sweep(); err != nil {
		t.Fatal(err)
	}
	for _, dir := range append([]string{g.Path}, dirsOf(g)...) {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is left: %v", dir, err)
		}
	}
}

// TestShares: what version 1 would change is refused; an idle group had shares before.
func TestShares(t *testing.T) {
	g := makeLimited(t, "shares", &specs.LinuxResources{CPU: &specs.LinuxCPU{Shares: new(uint64(100)), Idle: new(int64(1))}})
	if err := g.Update(&specs.LinuxResources{CPU: &specs.LinuxCPU{Shares: new(uint64(200)), Idle: new(int64(0))}}); err != nil {
		t.Error(err)
	}
	if g.memberOf("cpu") == nil {
		return // version 2 has weights
	}
	err := g.Update(&specs.LinuxResources{CPU: &specs.LinuxCPU{Shares: new(uint64(1))}})
	if f, ok := errors.AsType[*FieldError](err); !ok || f.Field != "cpu.shares" {
		t.Errorf("the error is %v", err)
	}
}

// TestMakeOfOthers leaves a group alone that has processes.
func TestMakeOfOthers(t *testing.T) {
	g := makeLimited(t, "others", &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: new(int64(9))}})
	cmd, _ := startMember(t, g, "sleep", "100")
	_, err := Make(testID("others"), &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: new(int64(5))}})
	if !errors.Is(err, ErrNotEmpty) {
		t.Errorf("the error is %v", err)
	}
	if got := fileOf(t, g, "pids", "pids.max"); got != "9" {
		t.Errorf("its limit is %s now", got)
	}
	if err := g.Kill(); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait()
}

// TestNestedPaths removes the groups above that are empty, and sweeps none that is being made below another.
func TestNestedPaths(t *testing.T) {
	need.Root(t)
	top := testID("above")
	g, err := Make(top+"/mid/leaf", &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: new(int64(10))}})
	if err != nil {
		t.Fatal(err)
	}
	if err := Sweep(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(g.Path); err != nil {
		t.Errorf("it was swept: %v", err)
	}
	dirs := append(dirsOf(g), g.Path)
	if err := g.Remove(); err != nil {
		t.Error(err)
	}
	for _, dir := range dirs {
		if _, err := os.Stat(strings.TrimSuffix(dir, "/mid/leaf")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a group above %s is left: %v", dir, err)
		}
	}
	if g, err = Make(top+"/mid/leaf", nil); err != nil {
		t.Fatal(err)
	}
	_ = g.Close()
	if err := Sweep(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(strings.TrimSuffix(g.Path, "/mid/leaf")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a group above is left: %v", err)
	}
}

func dirsOf(g *Group) []string {
	var dirs []string
	for _, m := range g.members {
		dirs = append(dirs, m.dir)
	}
	return dirs
}

// TestRefusedLeavesNothing fails after hierarchies were joined.
func TestRefusedLeavesNothing(t *testing.T) {
	need.Root(t)
	path := testID("refused")
	_, err := Make(path, &specs.LinuxResources{
		Pids: &specs.LinuxPids{Limit: new(int64(10))},
		CPU:  &specs.LinuxCPU{Shares: new(uint64(100)), Cpus: "9999"},
	})
	field, ok := errors.AsType[*FieldError](err)
	if !ok || field.Field != "cpu.cpus" {
		t.Errorf("the error is %v", err)
	}
	h, err := thisHost()
	if err != nil {
		t.Fatal(err)
	}
	all := h.v1
	if h.unified != nil {
		all = append(slices.Clone(all), *h.unified)
	}
	for _, m := range all {
		if _, err := os.Stat(filepath.Join(m.dir, parent, path)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a group is left in %s: %v", m.dir, err)
		}
	}
}
