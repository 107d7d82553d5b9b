package features

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/need"
)

// childRoot in the environment makes the test binary a program that probes that data root.
const childRoot = "FEATURES_TEST_CHILD"

func TestMain(m *testing.M) {
	if root := os.Getenv(childRoot); root != "" {
		if err := json.NewEncoder(os.Stdout).Encode(Probe(root)); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// probeAs probes as an ordinary user who is in no passwd file.
func probeAs(t *testing.T, id uint32, root string) map[string]Feature {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Env = []string{childRoot + "=" + root, "PATH=/usr/bin:/bin"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: id, Gid: id}}
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var list []Feature
	if err := json.Unmarshal(out, &list); err != nil {
		t.Fatal(err)
	}
	return byName(list)
}

func byName(list []Feature) map[string]Feature {
	m := map[string]Feature{}
	for _, f := range list {
		m[f.Name] = f
	}
	return m
}

// state is what a probe could leave behind.
func state(t *testing.T, root string) map[string]string {
	t.Helper()
	s := map[string]string{}
	files, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	s["files"] = fmt.Sprint(files)
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	// other tests mount and unmount meanwhile: only what names ours counts
	s["mounts"] = fmt.Sprint(strings.Count(string(mounts), root))
	dev, err := os.ReadFile("/proc/net/dev")
	if err != nil {
		t.Fatal(err)
	}
	s["links"] = fmt.Sprint(strings.Contains(string(dev), "deckhand-br"), strings.Contains(string(dev), "deckhand-a"))
	groups, _ := filepath.Glob(fmt.Sprintf("/sys/fs/cgroup/*/deckhand/info-%d", os.Getpid()))
	s["cgroups"] = fmt.Sprint(groups)
	dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
	s["dumpable"] = fmt.Sprint(dumpable, err)
	_, err = unix.Wait4(-1, nil, unix.WNOHANG, nil)
	s["children"] = fmt.Sprint(err)
	s["threads"] = threads(t)
	return s
}

// threads are the different attributes that threads of this process have.
func threads(t *testing.T) string {
	t.Helper()
	kinds := map[string]bool{}
	tasks, err := filepath.Glob("/proc/self/task/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		netns, err := os.Readlink(task + "/ns/net")
		if err != nil {
			continue // ended meanwhile
		}
		status, _ := os.ReadFile(task + "/status")
		kind := netns
		for line := range strings.Lines(string(status)) {
			for _, key := range []string{"Uid:", "Gid:", "NoNewPrivs:", "Seccomp:", "CapEff:"} {
				if strings.HasPrefix(line, key) {
					kind += " " + strings.Join(strings.Fields(line), " ")
				}
			}
		}
		kinds[kind] = true
	}
	return fmt.Sprint(kinds)
}

func TestProbeAsRoot(t *testing.T) {
	need.Root(t)
	root := t.TempDir()
	before := state(t, root)
	got := byName(Probe(filepath.Join(root, "not", "yet")))
	if len(got) != len(forEverybody)+len(forRoot) {
		t.Errorf("%d features", len(got))
	}
	// these are what deckhand cannot do without, and its other tests need them too
	for _, name := range []string{
		"kernel", "user namespaces", "new mount API", "overlay", "seccomp filter", "pidfd",
		"idmapped mounts", "idmapped overlay layers", "bridge and veth", "nftables", "IP forwarding", "cgroups",
	} {
		if f, ok := got[name]; !ok || !f.OK {
			t.Errorf("%s: %+v", name, f)
		}
	}
	for name, f := range got {
		if f.OK && f.Fix != "" || !f.OK && f.Detail == "" {
			t.Errorf("%s: %+v", name, f)
		}
	}
	// threads that changed end with their goroutines, but not at once
	var diff string
	for range 100 {
		if diff = cmp.Diff(before, state(t, root)); diff == "" {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("left behind:\n%s", diff)
}

func TestProbeIsQuick(t *testing.T) {
	need.Root(t)
	best := time.Hour
	for range 10 { // the machine may be busy
		start := time.Now()
		Probe(t.TempDir())
		best = min(best, time.Since(start))
	}
	if best > 500*time.Millisecond { // other packages' tests run meanwhile
		t.Errorf("took %v at best", best)
	}
}

func TestProbeAsUser(t *testing.T) {
	need.Root(t)
	need.Program(t, "newuidmap")
	const id = 64999
	root := t.TempDir()
	if err := os.Chown(root, id, id); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{filepath.Dir(root), root} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	got := probeAs(t, id, root)
	if len(got) != len(forEverybody)+len(forUsers) {
		t.Errorf("%d features", len(got))
	}
	for _, name := range []string{"kernel", "user namespaces", "new mount API", "overlay", "seccomp filter", "pidfd"} {
		if f := got[name]; !f.OK {
			t.Errorf("%s: %+v", name, f)
		}
	}
	ids := got["subordinate ids"]
	if ids.OK || !strings.HasPrefix(ids.Detail, "there is no range of ids for you in /etc/subuid") || !strings.HasPrefix(ids.Fix, "echo 64999:") {
		t.Errorf("subordinate ids: %+v", ids)
	}
	if left, err := os.ReadDir(root); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestProbeWithoutDirectory(t *testing.T) {
	need.Root(t)
	got := probeAs(t, 64999, "/no-such-directory/below/root")
	want := Feature{Name: "overlay", Fix: "choose a --data-root you may write to"}
	f := got["overlay"]
	if !strings.Contains(f.Detail, "permission denied") {
		t.Errorf("detail: %s", f.Detail)
	}
	f.Detail = ""
	if diff := cmp.Diff(want, f); diff != "" {
		t.Error(diff)
	}
	if f := got["new mount API"]; !f.OK {
		t.Errorf("new mount API: %+v", f)
	}
}

func TestKernelRelease(t *testing.T) {
	tests := map[string]struct {
		release string
		want    Feature
	}{
		"new":        {"6.18.44-generic", Feature{OK: true, Detail: "Linux 6.18.44-generic m"}},
		"exactly":    {"5.19.0", Feature{OK: true, Detail: "Linux 5.19.0 m"}},
		"debian 12":  {"6.1.0-25-amd64", Feature{OK: true, Detail: "Linux 6.1.0-25-amd64 m"}},
		"old":        {"5.15.0", Feature{Detail: "Linux 5.15.0 m", Fix: "upgrade to Linux 5.19 or newer"}},
		"next major": {"7.0-rc1", Feature{OK: true, Detail: "Linux 7.0-rc1 m"}},
		"strange":    {"next", Feature{Detail: "Linux next m: version not understood"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, kernelRelease(tt.release, "m")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestModules(t *testing.T) {
	tests := map[string]struct {
		files map[string]string
		want  string
	}{
		"none":       {nil, "neither AppArmor nor SELinux"},
		"apparmor":   {map[string]string{"module/apparmor/parameters/enabled": "Y\n", "self/attr/current": "unconfined\n"}, "AppArmor (unconfined)"},
		"switched":   {map[string]string{"module/apparmor/parameters/enabled": "N\n"}, "neither AppArmor nor SELinux"},
		"enforcing":  {map[string]string{"fs/selinux/enforce": "1"}, "SELinux (enforcing)"},
		"permissive": {map[string]string{"fs/selinux/enforce": "0"}, "SELinux (permissive)"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, content := range tt.files {
				path := filepath.Join(dir, file)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if got := modules(dir, dir); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestCgroupLayout(t *testing.T) {
	dir := t.TempDir()
	if layout, root := cgroupLayout(filepath.Join(dir, "nowhere")); layout != "not mounted" || root != "" {
		t.Errorf("got %q, %q", layout, root)
	}
	if layout, root := cgroupLayout(dir); layout != "v1 only" || root != "" {
		t.Errorf("got %q, %q", layout, root)
	}
}

func TestNamespaceOutcome(t *testing.T) {
	if f := namespaceOutcome(nil, "x"); !f.OK || f.Detail != "x" {
		t.Errorf("got %+v", f)
	}
	if f := namespaceOutcome(unix.EINVAL, "x"); f.OK || !strings.Contains(f.Detail, "CONFIG_USER_NS") || f.Fix == "" {
		t.Errorf("got %+v", f)
	}
}

func TestTryForkTellsRefusalFromMissingProgram(t *testing.T) {
	need.Root(t)
	if err := tryFork(nil); err != nil {
		t.Error(err)
	}
	if err := tryFork(&syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: -1}); err == nil {
		t.Error("a cgroup that is none was taken")
	}
}

func TestOnThreadSparesTheMainThread(t *testing.T) {
	seen := make(chan int, 32)
	for range cap(seen) {
		err := onThread(func() error {
			seen <- unix.Gettid()
			return unix.Unshare(unix.CLONE_FS)
		})
		if err != nil {
			t.Error(err)
		}
	}
	close(seen)
	for tid := range seen {
		if tid == os.Getpid() {
			t.Error("ran on the main thread")
		}
	}
}
