package mount

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/need"
)

// layers makes directories, each with a file of its name and one called "top".
func layers(t *testing.T, names ...string) (dirs []string) {
	t.Helper()
	base := t.TempDir()
	for _, name := range names {
		dir := filepath.Join(base, name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{name, "top"} {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(name), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		dirs = append(dirs, dir)
	}
	return dirs
}

func upper(t *testing.T) Overlay {
	t.Helper()
	base := t.TempDir()
	o := Overlay{UpperBase: base, Upper: filepath.Join(base, "upper"), Work: filepath.Join(base, "work")}
	for _, dir := range []string{o.Upper, o.Work} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

// bothWays runs a test with mounts as this kernel takes them and as older ones do.
func bothWays(t *testing.T, test func(t *testing.T, attached bool)) {
	t.Helper()
	need.Root(t)
	t.Run("by descriptor", func(t *testing.T) { test(t, false) })
	t.Run("attached", func(t *testing.T) { test(t, true) })
}

// below is a path in a detached mount.
func below(m *os.File, name string) string {
	return filepath.Join("/proc/self/fd", strconv.Itoa(int(m.Fd())), name)
}

func mustMount(t *testing.T, o Overlay) *os.File {
	t.Helper()
	m, err := o.Mount()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

func list(t *testing.T, m *os.File) []string {
	t.Helper()
	entries, err := os.ReadDir(below(m, "."))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func wantFile(t *testing.T, path, want string) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("%s is %q (%v), want %q", path, got, err, want)
	}
}

func TestOverlayOrder(t *testing.T) { bothWays(t, testOverlayOrder) }

func testOverlayOrder(t *testing.T, attached bool) {
	o := upper(t)
	o.attached = attached
	o.Lower = layers(t, "a", "b", "c")
	m := mustMount(t, o)
	wantFile(t, below(m, "top"), "c")
	if got := list(t, m); !slices.Equal(got, []string{"a", "b", "c", "top"}) {
		t.Errorf("%v", got)
	}
	if err := os.WriteFile(below(m, "top"), []byte("new"), 0o644); err != nil {
		t.Fatal(err)
	}
	wantFile(t, filepath.Join(o.Upper, "top"), "new")
	wantFile(t, filepath.Join(o.Lower[2], "top"), "c")
}

func TestOverlayReadOnly(t *testing.T) { bothWays(t, testOverlayReadOnly) }

func testOverlayReadOnly(t *testing.T, attached bool) {
	for name, lower := range map[string][]string{"one layer": layers(t, "a"), "two layers": layers(t, "b", "a")} {
		t.Run(name, func(t *testing.T) {
			m := mustMount(t, Overlay{Lower: lower, attached: attached})
			wantFile(t, below(m, "top"), "a")
			if err := os.WriteFile(below(m, "new"), nil, 0o644); !errors.Is(err, unix.EROFS) {
				t.Errorf("write: %v, want EROFS", err)
			}
		})
	}
}

// TestOverlayManyLayers: the old mount(2) had room for a page of paths.
func TestOverlayManyLayers(t *testing.T) { bothWays(t, testOverlayManyLayers) }

func testOverlayManyLayers(t *testing.T, attached bool) {
	var names []string
	for i := range 120 {
		names = append(names, "layer-with-a-long-name-"+strings.Repeat("x", 50)+strconv.Itoa(i))
	}
	o := upper(t)
	o.attached = attached
	o.Lower = layers(t, names...)
	wantFile(t, below(mustMount(t, o), "top"), names[119])
}

// TestOverlayAgain mounts what was in use as a volatile overlay before.
func TestOverlayAgain(t *testing.T) { bothWays(t, testOverlayAgain) }

func testOverlayAgain(t *testing.T, attached bool) {
	o := upper(t)
	o.attached = attached
	o.Lower = layers(t, "a")
	o.Volatile = true
	first := mustMount(t, o)
	if err := os.WriteFile(below(first, "kept"), []byte("kept"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	o.Volatile = false
	wantFile(t, below(mustMount(t, o), "kept"), "kept")
}

// TestOverlayVolatile: only a volatile overlay ignores fsync, and has the kernel's mark of it.
func TestOverlayVolatile(t *testing.T) {
	bothWays(t, func(t *testing.T, attached bool) {
		for _, volatile := range []bool{true, false} {
			o := upper(t)
			o.Lower, o.Volatile, o.attached = layers(t, "a"), volatile, attached
			mustMount(t, o)
			_, err := os.Stat(filepath.Join(o.Work, "work/incompat/volatile"))
			if marked := err == nil; marked != volatile {
				t.Errorf("volatile %t: marked %t (%v)", volatile, marked, err)
			}
		}
	})
}

// TestOverlayAttributes: no devices, set-id bits only unless NoSuid.
func TestOverlayAttributes(t *testing.T) {
	bothWays(t, func(t *testing.T, attached bool) {
		for _, nosuid := range []bool{true, false} {
			o := upper(t)
			o.Lower, o.NoSuid, o.attached = layers(t, "a"), nosuid, attached
			var st unix.Statfs_t
			if err := unix.Fstatfs(int(mustMount(t, o).Fd()), &st); err != nil {
				t.Fatal(err)
			}
			if st.Flags&unix.ST_NODEV == 0 || (st.Flags&unix.ST_NOSUID != 0) != nosuid {
				t.Errorf("nosuid %t: flags %#x", nosuid, st.Flags)
			}
		}
	})
}

// TestOverlayWhiteout: what is deleted is marked in the upper directory, with the container's ids.
func TestOverlayWhiteout(t *testing.T) {
	bothWays(t, func(t *testing.T, attached bool) {
		o := upper(t)
		o.Lower, o.IDMap, o.attached = layers(t, "a", "b"), userNamespace(t), attached
		m := mustMount(t, o)
		if err := os.Remove(below(m, "a")); err != nil {
			t.Fatal(err)
		}
		var st unix.Stat_t
		if err := unix.Lstat(filepath.Join(o.Upper, "a"), &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFCHR || st.Rdev != 0 || st.Uid != 0 {
			t.Errorf("whiteout is %+v, %v", st, err)
		}
		if got := list(t, m); !slices.Equal(got, []string{"b", "top"}) {
			t.Errorf("left: %v", got)
		}
		wantFile(t, filepath.Join(o.Lower[0], "a"), "a")
	})
}

// TestAttachedHidden: the layers are attached where nobody sees it, and nothing stays there.
func TestAttachedHidden(t *testing.T) {
	need.Root(t)
	mounts := func(task string) string {
		b, err := os.ReadFile(task + "/mountinfo")
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	o := upper(t)
	o.Lower, o.attached = layers(t, "a", "b"), true
	before := mounts("/proc/self")
	m := mustMount(t, o)
	if after := mounts("/proc/self"); after != before {
		t.Errorf("mounts before:\n%s\nafter:\n%s", before, after)
	}
	own, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		t.Fatal(err)
	}
	tasks, err := filepath.Glob("/proc/self/task/*")
	if err != nil {
		t.Fatal(err)
	}
	others := 0
	for _, task := range tasks {
		if ns, err := os.Readlink(task + "/ns/mnt"); err != nil || ns == own {
			continue
		}
		others++
		if got := mounts(task); strings.Count(got, "\n") != 1 || !strings.Contains(got, " - tmpfs ") {
			t.Errorf("left in the namespace:\n%s", got)
		}
	}
	if others != 1 {
		t.Errorf("%d threads in other namespaces, want 1", others)
	}
	wantFile(t, below(m, "top"), "b")
}

// TestFallback: a kernel that will not have layers by descriptor gets them the other way.
func TestFallback(t *testing.T) {
	need.Root(t)
	for name, errno := range map[string]unix.Errno{"before 6.5": unix.EOPNOTSUPP, "before 6.15": unix.EBADF} {
		t.Run(name, func(t *testing.T) {
			o := upper(t)
			o.Lower, o.IDMap = layers(t, "a", "b"), userNamespace(t)
			refuseDescriptors(t, errno)
			m := mustMount(t, o)
			if err := os.Chown(below(m, "top"), hostBase+33, hostBase+44); err != nil {
				t.Fatal(err)
			}
			var st unix.Stat_t
			if err := unix.Stat(filepath.Join(o.Upper, "top"), &st); err != nil || st.Uid != 33 || st.Gid != 44 {
				t.Errorf("on disk %d:%d (%v), want 33:44", st.Uid, st.Gid, err)
			}
		})
	}
}

// refuseDescriptors makes fsconfig(FSCONFIG_SET_FD) fail in this thread, which ends with the test.
func refuseDescriptors(t *testing.T, errno unix.Errno) {
	t.Helper()
	runtime.LockOSThread() // never unlocked
	const number, command = 0, 24
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: number},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 3, K: unix.SYS_FSCONFIG},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: command},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: unix.FSCONFIG_SET_FD},
		{Code: unix.BPF_RET, K: unix.SECCOMP_RET_ERRNO | uint32(errno)},
		{Code: unix.BPF_RET, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&program)), 0, 0); err != nil {
		t.Fatal(err)
	}
	if err := unix.FsconfigSetFd(-1, "lowerdir+", -1); !errors.Is(err, errno) {
		t.Fatalf("fsconfig: %v, want %v", err, errno)
	}
}

