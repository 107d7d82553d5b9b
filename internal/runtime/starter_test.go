package runtime

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/deckhand-engine/deckhand/internal/linux/mount"
)

type ctxt = context.Context

// A starter is a process of its own that starts a container, for tests that kill it, or need another
// user, namespace or executable.

// order is what a starter is told, as JSON in its first argument.
type order struct {
	Mode      string // start, init, exec; leave: start, and end before the container
	Spec      *specs.Spec
	Lower     []string
	Base      string
	UserXattr bool
	NoOverlay bool     // Lower[0] is bound as the root
	Stdin     bool     // lent to the container
	ExecArgs  []string // what exec runs; nil: what the container runs
	Gate      string
	Outlive   bool
}

// starter prints the container's pid, passes its output on, and exits as it does.
func starter(args []string) int {
	var o order
	if err := json.Unmarshal([]byte(args[0]), &o); err != nil {
		fmt.Fprintln(os.Stderr, "starter:", err)
		return 125
	}
	if o.Mode == "enter" {
		return enterAndStart(o)
	}
	p, err := o.start()
	if err != nil {
		fmt.Fprintln(os.Stderr, "starter:", err)
		return 125
	}
	fmt.Println("pid", p.Pid)
	if o.Mode == "leave" {
		return 0
	}
	exit, err := p.Wait()
	if err != nil {
		fmt.Fprintln(os.Stderr, "starter:", err)
		return 125
	}
	return exit.Code
}

func (o *order) start() (*Process, error) {
	stdio := Stdio{Out: os.Stdout, Err: os.Stderr}
	if o.Stdin {
		stdio.In = os.Stdin
	}
	p, err := Start(context.Background(), StartOptions{
		ID: "starter", Spec: o.Spec, Init: o.Mode == "init", Rootfs: o.root, Stdio: stdio,
		Gate: o.Gate, Outlive: o.Outlive,
	})
	if err != nil || o.Mode != "exec" {
		return p, err
	}
	proc := *o.Spec.Process
	if o.ExecArgs != nil {
		proc.Args = o.ExecArgs
	}
	return Exec(context.Background(), ExecOptions{Pid: p.Pid, Spec: o.Spec, Process: &proc, Stdio: Stdio{Out: os.Stdout, Err: os.Stderr}})
}

func (o *order) root(userns *os.File) (*os.File, error) {
	if o.NoOverlay {
		return mount.Clone(o.Lower[0], true)
	}
	m := mount.Overlay{
		Lower: o.Lower, UpperBase: o.Base, UserXattr: o.UserXattr,
		Upper: filepath.Join(o.Base, "upper"), Work: filepath.Join(o.Base, "work"), Volatile: true,
	}
	if !o.UserXattr {
		m.IDMap = userns
	}
	return m.Mount()
}

// started is a starter that runs.
type started struct {
	t   *testing.T
	cmd *exec.Cmd
	out *bufio.Reader
	err *bytes.Buffer
}

func (b *box) order(mode string) order {
	if b.lower == nil {
		b.lower = []string{imageDir(b.t)}
	}
	if mode == "start-root" {
		b.asRoot()
	}
	return order{Mode: mode, Spec: b.o.Spec, Lower: b.lower, Base: b.base}
}

func newStarter(t *testing.T, exe string, b *box, mode string) *started {
	t.Helper()
	return launch(t, exe, b.order(mode), nil)
}

func launch(t *testing.T, exe string, o order, attr *syscall.SysProcAttr) *started {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	s := &started{t: t, cmd: exec.CommandContext(t.Context(), exe, string(text)), err: &bytes.Buffer{}}
	s.cmd.Args[0] = "starter"
	s.cmd.SysProcAttr = attr
	s.cmd.Dir = "/"
	s.cmd.Stderr = s.err
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.out = bufio.NewReader(out)
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.cmd.Process.Kill(); _ = s.cmd.Wait() })
	return s
}

func (s *started) readPid() int {
	s.t.Helper()
	line, err := s.out.ReadString('\n')
	if err != nil {
		_ = s.cmd.Wait()
		s.t.Fatalf("no pid: %v: %s", err, s.err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(line, "pid ")))
	if err != nil {
		s.t.Fatalf("%q: %v", line, err)
	}
	return pid
}

// output waits for the end and returns all that was printed.
func (s *started) output() string {
	s.t.Helper()
	b, err := io.ReadAll(s.out)
	if err != nil {
		s.t.Fatal(err)
	}
	_ = s.cmd.Wait() // the text tells
	return string(b) + s.err.String()
}

// enterAndStart makes a user namespace of its own as an ordinary user, has a starter in it run the
// container, and enters that from outside, as exec does.
func enterAndStart(o order) int {
	o.Mode = "start"
	text, err := json.Marshal(o)
	if err != nil {
		return 125
	}
	cmd := exec.Command("/proc/self/exe", string(text))
	cmd.Args[0] = "starter"
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		Pdeathsig:   syscall.SIGKILL,
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "enter:", err)
		return 125
	}
	var pid int
	if _, err := fmt.Fscanf(out, "pid %d\n", &pid); err != nil {
		fmt.Fprintln(os.Stderr, "enter: no pid:", err)
		return 125
	}
	proc := *o.Spec.Process
	proc.Args = []string{"guest", "cat", "/proc/self/status", "/proc/1/cmdline"}
	p, err := Exec(context.Background(), ExecOptions{Pid: pid, Spec: o.Spec, Process: &proc, Stdio: Stdio{Out: os.Stdout, Err: os.Stderr}})
	if err != nil {
		fmt.Fprintln(os.Stderr, "exec:", err)
		return 125
	}
	exit, _ := p.Wait()
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	return exit.Code
}
