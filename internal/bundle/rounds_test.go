package bundle

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	goruntime "runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/need"
)

const (
	roundsAtOnce = 8
	roundsUsual  = 200 // DECKHAND_ROUNDS says another number
)

// TestRounds creates, starts, kills and deletes containers, many at a time, and looks for what they leave.
func TestRounds(t *testing.T) {
	need.Root(t)
	rounds := roundsUsual
	if text := os.Getenv("DECKHAND_ROUNDS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		rounds = n
	}
	name := "rounds" + strconv.Itoa(os.Getpid())
	r := newRoot(t)
	bundles := []*Bundle{roundsBundle(t, false), roundsBundle(t, true)}
	play(t, r, bundles, name+"-warm", 10*roundsAtOnce) // the Go runtime's own threads and memory
	before := count(t, r, name)
	begin := time.Now()
	play(t, r, bundles, name, rounds)
	took := time.Since(begin)
	after := count(t, r, name)
	t.Logf("%d rounds, %d at once, in %v: %v each", rounds, roundsAtOnce, took.Round(time.Millisecond), (took / time.Duration(rounds)).Round(10*time.Microsecond))
	t.Logf("before: %v", before)
	t.Logf("after:  %v", after)
	for _, l := range after.leftBehind(before) {
		t.Error(l)
	}
}

