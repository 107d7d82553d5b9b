package runtime

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/runtime/stage"
)

func (b *box) mount(m ...specs.Mount) *box {
	b.o.Spec.Mounts = append(b.o.Spec.Mounts, m...)
	return b
}

func bindMount(source, target string, options ...string) specs.Mount {
	return specs.Mount{Destination: target, Type: "bind", Source: source, Options: append([]string{"bind"}, options...)}
}

// volume makes a directory that everybody may write to, with a file.
func volume(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "volume")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), []byte("from the host"), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestBind(t *testing.T) {
	dir := volume(t)
	newBox(t, "guest", "cat", "/data/file").mount(bindMount(dir, "/data")).want("from the host")
	newBox(t, "guest", "cat", "/etc/name").mount(bindMount(filepath.Join(dir, "file"), "/etc/name")).want("from the host")
	newBox(t, "guest", "cat", "/data/file").mount(bindMount(dir, "/data", "noatime", "nosuid", "rslave")).want("from the host")
	r := newBox(t, "guest", "write", "/data/new", "x").mount(bindMount(dir, "/data", "ro")).run()
	if r.Code != 1 || !strings.Contains(r.err, "read-only file system") {
		t.Errorf("write to a read-only bind: %+v", r)
	}
	_, err := newBox(t, "guest").mount(bindMount(dir+"/missing", "/data")).try(t.Context())
	if !errors.Is(err, unix.ENOENT) || !strings.Contains(err.Error(), dir+"/missing") {
		t.Errorf("missing source: %v", err)
	}
}

// TestBindReadOnlyBelow: rro reaches the mounts below, ro the mount itself only.
func TestBindReadOnlyBelow(t *testing.T) {
	dir := t.TempDir()
	sub := filepath.Join(dir, "sub")
	if err := os.Mkdir(sub, 0o755); err != nil {
		t.Fatal(err)
	}
	box := newBox(t, "guest", "write", "/data/sub/file", "x").asRoot() // needs root for the mount below
	if err := unix.Mount("tmpfs", sub, "tmpfs", 0, "mode=777"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(sub, unix.MNT_DETACH) })
	r := box.mount(specs.Mount{Destination: "/data", Source: dir, Options: []string{"rbind", "rro"}}).run()
	if r.Code != 1 || !strings.Contains(r.err, "read-only file system") {
		t.Errorf("rro: %+v", r)
	}
	box = newBox(t, "guest", "write", "/data/sub/file", "x")
	if r := box.mount(specs.Mount{Destination: "/data", Source: dir, Options: []string{"rbind", "ro"}}).run(); r.Code != 0 {
		t.Errorf("ro: %+v", r)
	}
}

// TestBindIDMap: with idmap, container uid 9000 is uid 9000 on the host's disk.
func TestBindIDMap(t *testing.T) {
	for name, m := range map[string]func(b *box, dir string) specs.Mount{
		"option": func(_ *box, dir string) specs.Mount { return bindMount(dir, "/data", "idmap") },
		"mappings": func(b *box, dir string) specs.Mount {
			m := bindMount(dir, "/data")
			m.UIDMappings, m.GIDMappings = b.o.Spec.Linux.UIDMappings, b.o.Spec.Linux.GIDMappings
			return m
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := volume(t)
			b := newBox(t, "guest", "write", "/data/new", "x")
			if r := b.mount(m(b, dir)).run(); r.Code != 0 {
				t.Fatalf("%+v", r)
			}
			var st unix.Stat_t
			if err := unix.Stat(filepath.Join(dir, "new"), &st); err != nil || st.Uid != userID || st.Gid != userID {
				t.Errorf("owner %d:%d (%v), want 9000", st.Uid, st.Gid, err)
			}
		})
	}
}

// TestBindNoIDMap: a filesystem without the feature is mounted as it is.
func TestBindNoIDMap(t *testing.T) {
	newBox(t, "guest", "cat", "/data/ostype").mount(bindMount("/proc/sys/kernel", "/data", "idmap")).want("Linux")
}

