package tracer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/guard/observe"
	"github.com/deckhand-engine/deckhand/internal/runtime"
)

// TestRecord: what the guest does, by steps, is what the record says, and nothing else.
func TestRecord(t *testing.T) {
	tests := map[string]struct {
		change func(*box)
		want   []string
	}{
		"files": {want: []string{
			"openat /etc/secret EACCES",
			"openat /usr/new writes creates EROFS",
			"openat /home/user/file writes creates",
			"mkdirat /run/app writes creates EACCES",
			"fchownat /home/user/file 0:-1 writes EPERM",
			"fchown /home/user/file -1:7 writes EPERM",
			"fchmod /home/user/file writes",
			"renameat /home/user/file /etc/file writes creates EACCES",
			"newfstatat /locked/x EACCES",
			"symlinkat /home/user/../etc/passwd /home/user/link writes creates",
			"unlinkat /home/user/link writes",
			"unlinkat /home/user/link writes ENOENT x2",
			"setxattr /home/user/file trusted.x writes EPERM",
		}},
		"paths": {want: []string{
			"openat /home",
			"openat ENOENT",
			"mkdirat /home/user/gone writes creates",
			"mkdirat /home/user/gone/sub writes creates",
			"unlinkat /home/user/gone/../gone/sub writes",
			"unlinkat /home/user/gone writes",
			"mkdirat /home/user/gone/late writes creates ENOENT",
			"mkdirat writes creates EBADF",
			"chroot EFAULT",
		}},
		"chroot": {change: func(b *box) { b.asRoot() }, want: []string{
			"chroot /home",
			"mkdirat /home/user/in writes creates",
			"mkdirat /home/user/in/side writes creates",
		}},
		"sockets": {want: []string{
			"socket inet/stream",
			"socket inet6/stream",
			"socket unix/dgram",
			"socket inet/raw EPERM",
			"socket packet/raw EPERM",
			"bind inet/stream 0.0.0.0:80 EACCES",
			"bind inet/stream 0.0.0.0:8080",
			"listen inet/stream 0.0.0.0:8080",
			"bind inet6/stream [::]:81 EACCES",
			"bind /run/app.sock unix/dgram unix:/run/app.sock writes creates EACCES",
			"bind unix/dgram unix:@name",
			"connect /run/nosuch unix/dgram unix:/run/nosuch ENOENT",
			"setsockopt inet/stream EPERM",
		}},
		"ids": {want: []string{
			"setuid EPERM",
			"setuid EPERM",
			"setresuid 33:0 EPERM",
			"setresgid -1:0",
			"setgroups -1:0 EPERM",
			"setpriority EACCES",
			"prlimit64 writes EPERM",
			"openat /proc/self/oom_score_adj writes creates",
			"write /proc/1/oom_score_adj writes EACCES",
		}},
		"refused": {change: func(b *box) { b.filtered() }, want: []string{
			"keyctl filtered EPERM",
			"personality filtered EPERM",
			"mount /tmp writes filtered EPERM",
			"unshare filtered EPERM",
		}},
		"names": {want: []string{"prctl", "mkdirat /x writes creates EACCES"}},
		"drop":  {change: func(b *box) { b.asRoot() }, want: []string{"setgroups -1:0", "setresgid 7:0", "setresuid 7:0", "mkdirat /x writes creates EACCES"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := newBox(t, "/guest", name)
			if tt.change != nil {
				tt.change(b)
			}
			rec := b.succeed()
			if diff := cmp.Diff(tt.want, between(t, rec)); diff != "" {
				t.Error(diff)
			}
			wantLost := uint64(0)
			switch name {
			case "paths":
				wantLost = 1 // the bad pointer
			case "refused":
				wantLost = 2 // the numbers that have no name
			}
			if rec.Lost != wantLost {
				t.Errorf("%d lost, want %d", rec.Lost, wantLost)
			}
		})
	}
}

// find is the first call of a record that matches.
func find(t *testing.T, rec *observe.Record, what string, match func(*observe.Call) bool) *observe.Call {
	t.Helper()
	i := slices.IndexFunc(rec.Calls, func(c observe.Call) bool { return match(&c) })
	if i < 0 {
		t.Fatalf("no %s in %d calls", what, len(rec.Calls))
	}
	return &rec.Calls[i]
}

