package runtime

import (
	"bytes"
	"context"
	"debug/elf"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/deckhand-engine/deckhand/internal/linux/caps"
	"github.com/deckhand-engine/deckhand/internal/linux/idrange"
	"github.com/deckhand-engine/deckhand/internal/linux/mount"
	"github.com/deckhand-engine/deckhand/internal/need"
)

// The containers of these tests have one program, /guest: a copy of the test binary, which then does
// what its arguments say (guest_test.go).
func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case "guest":
		syscall.Exit(guest(os.Args[1:])) // os.Exit would wait a second for the race detector
	case "starter":
		syscall.Exit(starter(os.Args[1:]))
	case "exe", "self.sh": // the runtime was made to execute itself inside a container
		fmt.Fprintln(os.Stderr, "guest:", guestOverwrite())
		os.Exit(1)
	}
	code := m.Run()
	if image.dir != "" {
		_ = os.RemoveAll(image.dir)
	}
	os.Exit(code)
}

// image is the layer that all containers share.
var image struct {
	once sync.Once
	dir  string
	err  error
}

func imageDir(t testing.TB) string {
	t.Helper()
	image.once.Do(func() { image.dir, image.err = makeImage() })
	if image.err != nil {
		t.Fatal(image.err)
	}
	return image.dir
}

func makeImage() (string, error) {
	dir, err := os.MkdirTemp("", "deckhand-runtime-image-")
	if err != nil {
		return "", err
	}
	for _, d := range []string{"dev", "proc", "sys", "etc", "bin", "tmp", "home/user", "locked"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return dir, err
		}
	}
	exe, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return dir, err
	}
	for name, f := range map[string]struct {
		data string
		mode os.FileMode
	}{
		"bin/guest":     {string(exe), 0o755},
		"bin/plain":     {"no program", 0o644},
		"bin/broken":    {"no program", 0o755},
		"bin/orphan.sh": {"#!/nosuch/interpreter\n", 0o755},
		"bin/self.sh":   {"#!/proc/self/exe\n", 0o755},
		"etc/passwd":    {"root:x:0:0::/root:/bin/guest\nuser:x:9000:9000::/home/user:/bin/guest\n", 0o644},
		"etc/secret":    {"secret", 0o600},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(f.data), f.mode); err != nil {
			return dir, err
		}
	}
	if err := copyLibraries(dir); err != nil {
		return dir, err
	}
	if err := os.Chown(filepath.Join(dir, "home/user"), 9000, 9000); err != nil {
		return dir, err
	}
	if err := os.Chmod(filepath.Join(dir, "tmp"), 0o777|os.ModeSticky); err != nil {
		return dir, err
	}
	return dir, os.Chmod(filepath.Join(dir, "locked"), 0o700)
}

// copyLibraries gives the image the loader and libraries of the test binary: with the race detector,
// and wherever cgo is on, it is not static.
func copyLibraries(dir string) error {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return err
	}
	libraries := map[string]bool{}
	for line := range strings.Lines(string(maps)) {
		if i := strings.IndexByte(line, '/'); i >= 0 && strings.Contains(line[i:], ".so") {
			libraries[strings.TrimSpace(line[i:])] = true
		}
	}
	exe, err := elf.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer exe.Close()
	if section := exe.Section(".interp"); section != nil {
		name, err := section.Data()
		if err != nil {
			return err
		}
		libraries[strings.TrimRight(string(name), "\x00")] = true
	}
	for path := range libraries {
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		target := filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(target, data, 0o755); err != nil {
			return err
		}
	}
	return nil
}

const (
	userID     = 9000
	mib        = "65536k"
	guestPath  = "/bin/guest"
	searchDirs = "PATH=/bin:/usr/bin"
)

// box is a container to be: tests change its fields before they run it.
type box struct {
	t    testing.TB
	base string // UpperBase
	o    StartOptions
	idr  *idrange.Range
	// lower are its layers, if not the image.
	lower []string
}