// TestMountPoints has mount points made and links followed, within the root only.
func TestMountPoints(t *testing.T) {
	tests := map[string]struct{ link, target, at string }{
		"missing":                     {target: "/a/b/c/file", at: "a/b/c/file"},
		"link":                        {link: "tmp", target: "/dir/link/file", at: "tmp/file"},
		"absolute link":               {link: "/tmp", target: "/dir/link/file", at: "tmp/file"},
		"link out of the root":        {link: "../../../../../../../../../tmp", target: "/dir/link/file", at: "tmp/file"},
		"dangling link":               {link: "/run/x/y", target: "/dir/link", at: "run/x/y"},
		"dangling link, relative":     {link: "../run/x/y", target: "/dir/link", at: "run/x/y"},
		"dangling link, out of root":  {link: "../../../../outside", target: "/dir/link", at: "outside"},
		"below a dangling link":       {link: "/run/x", target: "/dir/link/y", at: "run/x/y"},
		"dots":                        {target: "/a/../../../b/file", at: "b/file"},
		"link to the host's own path": {link: "/proc/self/root/etc", target: "/dir/elsewhere/file", at: "dir/elsewhere/file"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(volume(t), "file")
			b := newBox(t, "guest", "cat", "/"+tt.at).mount(bindMount(file, tt.target))
			if tt.link != "" {
				if err := os.Mkdir(b.upper("dir"), 0o755); err != nil {
					t.Fatal(err)
				}
				if tt.link == "tmp" {
					tt.link = "../tmp"
				}
				if err := os.Symlink(tt.link, b.upper("dir/link")); err != nil {
					t.Fatal(err)
				}
			}
			b.want("from the host")
			if _, err := os.Lstat(b.upper(tt.at)); err != nil && !strings.HasPrefix(tt.at, "etc") {
				t.Errorf("mount point is not in the container's root: %v", err)
			}
		})
	}
}

func TestMountPointLoop(t *testing.T) {
	b := newBox(t, "guest").mount(bindMount("/tmp", "/loop/x"))
	if err := os.Symlink("loop", b.upper("loop")); err != nil {
		t.Fatal(err)
	}
	if _, err := b.try(t.Context()); !errors.Is(err, unix.ELOOP) {
		t.Errorf("%v, want ELOOP", err)
	}
}

// TestMountOverProc refuses to put anything where it could pose as a process's files (CVE-2019-16884).
func TestMountOverProc(t *testing.T) {
	dir := volume(t)
	for name, target := range map[string]string{
		"the root of it": "/proc", "a process": "/proc/self", "the sysctls": "/proc/sys", "by a link": "/link/sys", "a thread": "/proc/thread-self/attr",
	} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t, "guest").mount(bindMount(dir, target))
			if err := os.Symlink("/proc", b.upper("link")); err != nil {
				t.Fatal(err)
			}
			if _, err := b.try(t.Context()); !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.ELOOP) {
				t.Errorf("%v, want a refusal", err)
			}
		})
	}
	newBox(t, "guest", "cat", "/proc/uptime").mount(bindMount(filepath.Join(dir, "file"), "/proc/uptime")).want("from the host")
}

// TestProcByLink: an image may not have /proc elsewhere, out of reach of what protects it.
func TestProcByLink(t *testing.T) {
	b := newBox(t, "guest")
	dir := t.TempDir()
	if err := os.Symlink("/tmp", filepath.Join(dir, "proc")); err != nil {
		t.Fatal(err)
	}
	b.lower = []string{dir} // alone: in an overlay, the link would hide the directory below as well
	if _, err := b.try(t.Context()); !errors.Is(err, unix.ELOOP) || !strings.Contains(err.Error(), "/proc") {
		t.Errorf("%v, want ELOOP", err)
	}
}

func TestTmpfs(t *testing.T) {
	m := specs.Mount{Destination: "/scratch", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "mode=1700", "size=1m", "uid=9000", "gid=7"}}
	newBox(t, "guest", "stat", "/scratch").mount(m).want("scratch 41700 9000:7")
	r := newBox(t, "guest", "cat", "/proc/self/mountinfo").mount(m).run()
	if !strings.Contains(r.out, "size=1024k") {
		t.Errorf("%+v", r)
	}
	m.Options = []string{"size=lots"}
	if _, err := newBox(t, "guest").mount(m).try(t.Context()); err == nil || !strings.Contains(err.Error(), "option size") {
		t.Errorf("bad size: %v", err)
	}
}

