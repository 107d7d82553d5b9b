package mount

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

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

func TestOverlayOrder(t *testing.T) {
	need.Root(t)
	o := upper(t)
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

func TestOverlayReadOnly(t *testing.T) {
	need.Root(t)
	for name, lower := range map[string][]string{"one layer": layers(t, "a"), "two layers": layers(t, "b", "a")} {
		t.Run(name, func(t *testing.T) {
			m := mustMount(t, Overlay{Lower: lower})
			wantFile(t, below(m, "top"), "a")
			if err := os.WriteFile(below(m, "new"), nil, 0o644); !errors.Is(err, unix.EROFS) {
				t.Errorf("write: %v, want EROFS", err)
			}
		})
	}
}

// TestOverlayManyLayers: the old mount(2) had room for a page of paths.
func TestOverlayManyLayers(t *testing.T) {
	need.Root(t)
	var names []string
	for i := range 120 {
		names = append(names, "layer-with-a-long-name-"+strings.Repeat("x", 50)+strconv.Itoa(i))
	}
	o := upper(t)
	o.Lower = layers(t, names...)
	wantFile(t, below(mustMount(t, o), "top"), names[119])
}

// TestOverlayAgain mounts a volatile overlay that was in use before.
func TestOverlayAgain(t *testing.T) {
	need.Root(t)
	o := upper(t)
	o.Lower = layers(t, "a")
	first := mustMount(t, o)
	if err := os.WriteFile(below(first, "kept"), []byte("kept"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	wantFile(t, below(mustMount(t, o), "kept"), "kept")
}

// TestOverlayClean: the upper directory becomes a layer, and must have nothing in it that the
// container did not put there.
func TestOverlayClean(t *testing.T) {
	need.Root(t)
	o := upper(t)
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

func TestOverlayErrors(t *testing.T) {
	need.Root(t)
	missing := filepath.Join(t.TempDir(), "missing")
	if _, err := (Overlay{Lower: []string{missing}}).Mount(); !errors.Is(err, unix.ENOENT) || !strings.Contains(err.Error(), missing) {
		t.Errorf("missing layer: %v", err)
	}
	o := upper(t)
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
func TestOverlayIDMap(t *testing.T) {
	need.Root(t)
	o := upper(t)
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
