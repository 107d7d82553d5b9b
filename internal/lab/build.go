package lab

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/deckhand-engine/deckhand/guard/harden"
)

// buildGrace is how long a build that was interrupted may take to clear up.
const buildGrace = 10 * time.Second

// Build implements harden.Lab. The image has no name, and is the lab's alone.
func (l *Lab) Build(ctx context.Context, dockerfile []byte) (string, error) {
	dir, err := l.o.Engine.Store.TempDir("lab")
	if err != nil {
		return "", fmt.Errorf("build: %w", err)
	}
	id, err := l.buildIn(ctx, dir.Path, dockerfile)
	if err = errors.Join(err, dir.Close()); err != nil {
		return "", err
	}
	return id.String(), nil
}

// buildIn builds with its files in a private directory.
func (l *Lab) buildIn(ctx context.Context, dir string, dockerfile []byte) (digest.Digest, error) {
	file, err := l.writeDockerfile(dir, dockerfile)
	if err != nil {
		return "", fmt.Errorf("build: %w", err)
	}
	idFile := filepath.Join(dir, "id")
	if err := l.runBuild(ctx, l.buildArgs(file, idFile)); err != nil {
		return "", err
	}
	raw, err := os.ReadFile(idFile)
	if err != nil {
		return "", fmt.Errorf("build: read the image's id: %w", err)
	}
	id, err := digest.Parse(strings.TrimSpace(string(raw)))
	if err != nil {
		return "", fmt.Errorf("build: read the image's id: %w", err)
	}
	return id, nil
}

// writeDockerfile writes it under the name it has where it came from, and beside it the ignore file that is its own.
func (l *Lab) writeDockerfile(dir string, dockerfile []byte) (string, error) {
	name := "Dockerfile"
	if l.o.Dockerfile != "" {
		name = filepath.Base(l.o.Dockerfile)
	}
	// In a directory of its own: the name may be any, and so may that of the id's file.
	file := filepath.Join(dir, "dockerfile", name)
	if err := os.Mkdir(filepath.Dir(file), 0o700); err != nil {
		return "", err
	}
	if err := os.WriteFile(file, dockerfile, 0o600); err != nil {
		return "", err
	}
	if l.o.Dockerfile == "" {
		return file, nil
	}
	const suffix = ".dockerignore"
	ignore, err := os.ReadFile(l.o.Dockerfile + suffix)
	if errors.Is(err, fs.ErrNotExist) {
		return file, nil
	}
	if err != nil {
		return "", err
	}
	return file, os.WriteFile(file+suffix, ignore, 0o600)
}

func (l *Lab) buildArgs(file, idFile string) []string {
	args := []string{
		"--data-root", l.o.Engine.Store.Root(), "--trials", l.trials.Name(), "--progress", "plain", "--iidfile", idFile, "-f", file,
	}
	if l.o.Target != "" {
		args = append(args, "--target", l.o.Target)
	}
	for _, a := range l.o.BuildArgs {
		args = append(args, "--build-arg", a)
	}
	args = append(args, l.o.BuildFlags...)
	return append(args, l.o.Context)
}

// runBuild runs deckhand-build. What it says of the Dockerfile is a *harden.BuildError.
func (l *Lab) runBuild(ctx context.Context, args []string) error {
	// The build dies with the thread that started it, and that one lives until the build has ended.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	out := &tail{limit: buildTail}
	cmd := exec.CommandContext(ctx, l.o.Programs.Build, args...)
	cmd.Env = l.o.Env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = buildGrace
	lines := &lineWriter{line: l.o.Progress}
	w := io.MultiWriter(out, lines)
	cmd.Stdout, cmd.Stderr = w, w
	err := cmd.Run()
	lines.flush()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("build: %w", context.Cause(ctx))
	case errors.As(err, &exit) && exit.ExitCode() == 1:
		return &harden.BuildError{Output: out.String(), Err: errors.New("the Dockerfile could not be built")}
	}
	return fmt.Errorf("build: run %s: %w\n%s", l.o.Programs.Build, err, out)
}

// lineWriter passes whole lines on.
type lineWriter struct {
	line func(string) // nil: nobody is interested
	part []byte
}

// Write implements io.Writer and never fails.
func (w *lineWriter) Write(p []byte) (int, error) {
	if w.line == nil {
		return len(p), nil
	}
	w.part = append(w.part, p...)
	for {
		advance, line, _ := bufio.ScanLines(w.part, false) // which knows no errors
		if advance == 0 {
			return len(p), nil
		}
		w.line(string(line))
		w.part = slices.Delete(w.part, 0, advance)
	}
}

// flush passes on what had no end.
func (w *lineWriter) flush() {
	if rest := bytes.TrimSpace(w.part); len(rest) > 0 && w.line != nil {
		w.line(string(rest))
	}
}
