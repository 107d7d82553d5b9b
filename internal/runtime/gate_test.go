package runtime

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// gated gives the box a gate.
func gated(t *testing.T, b *box) string {
	t.Helper()
	b.o.Gate = filepath.Join(t.TempDir(), strings.Repeat("long", 30), "gate")
	if err := os.Mkdir(filepath.Dir(b.o.Gate), 0o700); err != nil {
		t.Fatal(err)
	}
	return b.o.Gate
}

// TestGate has a command wait until it is let go, as the container's user already.
func TestGate(t *testing.T) {
	for name, init := range map[string]bool{"command": false, "init": true} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t, "guest", "echo", "gone")
			b.o.Init = init
			gate := gated(t, b)
			out, done := collect(t)
			b.o.Stdio = Stdio{Out: out}
			p, err := Start(t.Context(), b.o)
			_ = out.Close()
			if err != nil {
				t.Fatal(err)
			}
			st, err := os.Stat(gate)
			if err != nil || st.Mode().Perm() != 0o600 {
				t.Errorf("the gate: %v %v", st.Mode(), err)
			}
			var own unix.Stat_t
			if err := unix.Stat(procPath(p.Pid, ""), &own); err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(procPath(p.Pid, "status"))
			if err != nil || status(string(text), "NoNewPrivs") != "1" || !strings.HasSuffix(status(string(text), "CapBnd"), "0000000000") {
				t.Errorf("not set up (%v):\n%s", err, text)
			}
			if err := OpenGate(t.Context(), gate); err != nil {
				t.Error(err)
			}
			if exit, err := p.Wait(); err != nil || exit.Code != 0 || <-done != "gone\n" {
				t.Errorf("%+v, %v", exit, err)
			}
			if err := OpenGate(t.Context(), gate); !errors.Is(err, ErrNotWaiting) {
				t.Errorf("a second time: %v", err)
			}
		})
	}
}

func procPath(pid int, name string) string { return "/proc/" + strconv.Itoa(pid) + "/" + name }

// TestGateCommandErrors: what is known before the gate is Start's error, the rest is OpenGate's.
func TestGateCommandErrors(t *testing.T) {
	var failed *CommandError
	b := newBox(t, "nosuch")
	gate := gated(t, b)
	if _, err := b.try(t.Context()); !errors.As(err, &failed) || failed.Code != 127 {
		t.Errorf("a command that is not there: %v", err)
	}
	if _, err := os.Stat(gate); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the gate is left: %v", err)
	}
	b = newBox(t, "broken")
	gate = gated(t, b)
	b.start()
	failed = nil
	if err := OpenGate(t.Context(), gate); !errors.As(err, &failed) || failed.Code != 126 {
		t.Errorf("a command that cannot be executed: %v", err)
	}
}

// TestGateDead opens the gate of a process that has been killed.
func TestGateDead(t *testing.T) {
	b := newBox(t, "guest")
	gate := gated(t, b)
	p := b.start()
	if err := p.Signal(unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := OpenGate(t.Context(), gate); !errors.Is(err, ErrNotWaiting) {
		t.Error(err)
	}
}

// TestGateCreatorDies: the one that waits lives on if asked to, and dies otherwise.
func TestGateCreatorDies(t *testing.T) {
	for name, outlive := range map[string]bool{"outlives": true, "dies": false} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t, "guest", "write", "/home/user/file", "started")
			o := b.order("start")
			o.Gate, o.Outlive = gated(t, b), outlive
			s := launch(t, "/proc/self/exe", o, nil)
			pid := s.readPid()
			t.Cleanup(func() { _ = SignalPid(pid, 0, unix.SIGKILL) }) // it may have ended
			_ = s.cmd.Process.Kill()
			_, _ = s.cmd.Process.Wait() // the container has its standard files
			if !outlive {
				if err := AwaitPid(t.Context(), pid, 0); err != nil && !errors.Is(err, os.ErrProcessDone) {
					t.Fatal(err)
				}
				if err := OpenGate(t.Context(), o.Gate); !errors.Is(err, ErrNotWaiting) {
					t.Error(err)
				}
				return
			}
			if err := OpenGate(t.Context(), o.Gate); err != nil {
				t.Fatal(err)
			}
			if err := AwaitPid(t.Context(), pid, 0); err != nil && !errors.Is(err, os.ErrProcessDone) {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(b.upper("home/user/file")); string(got) != "started" {
				t.Errorf("the command has not run: %q, %v", got, err)
			}
		})
	}
}

// TestOutlive: without a gate as well.
func TestOutlive(t *testing.T) {
	b := newBox(t, "guest", "sleep", "1m")
	o := b.order("start")
	o.Outlive = true
	s := launch(t, "/proc/self/exe", o, nil)
	pid := s.readPid()
	_ = s.cmd.Process.Kill()
	_, _ = s.cmd.Process.Wait() // the container has its standard files
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := AwaitPid(ctx, pid, 0); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the container ended with its creator: %v", err)
	}
	if err := SignalPid(pid, 0, unix.SIGKILL); err != nil {
		t.Error(err)
	}
}

// TestExtraFiles hands descriptors on, with and without a gate, and to a process that enters.
func TestExtraFiles(t *testing.T) {
	var files []*os.File
	for _, text := range []string{"three", "four"} {
		path := filepath.Join(t.TempDir(), text)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files = append(files, f)
	}
	rewind := func() {
		for _, f := range files {
			if _, err := f.Seek(0, 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	b := newBox(t, "guest", "inherit")
	b.o.ExtraFiles = files
	b.want("0 1 2 3 4 three four")
	b.o.Init, b.o.Stdio = true, Stdio{}
	if _, err := b.try(t.Context()); err == nil || !strings.Contains(err.Error(), "init") {
		t.Errorf("with an init: %v", err)
	}
	rewind()
	b = newBox(t, "guest", "sleep", "1m")
	p := b.start()
	out, done := collect(t)
	proc := *b.o.Spec.Process
	proc.Args = []string{"guest", "inherit"}
	e, err := Exec(t.Context(), ExecOptions{Pid: p.Pid, Spec: b.o.Spec, Process: &proc, ExtraFiles: files, Stdio: Stdio{Out: out}})
	_ = out.Close()
	if err != nil {
		t.Fatal(err)
	}
	if exit, err := e.Wait(); err != nil || exit.Code != 0 {
		t.Errorf("%+v %v", exit, err)
	}
	if got := <-done; got != "0 1 2 3 4 three four\n" {
		t.Errorf("exec: %q", got)
	}
}