func path1(p string) func(*observe.Call) bool {
	return func(c *observe.Call) bool { return c.Path == p }
}

// TestProcess: who called is known, by the container's own ids and names, also when that changes.
func TestProcess(t *testing.T) {
	for name, want := range map[string]observe.Process{
		"names": {Comm: "a \\name\n", Exe: "/guest", UID: userID},
		"drop":  {Comm: "guest", Exe: "/guest", UID: 7},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t, "/guest", name)
			if name == "drop" {
				b.asRoot()
			}
			c := find(t, b.succeed(), "mkdir", path1("/x"))
			if c.Process.PID <= 1 || c.Process.Parent != os.Getpid() {
				t.Errorf("pid %d, parent %d: not as we see them", c.Process.PID, c.Process.Parent)
			}
			want.PID, want.Parent = c.Process.PID, c.Process.Parent
			if diff := cmp.Diff(want, c.Process); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestCounts: all calls are counted, of all threads and children, and alike ones are one.
func TestCounts(t *testing.T) {
	rec := newBox(t, "/guest", "threads").succeed()
	if c := find(t, rec, "access", path1("/shared")); c.Count != 400 || c.Errno != unix.ENOENT {
		t.Errorf("%+v", c)
	}
	execs := 0
	for _, c := range rec.Calls {
		if c.Syscall == "execve" && c.Path == "/bin/true" {
			execs++
			if c.Process.Exe != "/guest" || c.Process.Parent != find(t, rec, "mark", path1(markFirst)).Process.PID {
				t.Errorf("%+v", c.Process)
			}
		}
	}
	if execs != 8 || rec.Syscalls["execve"] != 9 {
		t.Errorf("%d programs, execve %d times", execs, rec.Syscalls["execve"])
	}
	if rec.Syscalls["mkdirat"] != 8 || rec.Syscalls["futex"] == 0 || rec.Lost != 0 {
		t.Errorf("%v, %d lost", rec.Syscalls, rec.Lost)
	}
}

// TestExecFromThread: execve by a thread that is not the first, which takes the first one's place.
func TestExecFromThread(t *testing.T) {
	b := newBox(t, "/guest", "execs")
	if r := b.run(); r.Code != 7 {
		t.Errorf("exit %d\n%s", r.Code, r.err)
	}
	rec := b.tracer.Record()
	var lines []string
	for _, c := range rec.Calls {
		if c.Syscall == "execve" {
			lines = append(lines, line(&c))
		}
	}
	want := []string{`execve /guest ["/guest" "execs"]`, `execve /nosuch ["nosuch"] ENOENT`, `execve /bin/sh ["sh" "-c" "exit 7"]`}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Error(diff)
	}
	if c := find(t, rec, "library", func(c *observe.Call) bool { return strings.Contains(c.Path, "libc.so") && c.Process.Exe != "/guest" }); !strings.HasPrefix(c.Process.Exe, "/usr/bin/") {
		t.Errorf("after that: %+v", c.Process)
	}
}

// TestShell: pipes, processes that outlive their parents, and signals.
func TestShell(t *testing.T) {
	b := newBox(t, "/bin/sh", "-c", `
		(echo a; (sleep 0.1; echo late >/tmp/late) & ) | cat >/tmp/out
		until [ -e /tmp/late ]; do sleep 0.01; done
		sh -c 'kill -USR1 $$; exit 1'; exit $?`)
	if r := b.run(); r.Code != 128+int(unix.SIGUSR1) {
		t.Errorf("exit %d\n%s", r.Code, r.err)
	}
	rec := b.tracer.Record()
	for _, p := range []string{"/tmp/out", "/tmp/late"} {
		if c := find(t, rec, p, path1(p)); !c.Creates || c.Errno != 0 {
			t.Errorf("%+v", c)
		}
	}
}

// TestStops: who is stopped stays so until it is continued, and its parent sees it; the first process of a pid
// namespace is not stopped by its own.
func TestStops(t *testing.T) {
	rec := newBox(t, "/guest", "stops").succeed()
	if c := find(t, rec, "mkdir", path1("/tmp/again")); c.Errno != 0 || c.Count != 1 {
		t.Errorf("%+v", c)
	}
}