// TestRoundsAreCounted: what is left behind is found, one of each.
func TestRoundsAreCounted(t *testing.T) {
	tests := map[string]func(*counted){
		"descriptors": func(c *counted) { c.descriptors++ }, "threads": func(c *counted) { c.threads += roundsAtOnce + 1 },
		"mounts": func(c *counted) { c.mounts++ }, "children": func(c *counted) { c.children++ },
		"cgroups": func(c *counted) { c.cgroups++ }, "files": func(c *counted) { c.files++ },
		"goroutines": func(c *counted) { c.goroutines++ }, "memory": func(c *counted) { c.memoryBytes += roundsMemory + 1 },
	}
	for name, change := range tests {
		before := counted{descriptors: 5, threads: 6}
		after := before
		change(&after)
		if left := after.leftBehind(before); len(left) != 1 || !strings.Contains(left[0], name) {
			t.Errorf("%s: %q", name, left)
		}
	}
	need.Root(t)
	r := newRoot(t)
	name := "rounds-counted" + strconv.Itoa(os.Getpid())
	before := count(t, r, name)
	c, err := r.Create(t.Context(), &Options{ID: name, Bundle: roundsBundle(t, false)})
	if err != nil {
		t.Fatal(err)
	}
	during := count(t, r, name)
	if err := c.Delete(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	unreaped := count(t, r, name)
	reapChild(t, c.State().Pid, c.record.Process.Pid)
	after := count(t, r, name)
	if during.cgroups == before.cgroups || during.children != before.children+1 || during.files == before.files {
		t.Errorf("a container that is there is not counted: %v, %v", before, during)
	}
	if unreaped.children != before.children+1 || after.children != before.children || after.cgroups != 0 || after.files != before.files {
		t.Errorf("before %v, not reaped %v, after %v", before, unreaped, after)
	}
}

// play plays rounds of the life of a container.
func play(t *testing.T, r *Root, bundles []*Bundle, name string, rounds int) {
	t.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range roundsAtOnce {
		wg.Go(func() {
			for {
				n := int(next.Add(1))
				if n > rounds || t.Failed() {
					return
				}
				if err := playOne(t, r, bundles[n%len(bundles)], name+"-"+strconv.Itoa(n)); err != nil {
					t.Errorf("round %d: %v", n, err)
				}
			}
		})
	}
	wg.Wait()
}

func playOne(t *testing.T, r *Root, b *Bundle, id string) error {
	c, err := r.Create(t.Context(), &Options{ID: id, Bundle: b})
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	pid := c.record.Process.Pid
	if err := c.Start(t.Context()); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	if c, err = r.Open(id); err != nil {
		return fmt.Errorf("open: %w", err)
	}
	if err := c.Kill(unix.SIGKILL); err != nil {
		return fmt.Errorf("kill: %w", err)
	}
	if _, err := unix.Wait4(pid, nil, 0, nil); err != nil { // our child, since create did not end
		return fmt.Errorf("reap: %w", err)
	}
	if err := c.Delete(t.Context(), false); err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	return nil
}

// reapChild reaps a child that has ended.
func reapChild(t *testing.T, pids ...int) {
	t.Helper()
	for _, pid := range pids {
		if pid == 0 {
			continue
		}
		if _, err := unix.Wait4(pid, nil, 0, nil); err != nil && !errors.Is(err, unix.ECHILD) {
			t.Fatal(err)
		}
	}
}

// counted is what there is of everything that could be left behind.
type counted struct {
	descriptors, threads, goroutines, mounts, children, cgroups, files int
	memoryBytes                                                        int64 // resident
}

func (c counted) String() string {
	return fmt.Sprintf("%d descriptors, %d threads, %d goroutines, %d mounts, %d children, %d cgroups, %d files, %.1f MB",
		c.descriptors, c.threads, c.goroutines, c.mounts, c.children, c.cgroups, c.files, float64(c.memoryBytes)/1e6)
}

// roundsMemory is by how much the memory of a Go program may differ from itself.
const roundsMemory = 8 << 20

// leftBehind says what is more than before. The Go runtime starts threads as it likes, no more than
// there are goroutines in system calls.
func (c counted) leftBehind(before counted) []string {
	var left []string
	for _, k := range []struct {
		name          string
		before, after int64
		more          int64
	}{
		{"descriptors", int64(before.descriptors), int64(c.descriptors), 0},
		{"threads", int64(before.threads), int64(c.threads), roundsAtOnce},
		{"goroutines", int64(before.goroutines), int64(c.goroutines), 0},
		{"mounts", int64(before.mounts), int64(c.mounts), 0},
		{"children", int64(before.children), int64(c.children), 0},
		{"cgroups", int64(before.cgroups), int64(c.cgroups), 0},
		{"files", int64(before.files), int64(c.files), 0},
		{"bytes of memory", before.memoryBytes, c.memoryBytes, roundsMemory},
	} {
		if k.after > k.before+k.more {
			left = append(left, fmt.Sprintf("%s: %d, were %d", k.name, k.after, k.before))
		}
	}
	return left
}

// count counts, after what the garbage collector closes is closed.
func count(t *testing.T, r *Root, name string) counted {
	t.Helper()
	for range 3 {
		goruntime.GC()
		time.Sleep(10 * time.Millisecond) // finalizers
	}
	debug.FreeOSMemory()
	c := counted{
		descriptors: entries(t, "/proc/self/fd"), threads: entries(t, "/proc/self/task"), goroutines: goruntime.NumGoroutine(),
		mounts: lines(t, "/proc/self/mountinfo"), children: children(t), files: entries(t, r.Dir),
	}
	fields := strings.Fields(read(t, "/proc/self/statm"))
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	c.memoryBytes = pages * int64(os.Getpagesize())
	err = filepath.WalkDir("/sys/fs/cgroup", func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && d.IsDir() && strings.Contains(d.Name(), name) {
			c.cgroups++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func entries(t *testing.T, dir string) int {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return len(list)
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return string(b)
}

func lines(t *testing.T, path string) int { return strings.Count(read(t, path), "\n") }

// children counts the children of all our threads, those that were not waited for too.
func children(t *testing.T) int {
	t.Helper()
	tasks, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil || len(tasks) == 0 {
		t.Fatalf("no list of children: %v", err)
	}
	n := 0
	for _, path := range tasks {
		b, err := os.ReadFile(path) // a thread may have ended
		if err == nil {
			n += len(strings.Fields(string(b)))
		}
	}
	return n
}

// roundsBundle is a bundle whose only program waits to be killed.
func roundsBundle(t *testing.T, userns bool) *Bundle {
	t.Helper()
	dir := t.TempDir()
	s := Default()
	s.Process.Args, s.Process.Terminal, s.Process.Rlimits = []string{"/pause"}, false, nil
	if userns {
		s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
		ids := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 100000, Size: 65536}}
		s.Linux.UIDMappings, s.Linux.GIDMappings = ids, ids
	}
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string][]byte{"config.json": text, "rootfs/pause": pauseProgram()} {
		for _, sub := range []string{"proc", "dev", "sys"} {
			if err := os.MkdirAll(filepath.Join(dir, "rootfs", sub), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, path), content, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// The user namespace's root has to get there.
	for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	b, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// pauseProgram is an ELF program of a few instructions that waits for ever.
func pauseProgram() []byte {
	code, machine := []byte{0xb8, 34, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7}, uint16(62) // pause in a loop
	if goruntime.GOARCH == "arm64" {
		machine, code = 183, nil
		for _, instruction := range []uint32{ // ppoll(0, 0, 0, 0) in a loop
			0xd2800000, 0xd2800001, 0xd2800002, 0xd2800003, 0xd2800928, 0xd4000001, 0x17fffffa,
		} {
			code = binary.LittleEndian.AppendUint32(code, instruction)
		}
	}
	const base, headers = 0x400000, 64 + 56
	b := append([]byte("\x7fELF\x02\x01\x01"), make([]byte, 9)...)
	for _, v := range []any{
		uint16(2), machine, uint32(1), uint64(base + headers), uint64(64), uint64(0), uint32(0), uint16(64), uint16(56), uint16(1),
		uint16(0), uint16(0), uint16(0),
		uint32(1), uint32(5), uint64(0), uint64(base), uint64(base), uint64(headers + len(code)), uint64(headers + len(code)), uint64(4096),
	} {
		b, _ = binary.Append(b, binary.LittleEndian, v)
	}
	return append(b, code...)
}