// TestRefused: the errors of old kernels lead to the other way, those of a layer do not.
func TestRefused(t *testing.T) {
	tests := map[string]struct {
		err  error
		want bool
	}{
		"none":               {nil, false},
		"5.19, no new API":   {fmt.Errorf("add layer: %w", unix.EOPNOTSUPP), true},
		"6.12, O_PATH":       {fmt.Errorf("add layer: %w", unix.EBADF), true},
		"6.14, detached":     {fmt.Errorf("create: %w", unix.EINVAL), true},
		"no idmapped mounts": {fmt.Errorf("add layer: %w", &os.PathError{Err: unix.EINVAL}), false},
		"missing":            {unix.ENOENT, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := refused(tt.err); got != tt.want {
				t.Errorf("refused(%v) = %t", tt.err, got)
			}
		})
	}
}

// TestOverlayClean: the upper directory becomes a layer, and must have nothing in it that the
// container did not put there.
func TestOverlayClean(t *testing.T) { bothWays(t, testOverlayClean) }

func testOverlayClean(t *testing.T, attached bool) {
	o := upper(t)
	o.attached = attached
	o.Lower = layers(t, "a", "b")
	mustMount(t, o)
	buf := make([]byte, 4096)
	n, err := unix.Llistxattr(o.Upper, buf)
	if err != nil || strings.Contains(string(buf[:n]), "overlay") {
		t.Errorf("attributes %q (%v)", buf[:n], err)
	}
	if entries, err := os.ReadDir(o.Upper); err != nil || len(entries) != 0 {
		t.Errorf("%v, %v", entries, err)
	}
}