// TestExitCode: a container's end is for who started it, whatever it is, and also if nobody has closed the tracer.
func TestExitCode(t *testing.T) {
	if r := newBox(t, "/guest", "exit").run(); r.Exit != (runtime.Exit{Code: 42}) {
		t.Errorf("%+v\n%s", r.Exit, r.err)
	}
	p, err := runtime.Start(t.Context(), newBox(t, "/bin/sh", "-c", "while :; do /bin/true; done").o)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Signal(unix.SIGKILL); err != nil {
		t.Error(err)
	}
	if exit, err := p.Wait(); err != nil || exit.Signal != unix.SIGKILL {
		t.Errorf("%+v, %v", exit, err)
	}
}

// tracees lists the processes that this one traces.
func tracees(t *testing.T) []string {
	t.Helper()
	var found []string
	dirs, err := filepath.Glob("/proc/[0-9]*/task/[0-9]*/status")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dirs {
		b, err := os.ReadFile(d)
		if err != nil {
			continue // it has ended
		}
		if tracer := tracerOf(b); tracer != 0 && tracerIsOurs(tracer) {
			found = append(found, d)
		}
	}
	return found
}

func tracerIsOurs(tid int) bool {
	_, err := os.Stat(fmt.Sprintf("/proc/self/task/%d", tid))
	return err == nil
}

// TestClose ends containers that run, and their parents hear of it.
func TestClose(t *testing.T) {
	b := newBox(t, "/guest", "kids", "sleep", "60")
	other := newBox(t, "/guest", "sleep")
	other.o.Attach = b.tracer.Attach // one tracer watches both
	ended := make(chan runtime.Exit)
	for _, x := range []*box{b, other} {
		p, err := runtime.Start(t.Context(), x.o)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			exit, err := p.Wait()
			if err != nil {
				t.Error(err)
			}
			ended <- exit
		}()
	}
	if n := len(tracees(t)); n < 2 {
		t.Errorf("%d tasks are traced", n)
	}
	if err := b.tracer.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if exit := <-ended; exit.Signal != unix.SIGKILL {
			t.Errorf("%+v", exit)
		}
	}
	if left := tracees(t); len(left) > 0 {
		t.Errorf("still traced: %v", left)
	}
	if err := b.tracer.Attach(os.Getpid()); !errors.Is(err, ErrClosed) {
		t.Errorf("attached after its end: %v", err)
	}
	if err := b.tracer.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
}

// TestEnd: a container that ends by itself, its other processes with it, leaves no thread that waits.
func TestEnd(t *testing.T) {
	b := newBox(t, "/bin/sh", "-c", "sleep 60 & sleep 60 & exit 3")
	if r := b.run(); r.Code != 3 {
		t.Errorf("exit %d", r.Code)
	}
	<-b.tracer.watches[0].done
	if left := tracees(t); len(left) > 0 {
		t.Errorf("still traced: %v", left)
	}
}

// TestSharedPids: without a pid namespace processes outlive the container's first one, and are watched on.
func TestSharedPids(t *testing.T) {
	b := newBox(t, "/bin/sh", "-c", "(sleep 0.3; mkdir /tmp/later; sleep 60) & exit 3")
	b.o.Spec.Linux.Namespaces = slices.DeleteFunc(b.o.Spec.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == specs.PIDNamespace })
	b.o.Spec.Mounts = b.o.Spec.Mounts[1:] // nor proc
	out, _ := gather(t)
	b.o.Stdio = runtime.Stdio{Out: out, Err: out}
	p, err := runtime.Start(t.Context(), b.o)
	if err != nil {
		t.Fatal(err)
	}
	upper := filepath.Join(b.base, "upper/tmp/later")
	waitFor(t, func() bool { _, err := os.Stat(upper); return err == nil }) // our Wait comes later than that
	if exit, err := p.Wait(); err != nil || exit.Code != 3 {
		t.Errorf("%+v, %v", exit, err)
	}
	waitFor(t, func() bool {
		return slices.ContainsFunc(b.tracer.Record().Calls, func(c observe.Call) bool { return c.Path == "/tmp/later" })
	})
	if err := b.tracer.Close(); err != nil {
		t.Fatal(err)
	}
	_ = out.Close()
	if left := tracees(t); len(left) > 0 {
		t.Errorf("still traced: %v", left)
	}
}

