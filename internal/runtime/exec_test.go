package runtime

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/linux/cgroup"
)

// execIn runs a command in a running container.
func execIn(t *testing.T, b *box, p *Process, change func(*ExecOptions), args ...string) result {
	t.Helper()
	proc := *b.o.Spec.Process
	proc.Args = args
	out, outDone := collect(t)
	errs, errDone := collect(t)
	o := ExecOptions{Pid: p.Pid, Spec: b.o.Spec, Process: &proc, Stdio: Stdio{Out: out, Err: errs}}
	if change != nil {
		change(&o)
	}
	e, err := Exec(t.Context(), o)
	_ = out.Close()
	_ = errs.Close()
	if err != nil {
		t.Fatal(err)
	}
	exit, err := e.Wait()
	if err != nil {
		t.Fatal(err)
	}
	return result{exit, <-outDone, <-errDone}
}

func TestExec(t *testing.T) {
	b := newBox(t, "guest", "sleep", "1m")
	p := b.start()
	r := execIn(t, b, p, nil, "guest", "cat", "/proc/self/status", "/proc/1/cmdline")
	if r.Code != 0 || status(r.out, "Uid") != "9000 9000 9000 9000" || !strings.Contains(r.out, "sleep") {
		t.Errorf("%+v", r)
	}
}

// TestExecNamespaces: a further process is in all of the container's namespaces.
func TestExecNamespaces(t *testing.T) {
	b := newBox(t, "guest", "sleep", "1m")
	p := b.start()
	var names []string
	for _, n := range []string{"cgroup", "ipc", "mnt", "net", "pid", "user", "uts"} {
		names = append(names, "/proc/self/ns/"+n)
	}
	own := execIn(t, b, p, nil, append([]string{"guest", "links"}, names...)...)
	for i, line := range strings.Fields(own.out) {
		theirs, err := os.Readlink("/proc/" + strconv.Itoa(p.Pid) + "/ns/" + filepath.Base(names[i]))
		if err != nil || line != theirs {
			t.Errorf("%s: in %s, the container in %s (%v)", names[i], line, theirs, err)
		}
		if ours, _ := os.Readlink(names[i]); ours == line {
			t.Errorf("%s is the host's", names[i])
		}
	}
	if own.Code != 0 || len(strings.Fields(own.out)) != len(names) {
		t.Errorf("%+v", own)
	}
}

func TestExecProcess(t *testing.T) {
	b := newBox(t, "guest", "sleep", "1m")
	p := b.start()
	if r := execIn(t, b, p, nil, "guest", "exit", "42"); r.Code != 42 {
		t.Errorf("%+v", r)
	}
	r := execIn(t, b, p, func(o *ExecOptions) { o.Process.Cwd = "/home/user"; o.Process.Env = []string{"PATH=/bin", "A=b"} }, "guest", "env")
	if r.out != "PATH=/bin\nA=b\n" {
		t.Errorf("%+v", r)
	}
	r = execIn(t, b, p, func(o *ExecOptions) { o.Process.Cwd = "/home/user" }, "guest", "pwd")
	if r.out != "/home/user\n" {
		t.Errorf("%+v", r)
	}
	if r := execIn(t, b, p, nil, "guest", "write", "/home/user/exec", "x"); r.Code != 0 {
		t.Errorf("%+v", r)
	}
	var st unix.Stat_t
	if err := unix.Stat(b.upper("home/user/exec"), &st); err != nil || st.Uid != userID {
		t.Errorf("owner %d on disk, %v", st.Uid, err)
	}
}

func TestExecResolve(t *testing.T) {
	b := newBox(t, "guest", "sleep", "1m")
	p := b.start()
	r := execIn(t, b, p, func(o *ExecOptions) {
		o.Resolve = func(root *os.File, proc *specs.Process) error {
			fd, err := unix.Openat(int(root.Fd()), "etc/passwd", unix.O_RDONLY|unix.O_CLOEXEC, 0)
			if err != nil {
				return err
			}
			defer unix.Close(fd)
			proc.User = specs.User{UID: 55, GID: 56}
			return nil
		}
	}, "guest", "cat", "/proc/self/status")
	compareStatus(t, r, map[string]string{"Uid": "55 55 55 55", "Gid": "56 56 56 56"})
}

func TestExecCgroup(t *testing.T) {
	b := newBox(t, "guest", "sleep", "1m")
	g, err := cgroup.New("test-exec-" + strconv.Itoa(os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Kill(); _ = g.Remove() })
	b.o.Cgroup = g.Dir
	p := b.start()
	t.Cleanup(func() { _ = p.handle.Kill(); _, _ = p.handle.Wait() })
	r := execIn(t, b, p, func(o *ExecOptions) { o.Cgroup = g.Dir }, "guest", "cat", "/proc/self/cgroup")
	if !strings.Contains(r.out, "0::/\n") {
		t.Errorf("exec is outside the container's cgroup: %+v", r)
	}
	r = execIn(t, b, p, nil, "guest", "cat", "/proc/self/cgroup")
	if strings.Contains(r.out, "0::/\n") {
		t.Errorf("without a cgroup it should be outside: %+v", r)
	}
}

func TestExecInDead(t *testing.T) {
	b := newBox(t, "guest", "true")
	p := b.start()
	if _, err := p.Wait(); err != nil {
		t.Fatal(err)
	}
	_, err := Exec(t.Context(), ExecOptions{Pid: p.Pid, Spec: b.o.Spec, Process: b.o.Spec.Process})
	if !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("%v, want os.ErrProcessDone", err)
	}
	noChildren(t)
}

// TestExecParallel forks from several threads at once.
func TestExecParallel(t *testing.T) {
	b := newBox(t, "guest", "sleep", "1m")
	p := b.start()
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			proc := *b.o.Spec.Process
			proc.Args = []string{"guest", "exit", strconv.Itoa(i)}
			e, err := Exec(t.Context(), ExecOptions{Pid: p.Pid, Spec: b.o.Spec, Process: &proc})
			if err != nil {
				t.Error(err)
				return
			}
			if exit, err := e.Wait(); err != nil || exit.Code != i {
				t.Errorf("%+v, %v, want %d", exit, err, i)
			}
		})
	}
	wg.Wait()
}