// newBox makes the specification that `deckhand run -u 9000 --network none` would.
func newBox(t testing.TB, args ...string) *box {
	t.Helper()
	need.Root(t)
	r, err := idrange.Acquire(t.Name())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Release)
	b := &box{t: t, base: t.TempDir(), idr: r}
	for _, d := range []string{"upper", "work"} {
		if err := os.Mkdir(filepath.Join(b.base, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	b.o = StartOptions{ID: "test", Spec: testSpec(r.HostBase, args), Rootfs: b.mountRoot}
	return b
}

func (b *box) upper(path string) string { return filepath.Join(b.base, "upper", path) }

func (b *box) mountRoot(userns *os.File) (*os.File, error) {
	if b.lower == nil {
		b.lower = []string{imageDir(b.t)}
	}
	return mount.Overlay{
		Lower: b.lower, UpperBase: b.base, IDMap: userns,
		Upper: filepath.Join(b.base, "upper"), Work: filepath.Join(b.base, "work"), Volatile: true,
	}.Mount()
}

func testSpec(hostBase uint32, args []string) *specs.Spec {
	ids := []specs.LinuxIDMapping{{ContainerID: 0, HostID: hostBase, Size: idrange.Size}}
	return &specs.Spec{
		Version: specs.Version,
		Process: &specs.Process{
			User: specs.User{UID: userID, GID: userID, AdditionalGids: []uint32{userID}},
			Args: args, Env: []string{searchDirs}, Cwd: "/", NoNewPrivileges: true,
			Capabilities: &specs.LinuxCapabilities{},
		},
		Root:     &specs.Root{},
		Hostname: "box",
		Mounts: []specs.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}},
			{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "noexec", "strictatime", "mode=755", "size=" + mib}},
			{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
			{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev", "ro"}},
			{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: []string{"nosuid", "noexec", "nodev", "ro"}},
			{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: []string{"nosuid", "noexec", "nodev"}},
			{Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: []string{"nosuid", "noexec", "nodev", "mode=1777", "size=" + mib}},
		},
		Linux: &specs.Linux{
			UIDMappings: ids, GIDMappings: ids,
			Namespaces: []specs.LinuxNamespace{
				{Type: specs.UserNamespace},
				{Type: specs.MountNamespace},
				{Type: specs.PIDNamespace},
				{Type: specs.IPCNamespace},
				{Type: specs.UTSNamespace},
				{Type: specs.NetworkNamespace},
				{Type: specs.CgroupNamespace},
			},
			MaskedPaths:   []string{"/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/scsi", "/sys/firmware"},
			ReadonlyPaths: []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"},
		},
	}
}

// asRoot gives the box root with docker's capabilities.
func (b *box) asRoot() *box {
	b.o.Spec.Process.User = specs.User{AdditionalGids: []uint32{0}}
	set := caps.Docker
	b.o.Spec.Process.Capabilities = &specs.LinuxCapabilities{Bounding: set, Effective: set, Permitted: set}
	return b
}

// withHostPrograms lends the box the host's /usr, read-only.
func (b *box) withHostPrograms() *box {
	for _, dir := range []string{"/usr", "/lib", "/lib64"} {
		if _, err := os.Stat(dir); err == nil {
			b.o.Spec.Mounts = append(b.o.Spec.Mounts, specs.Mount{Destination: dir, Type: "bind", Source: dir, Options: []string{"bind", "ro"}})
		}
	}
	return b
}

// result is what a container did.
type result struct {
	Exit
	out, err string
}

// run starts the box, waits for its end, and fails the test if it does not start.
func (b *box) run() result {
	b.t.Helper()
	r, err := b.try(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

// want runs the box and compares what it prints.
func (b *box) want(out string) {
	b.t.Helper()
	r := b.run()
	if r.Code != 0 || strings.TrimSpace(r.out) != out {
		b.t.Errorf("exit %d, printed %q, want %q\n%s", r.Code, strings.TrimSpace(r.out), out, r.err)
	}
}

func (b *box) try(ctx context.Context) (result, error) {
	b.t.Helper()
	out, outDone := collect(b.t)
	errs, errDone := collect(b.t)
	if b.o.Stdio == (Stdio{}) {
		b.o.Stdio = Stdio{Out: out, Err: errs}
	}
	p, err := Start(ctx, b.o)
	_ = out.Close()
	_ = errs.Close()
	if err != nil {
		return result{}, err
	}
	exit, err := p.Wait()
	return result{exit, <-outDone, <-errDone}, err
}

// collect gives a pipe to write to and a channel with what was written.
func collect(t testing.TB) (*os.File, <-chan string) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan string, 1)
	go func() {
		var buf bytes.Buffer
		_, _ = io.Copy(&buf, r)
		_ = r.Close()
		done <- buf.String()
	}()
	return w, done
}

// start starts the box and has the test end it.
func (b *box) start() *Process {
	b.t.Helper()
	p, err := Start(b.t.Context(), b.o)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		_ = p.handle.Kill()
		_, _ = p.handle.Wait()
	})
	return p
}

// status picks a line of /proc/self/status.
func status(text, key string) string {
	for line := range strings.Lines(text) {
		if v, ok := strings.CutPrefix(line, key+":"); ok {
			return strings.Join(strings.Fields(v), " ")
		}
	}
	return fmt.Sprintf("no %s in %q", key, text)
}