func TestOverlayErrors(t *testing.T) { bothWays(t, testOverlayErrors) }

func testOverlayErrors(t *testing.T, attached bool) {
	missing := filepath.Join(t.TempDir(), "missing")
	if _, err := (Overlay{Lower: []string{missing}, attached: attached}).Mount(); !errors.Is(err, unix.ENOENT) || !strings.Contains(err.Error(), missing) {
		t.Errorf("missing layer: %v", err)
	}
	o := upper(t)
	o.attached = attached
	o.Lower = append(layers(t, "a"), missing)
	if _, err := o.Mount(); err == nil || !strings.Contains(err.Error(), missing) {
		t.Errorf("missing layer of two: %v", err)
	}
}

const hostBase = 0x38000000

// userNamespace is one with a mapping, held by a sleeping process.
func userNamespace(t *testing.T) *os.File {
	t.Helper()
	ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: hostBase, Size: 65536}}
	cmd := exec.CommandContext(t.Context(), "sleep", "60")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER, UidMappings: ids, GidMappings: ids, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	ns, err := os.Open("/proc/" + strconv.Itoa(cmd.Process.Pid) + "/ns/user")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ns.Close() })
	return ns
}

// TestOverlayIDMap: ids are shifted in what is seen, and shifted back in what is written.
func TestOverlayIDMap(t *testing.T) { bothWays(t, testOverlayIDMap) }

func testOverlayIDMap(t *testing.T, attached bool) {
	o := upper(t)
	o.attached = attached
	o.Lower = layers(t, "a", "b")
	if err := os.Chown(filepath.Join(o.Lower[0], "a"), 9000, 9000); err != nil {
		t.Fatal(err)
	}
	o.IDMap = userNamespace(t)
	m := mustMount(t, o)
	var st unix.Stat_t
	if err := unix.Stat(below(m, "a"), &st); err != nil || st.Uid != hostBase+9000 {
		t.Errorf("lower file belongs to %#x (%v)", st.Uid, err)
	}
	// As the container's root, copy up and hand on.
	if err := os.Chown(below(m, "top"), hostBase+33, hostBase+44); err != nil {
		t.Fatal(err)
	}
	if err := unix.Stat(filepath.Join(o.Upper, "top"), &st); err != nil || st.Uid != 33 || st.Gid != 44 {
		t.Errorf("on disk %d:%d (%v), want 33:44", st.Uid, st.Gid, err)
	}
	if uid, err := unix.SetfsuidRetUid(-1); err != nil || uid != 0 {
		t.Errorf("this thread is left with filesystem uid %d (%v)", uid, err)
	}
}

func TestNewFilesystem(t *testing.T) {
	need.Root(t)
	m, err := NewFilesystem("tmpfs", unix.MOUNT_ATTR_NODEV, [2]string{"mode", "700"}, [2]string{"size", "1m"})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(m.Fd()), &st); err != nil || st.Mode != unix.S_IFDIR|0o700 {
		t.Errorf("mode %o, %v", st.Mode, err)
	}
	_, err = NewFilesystem("tmpfs", 0, [2]string{"nonsense", "1"})
	if err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("unknown option: %v", err)
	}
	_, err = NewFilesystem("nosuchfs", 0)
	if !errors.Is(err, unix.ENODEV) {
		t.Errorf("unknown filesystem: %v", err)
	}
}

func TestUnsupported(t *testing.T) {
	need.Root(t)
	m, err := Clone("/proc", false)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := IDMap(m, userNamespace(t), false); !Unsupported(err) {
		t.Errorf("procfs is idmapped: %v", err)
	}
	if Unsupported(unix.ENOENT) || Unsupported(nil) {
		t.Error("anything goes for unsupported")
	}
}