// TestAttachRefused: the error of Attach ends the start, and nothing is left.
func TestAttachRefused(t *testing.T) {
	b := newBox(t, "/guest", "exit")
	refused := errors.New("refused")
	pid := 0
	b.o.Attach = func(p int) error { pid = p; return refused }
	if _, err := runtime.Start(t.Context(), b.o); !errors.Is(err, refused) {
		t.Errorf("error %v", err)
	}
	if err := unix.Kill(pid, 0); pid == 0 || !errors.Is(err, unix.ESRCH) {
		t.Errorf("process %d: %v", pid, err)
	}
	if err := b.tracer.Attach(pid); err == nil {
		t.Error("attached to a process that has ended")
	}
}

// TestFailedStart: a container that is watched and does not start leaves nothing.
func TestFailedStart(t *testing.T) {
	b := newBox(t, "/nosuch")
	var cmd *runtime.CommandError
	if _, err := runtime.Start(t.Context(), b.o); !errors.As(err, &cmd) || cmd.Code != 127 {
		t.Errorf("error %v", err)
	}
	<-b.tracer.watches[0].done
	if left := tracees(t); len(left) > 0 {
		t.Errorf("still traced: %v", left)
	}
}

// TestSetuid: a program with the bit gains its id under the tracer as without.
func TestSetuid(t *testing.T) {
	b := newBox(t, "/tool", "suid")
	b.addTool(0o4755)
	b.o.Spec.Process.NoNewPrivileges = false
	set := []string{"CAP_SETUID", "CAP_CHOWN"}
	b.o.Spec.Process.Capabilities = &specs.LinuxCapabilities{Bounding: set}
	c := find(t, b.succeed(), "mkdir", path1("/etc/made"))
	if c.Errno != 0 || c.Process.UID != 0 || c.Process.Exe != "/tool" {
		t.Errorf("%+v", c)
	}
}

// TestExec watches a process that enters the container, and lets another in unwatched under a filter of its own.
func TestExec(t *testing.T) {
	b := newBox(t, "/guest", "sleep")
	p, err := runtime.Start(t.Context(), b.o)
	if err != nil {
		t.Fatal(err)
	}
	spec := *b.o.Spec
	enter := func(attach func(int) error, linux *specs.Linux) int {
		spec.Linux = linux
		process := *spec.Process
		process.Args = []string{"/bin/mkdir", "/tmp/entered"}
		e, err := runtime.Exec(t.Context(), runtime.ExecOptions{Pid: p.Pid, Spec: &spec, Process: &process, Attach: attach})
		if err != nil {
			t.Fatal(err)
		}
		exit, err := e.Wait()
		if err != nil {
			t.Fatal(err)
		}
		return exit.Code
	}
	if code := enter(b.tracer.Attach, spec.Linux); code != 0 {
		t.Errorf("watched: exit %d", code)
	}
	plain := *b.o.Spec.Linux
	plain.Seccomp = nil
	if code := enter(nil, &plain); code != 1 { // it is there already
		t.Errorf("unwatched: exit %d", code)
	}
	if err := b.tracer.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Wait(); err != nil {
		t.Error(err)
	}
	if c := find(t, b.tracer.Record(), "mkdir", path1("/tmp/entered")); c.Count != 1 || c.Process.UID != userID {
		t.Errorf("%+v", c)
	}
}

// TestDenialsFilter: calls that are only counted do not stop, all else is seen.
func TestDenialsFilter(t *testing.T) {
	b := newBox(t, "/guest", "files").filtered()
	full := b.succeed()
	b = newBox(t, "/guest", "files")
	b.o.Spec.Linux.Seccomp = DenialsFilter(nil)
	rec := b.succeed()
	if diff := cmp.Diff(between(t, full), between(t, rec)); diff != "" {
		t.Error(diff)
	}
	if full.Syscalls["mmap"] == 0 || rec.Syscalls["mmap"] != 0 || rec.Syscalls["openat"] == 0 {
		t.Errorf("%v", rec.Syscalls)
	}
}

// TestAffinity: a service sees the CPUs that it would see without us.
func TestAffinity(t *testing.T) {
	b := newBox(t, "/guest", "cpus")
	r := b.run()
	var own unix.CPUSet
	if err := unix.SchedGetaffinity(0, &own); err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("%d 1 %d\n", own.Count(), own.Count()); r.out != want {
		t.Errorf("printed %q, want %q\n%s", r.out, want, r.err)
	}
}
