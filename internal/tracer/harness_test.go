package tracer

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/guard/observe"
	"github.com/deckhand-engine/deckhand/internal/linux/caps"
	"github.com/deckhand-engine/deckhand/internal/linux/idrange"
	"github.com/deckhand-engine/deckhand/internal/linux/mount"
	"github.com/deckhand-engine/deckhand/internal/linux/seccomp"
	"github.com/deckhand-engine/deckhand/internal/need"
	"github.com/deckhand-engine/deckhand/internal/runtime"
)

// The containers of these tests have the host's programs and /guest, which is the test binary: it then does what
// its arguments say (guest_test.go).
func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case "guest", "tool":
		syscall.Exit(guest(os.Args[1:])) // os.Exit would wait a second for the race detector
	case "watcher":
		syscall.Exit(watcher(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// userID is the unprivileged user of these containers.
const userID = 9000

// box is a container to be: tests change its fields before they start it.
type box struct {
	t      testing.TB
	base   string
	o      runtime.StartOptions
	tracer *Tracer
}

func newBox(t testing.TB, args ...string) *box {
	t.Helper()
	need.Root(t)
	r, err := idrange.Acquire(t.Name())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Release)
	b := &box{t: t, base: t.TempDir()}
	if err := b.makeImage(); err != nil {
		t.Fatal(err)
	}
	b.o = runtime.StartOptions{ID: "test", Spec: testSpec(r.HostBase, args), Rootfs: b.mountRoot}
	b.tracer, err = New()
	if err != nil {
		t.Fatal(err)
	}
	b.o.Attach = b.tracer.Attach
	t.Cleanup(func() {
		if err := b.tracer.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func (b *box) makeImage() error {
	for _, d := range []string{"upper", "work", "layer/dev", "layer/proc", "layer/etc", "layer/tmp", "layer/home/user", "layer/run", "layer/usr", "layer/locked"} {
		if err := os.MkdirAll(filepath.Join(b.base, d), 0o755); err != nil {
			return err
		}
	}
	layer := filepath.Join(b.base, "layer")
	for _, dir := range []string{"bin", "sbin", "lib", "lib64"} {
		if err := os.Symlink("usr/"+dir, filepath.Join(layer, dir)); err != nil {
			return err
		}
	}
	for name, mode := range map[string]os.FileMode{"guest": 0o755, "etc/secret": 0o600, "etc/passwd": 0o644} {
		if err := os.WriteFile(filepath.Join(layer, name), []byte(name), mode); err != nil {
			return err
		}
	}
	if err := os.Chown(filepath.Join(layer, "home/user"), userID, userID); err != nil {
		return err
	}
	if err := os.Chmod(filepath.Join(layer, "locked"), 0o700); err != nil {
		return err
	}
	return os.Chmod(filepath.Join(layer, "tmp"), 0o777|os.ModeSticky)
}

func (b *box) mountRoot(userns *os.File) (*os.File, error) {
	return mount.Overlay{
		Lower: []string{filepath.Join(b.base, "layer")}, UpperBase: b.base, IDMap: userns,
		Upper: filepath.Join(b.base, "upper"), Work: filepath.Join(b.base, "work"), Volatile: true,
	}.Mount()
}

func testSpec(hostBase uint32, args []string) *specs.Spec {
	ids := []specs.LinuxIDMapping{{ContainerID: 0, HostID: hostBase, Size: idrange.Size}}
	s := &specs.Spec{
		Version: specs.Version,
		Process: &specs.Process{
			User: specs.User{UID: userID, GID: userID}, Args: args, Env: []string{"PATH=/bin:/usr/bin", "GOMAXPROCS=2"}, Cwd: "/",
			NoNewPrivileges: true, Capabilities: &specs.LinuxCapabilities{},
		},
		Root: &specs.Root{},
		Mounts: []specs.Mount{
			{Destination: "/proc", Type: "proc", Source: "proc"},
			{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "mode=755"}},
			{Destination: "/usr", Type: "bind", Source: "/usr", Options: []string{"bind", "ro"}},
			{Destination: "/guest", Type: "bind", Source: exe(), Options: []string{"bind", "ro"}},
		},
		Linux: &specs.Linux{UIDMappings: ids, GIDMappings: ids, Seccomp: Filter(nil)},
	}
	if _, err := os.Stat("/etc/ld.so.cache"); err == nil { // or programs would look for libraries everywhere
		s.Mounts = append(s.Mounts, specs.Mount{Destination: "/etc/ld.so.cache", Type: "bind", Source: "/etc/ld.so.cache", Options: []string{"bind", "ro"}})
	}
	for _, n := range []specs.LinuxNamespaceType{"user", "mount", "pid", "ipc", "uts", "network", "cgroup"} {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: n})
	}
	return s
}

func exe() string {
	p, err := os.Executable()
	if err != nil {
		return "/proc/self/exe"
	}
	return p
}

// asRoot gives the box root with docker's capabilities.
func (b *box) asRoot() {
	b.o.Spec.Process.User = specs.User{}
	set := caps.Docker
	b.o.Spec.Process.Capabilities = &specs.LinuxCapabilities{Bounding: set, Effective: set, Permitted: set}
}

// filtered gives the box docker's filter for its capabilities, to be traced.
func (b *box) filtered() *box {
	b.t.Helper()
	p, err := seccomp.Default(b.o.Spec.Process.Capabilities.Bounding)
	if err != nil {
		b.t.Fatal(err)
	}
	b.o.Spec.Linux.Seccomp = Filter(p)
	return b
}

type result struct {
	runtime.Exit
	out, err string
}

// run runs the box to its end.
func (b *box) run() result {
	b.t.Helper()
	out, outDone := gather(b.t)
	errs, errDone := gather(b.t)
	b.o.Stdio = runtime.Stdio{Out: out, Err: errs}
	p, err := runtime.Start(b.t.Context(), b.o)
	_ = out.Close()
	_ = errs.Close()
	if err != nil {
		b.t.Fatal(err)
	}
	exit, err := p.Wait()
	if err != nil {
		b.t.Fatal(err)
	}
	return result{exit, <-outDone, <-errDone}
}

// succeed runs the box, which is to exit with 0, and gives its record.
func (b *box) succeed() *observe.Record {
	b.t.Helper()
	if r := b.run(); r.Code != 0 {
		b.t.Fatalf("exit %d\n%s%s", r.Code, r.out, r.err)
	}
	if err := b.tracer.Close(); err != nil {
		b.t.Error(err)
	}
	return b.tracer.Record()
}

func gather(t testing.TB) (*os.File, <-chan string) {
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

// addTool puts a copy of the guest into the image, as root's.
func (b *box) addTool(mode uint32) {
	b.t.Helper()
	data, err := os.ReadFile(exe())
	if err != nil {
		b.t.Fatal(err)
	}
	tool := filepath.Join(b.base, "layer", "tool")
	if err := os.WriteFile(tool, data, 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := unix.Chmod(tool, mode); err != nil {
		b.t.Fatal(err)
	}
}

func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	for range 2000 {
		if ok() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("it did not happen in ten seconds")
}

// between are the calls that the guest made between its marks, one line each.
func between(t *testing.T, rec *observe.Record) []string {
	t.Helper()
	marked := func(name string) int {
		return slices.IndexFunc(rec.Calls, func(c observe.Call) bool { return strings.HasSuffix(c.Path, name) })
	}
	first, last := marked(markFirst), marked(markLast)
	if first < 0 || last < 0 {
		t.Fatalf("no marks in %d calls", len(rec.Calls))
	}
	var lines []string
	for _, c := range rec.Calls[first+1 : last] {
		if !ofGo(&c) {
			lines = append(lines, line(&c))
		}
	}
	return lines
}

// ofGo reports whether Go's runtime may make such a call at any time.
func ofGo(c *observe.Call) bool {
	return c.Syscall == "prctl" && c.Args[0] == unix.PR_SET_VMA
}

// line is a call in short.
func line(c *observe.Call) string {
	w := []string{c.Syscall}
	for _, s := range []string{c.Path, c.To, c.Socket, c.Address} {
		if s != "" {
			w = append(w, s)
		}
	}
	if len(c.Argv) > 0 {
		w = append(w, fmt.Sprintf("%q", c.Argv))
	}
	if c.ID != 0 || c.Group != 0 {
		w = append(w, strconv.FormatInt(c.ID, 10)+":"+strconv.FormatInt(c.Group, 10))
	}
	for _, flag := range []struct {
		name string
		set  bool
	}{{"writes", c.Writes}, {"creates", c.Creates}, {"filtered", c.Filtered}} {
		if flag.set {
			w = append(w, flag.name)
		}
	}
	if c.Errno != 0 {
		w = append(w, unix.ErrnoName(c.Errno))
	}
	if c.Count > 1 {
		w = append(w, "x"+strconv.Itoa(c.Count))
	}
	return strings.Join(w, " ")
}
