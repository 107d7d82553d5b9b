package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// grace is how long a program that was interrupted may take to clean up.
const grace = 30 * time.Second

// lab is where everything is built and run.
type lab struct {
	dir      string // temporary
	programs string // directory of deckhand and the others
	proofs   string // directory of what harden writes
	progress io.Writer
	patience time.Duration // for a check to pass; 0: a minute
}

// newLab installs the checks' clients, builds the programs and imports the base image.
func newLab(ctx context.Context, o *options, progress io.Writer) (*lab, error) {
	dir, err := os.MkdirTemp("", "deckhand-bench-harden")
	if err != nil {
		return nil, err
	}
	l := &lab{dir: dir, programs: o.programs, proofs: o.proofs, progress: progress}
	if err := l.fill(ctx); err != nil {
		return nil, errors.Join(err, l.close())
	}
	return l, nil
}

func (l *lab) fill(ctx context.Context) (err error) {
	if os.Getenv("DECKHAND_DATA_ROOT") == "" {
		if err := os.Setenv("DECKHAND_DATA_ROOT", filepath.Join(l.dir, "data")); err != nil {
			return err
		}
	}
	if l.proofs == "" {
		l.proofs = filepath.Join(l.dir, "proofs")
	}
	if _, err := l.do(ctx, "hack/install-deps", "harden"); err != nil {
		return err
	}
	if err := l.findPrograms(ctx); err != nil {
		return err
	}
	base, err := l.do(ctx, "hack/make-base", "debian")
	if err != nil {
		return err
	}
	_, err = l.do(ctx, "deckhand", "import", strings.TrimSpace(base), "debian:12")
	return err
}

// findPrograms builds them where no directory was named, and puts them first in PATH: checks use deckhand too.
func (l *lab) findPrograms(ctx context.Context) (err error) {
	if l.programs == "" {
		l.programs = filepath.Join(l.dir, "bin")
		if _, err := l.do(ctx, "env", "CGO_ENABLED=0", "go", "build", "-trimpath", "-o", l.programs+"/", "./cmd/..."); err != nil {
			return err
		}
	}
	if l.programs, err = filepath.Abs(l.programs); err != nil {
		return err
	}
	return os.Setenv("PATH", l.programs+":"+os.Getenv("PATH"))
}

// close removes the directory.
func (l *lab) close() error { return os.RemoveAll(l.dir) }

// say reports progress, which is best effort.
func (l *lab) say(format string, args ...any) { _, _ = fmt.Fprintf(l.progress, format+"\n", args...) }

// commandError is a command that ended with a code other than 0.
type commandError struct {
	args   []string
	code   int
	output string // the end of both outputs
	err    error
}

// Error has the command and the last lines it printed.
func (e *commandError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("run %s: %v\n%s", strings.Join(e.args, " "), e.err, lastLines(e.output, 12)))
}

// reason is the line that says why: deckhand's own message, or else the last one.
func (e *commandError) reason() string {
	reason := ""
	for line := range strings.Lines(e.output) {
		line = strings.TrimSpace(line)
		if message, ok := strings.CutPrefix(line, "deckhand: "); ok {
			return message
		}
		if line != "" {
			reason = line
		}
	}
	if reason == "" {
		return e.err.Error()
	}
	return reason
}

// Unwrap gives the cause.
func (e *commandError) Unwrap() error { return e.err }

// do runs a command and returns its standard output. The error is a *commandError where the command ran. When the
// context ends, the command is interrupted and gets time to clean up.
func (l *lab) do(ctx context.Context, args ...string) (string, error) {
	return l.doWith(ctx, nil, args...)
}

// outputs is what both outputs of a command printed; they are written from two goroutines.
type outputs struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write adds to it.
func (t *outputs) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.Write(p)
}

// String is all of it.
func (t *outputs) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.String()
}

// doWith is do with further variables.
func (l *lab) doWith(ctx context.Context, environ []string, args ...string) (string, error) {
	var out bytes.Buffer
	var both outputs
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), environ...)
	cmd.Stdout, cmd.Stderr = io.MultiWriter(&out, &both), &both
	// A group of its own: control-C reaches only this program, which passes it on.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = grace
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil && cmd.Process != nil {
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what did not end by itself
		}
		return out.String(), &commandError{args, cmd.ProcessState.ExitCode(), both.String(), errors.Join(err, ctx.Err())}
	}
	return out.String(), nil
}

// buildImage builds a Dockerfile over the service's directory.
func (l *lab) buildImage(ctx context.Context, s *service, dockerfile, image string) error {
	_, err := l.do(ctx, "deckhand", "build", "--progress", "plain", "-t", image, "-f", dockerfile, s.dir)
	return err
}

// inspected is what the benchmark reads of docker's JSON about an image or a container.
type inspected struct {
	State  struct{ Pid int }
	Config struct {
		User         string
		Entrypoint   []string
		ExposedPorts map[string]struct{}
	}
	NetworkSettings struct {
		Ports map[string][]struct{ HostPort string }
	}
}

func (l *lab) inspect(ctx context.Context, name string) (*inspected, error) {
	out, err := l.do(ctx, "deckhand", "inspect", name)
	if err != nil {
		return nil, err
	}
	var all []inspected
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		return nil, fmt.Errorf("inspect %s: %w", name, err)
	}
	if len(all) != 1 {
		return nil, fmt.Errorf("inspect %s: it is %d things", name, len(all))
	}
	return &all[0], nil
}

// lastLines are the last n lines of a text.
func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