func TestDev(t *testing.T) {
	r := newBox(t, "guest", "ls", "/dev").run()
	want := []string{
		"fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty", "urandom", "zero",
	}
	if diff := cmp.Diff(want, strings.Fields(r.out)); diff != "" {
		t.Error(diff)
	}
	newBox(t, "guest", "links", "/dev/fd", "/dev/stdin", "/dev/stdout", "/dev/stderr", "/dev/ptmx").
		want("/proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2\npts/ptmx")
	newBox(t, "guest", "reopen", "/dev/null", "x").want("")
	if r := newBox(t, "guest", "reopen", "/dev/full", "x").run(); !strings.Contains(r.err, "no space left") {
		t.Errorf("/dev/full: %+v", r)
	}
	newBox(t, "guest", "write", "/dev/shm/x", "x").want("")
	newBox(t, "guest", "stat", "/dev/shm", "/dev/null").want("shm 41777 0:0\nnull 20666 65534:65534")
}

// TestReopenStdout opens /dev/stdout, a pipe of the host's, as an ordinary user.
func TestReopenStdout(t *testing.T) {
	newBox(t, "guest", "reopen", "/dev/stdout", "again").want("again")
	b := newBox(t, "guest", "sleep", "1m")
	p := b.start()
	if r := execIn(t, b, p, nil, "guest", "reopen", "/dev/stderr", "again"); r.err != "again" {
		t.Errorf("exec: %+v", r)
	}
}

// TestStdioFileKeepsOwner: a file of the host is not given away.
func TestStdioFileKeepsOwner(t *testing.T) {
	b := newBox(t, "guest", "echo", "x")
	f, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b.o.Stdio = Stdio{Out: f, Err: f}
	b.run()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil || st.Uid != 0 || st.Size != 2 {
		t.Errorf("owner %d, size %d, %v", st.Uid, st.Size, err)
	}
}

func TestMasked(t *testing.T) {
	newBox(t, "guest", "cat", "/proc/keys", "/proc/timer_list").want("")
	newBox(t, "guest", "ls", "/sys/firmware").want("")
	b := newBox(t, "guest", "ls", "/tmp/hidden")
	if err := os.MkdirAll(b.upper("tmp/hidden/dir"), 0o755); err != nil {
		t.Fatal(err)
	}
	b.o.Spec.Linux.MaskedPaths = append(b.o.Spec.Linux.MaskedPaths, "/tmp/hidden", "/no/such/path")
	b.want("")
}

// TestMaskedByLink: where /proc is no procfs, masking it would only pretend.
func TestMaskedByLink(t *testing.T) {
	b := newBox(t, "guest")
	b.o.Spec.Mounts[0] = specs.Mount{Destination: "/proc", Type: "tmpfs"}
	b.mount(bindMount(filepath.Join(volume(t), "file"), "/proc/keys"))
	if _, err := b.try(t.Context()); !errors.Is(err, unix.EXDEV) || !strings.Contains(err.Error(), "mask /proc/keys") {
		t.Errorf("%v", err)
	}
}

func TestReadonlyPaths(t *testing.T) {
	r := newBox(t, "guest", "reopen", "/proc/sys/kernel/shmmax", "1").asRoot().run()
	if r.Code != 1 || !strings.Contains(r.err, "read-only file system") {
		t.Errorf("%+v", r)
	}
}

func TestReadonlyRoot(t *testing.T) {
	b := newBox(t, "guest", "write", "/tmp/x", "x")
	b.o.Spec.Root.Readonly = true
	if r := b.run(); r.Code != 1 || !strings.Contains(r.err, "read-only file system") {
		t.Errorf("%+v", r)
	}
	b = newBox(t, "guest", "write", "/dev/shm/x", "x")
	b.o.Spec.Root.Readonly = true
	b.want("")
}

// TestNoDevices: a device node that somebody put into a layer or a volume cannot be opened.
func TestNoDevices(t *testing.T) {
	b := newBox(t, "guest", "cat", "/node")
	mknod(t, b.upper("node"))
	if r := b.run(); r.Code != 1 || !strings.Contains(r.err, "permission denied") {
		t.Errorf("node in the root: %+v", r)
	}
	dir := volume(t)
	b = newBox(t, "guest", "cat", "/data/node").mount(bindMount(dir, "/data"))
	mknod(t, filepath.Join(dir, "node"))
	if r := b.run(); r.Code != 1 || !strings.Contains(r.err, "permission denied") {
		t.Errorf("node in a volume: %+v", r)
	}
	newBox(t, "guest", "cat", "/data/node").mount(bindMount(dir, "/data", "dev")).want("")
}

// mknod makes a null device that everybody may use.
func mknod(t *testing.T, path string) {
	t.Helper()
	if err := unix.Mknod(path, unix.S_IFCHR|0o666, int(unix.Mkdev(1, 3))); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
}

func TestSysctl(t *testing.T) {
	b := newBox(t, "guest", "cat", "/proc/sys/net/ipv4/ip_unprivileged_port_start", "/proc/sys/kernel/shm_rmid_forced")
	b.o.Spec.Linux.Sysctl = map[string]string{"net.ipv4.ip_unprivileged_port_start": "0", "kernel.shm_rmid_forced": "1"}
	b.want("0\n1")
	for _, bad := range []string{"net.no.such", "kernel.panic", "net/../../../../tmp/x"} {
		b := newBox(t, "guest")
		b.o.Spec.Linux.Sysctl = map[string]string{bad: "1"}
		if _, err := b.try(t.Context()); err == nil || !strings.Contains(err.Error(), "sysctl") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestHostNetwork(t *testing.T) {
	b := newBox(t, "guest", "ls", "/sys/class/net")
	b.o.Spec.Linux.Namespaces = withoutNamespace(b.o.Spec, specs.NetworkNamespace)
	r := b.run()
	host, err := os.ReadDir("/sys/class/net")
	if err != nil || len(strings.Fields(r.out)) != len(host) || r.Code != 0 {
		t.Errorf("%+v, host has %v", r, host)
	}
	b = newBox(t, "guest", "mkdir", "/sys/fs/cgroup/x").asRoot()
	b.o.Spec.Linux.Namespaces = withoutNamespace(b.o.Spec, specs.NetworkNamespace)
	if r := b.run(); r.Code != 1 || !strings.Contains(r.err, "read-only file system") {
		t.Errorf("the host's /sys: %+v", r)
	}
}

func withoutNamespace(s *specs.Spec, typ specs.LinuxNamespaceType) []specs.LinuxNamespace {
	var kept []specs.LinuxNamespace
	for _, n := range s.Linux.Namespaces {
		if n.Type != typ {
			kept = append(kept, n)
		}
	}
	return kept
}

func TestLoopback(t *testing.T) {
	newBox(t, "guest", "cat", "/sys/class/net/lo/operstate", "/sys/class/net/lo/flags").want("unknown\n0x9")
	r := newBox(t, "guest", "ls", "/sys/class/net").run()
	if r.out != "lo\n" {
		t.Errorf("interfaces %q, want lo alone", r.out)
	}
	if _, err := net.InterfaceByName("lo"); err != nil {
		t.Error("the host lost its loopback: ", err)
	}
}

func TestCgroupNamespace(t *testing.T) {
	r := newBox(t, "guest", "cat", "/proc/self/cgroup").run()
	if !strings.Contains(r.out, "0::/\n") {
		t.Errorf("%+v", r)
	}
}

func TestParseOptions(t *testing.T) {
	tests := map[string]struct {
		words []string
		want  options
	}{
		"none":         {},
		"attributes":   {words: []string{"ro", "nosuid", "rw"}, want: options{set: unix.MOUNT_ATTR_NOSUID, clear: unix.MOUNT_ATTR_RDONLY}},
		"recursive":    {words: []string{"rro", "rnoexec"}, want: options{recSet: unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOEXEC}},
		"atime":        {words: []string{"noatime"}, want: options{set: unix.MOUNT_ATTR_NOATIME, clear: unix.MOUNT_ATTR__ATIME}},
		"bind":         {words: []string{"rbind", "rprivate"}, want: options{bind: true, recursive: true, propagation: unix.MS_PRIVATE, recPropagation: true}},
		"devices":      {words: []string{"dev"}, want: options{dev: true, clear: unix.MOUNT_ATTR_NODEV}},
		"no devices":   {words: []string{"dev", "nodev"}, want: options{set: unix.MOUNT_ATTR_NODEV}},
		"data":         {words: []string{"mode=755", "newinstance"}, want: options{data: []stage.Pair{{Key: "mode", Value: "755"}, {Key: "newinstance"}}}},
		"relatime, r-": {words: []string{"relatime"}, want: options{clear: unix.MOUNT_ATTR__ATIME}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := parseOptions(tt.words)
			if diff := cmp.Diff(tt.want, *got, cmp.AllowUnexported(options{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}
