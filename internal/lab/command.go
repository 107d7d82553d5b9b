package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/engine"
	"github.com/deckhand-engine/deckhand/internal/runtime"
	"github.com/deckhand-engine/deckhand/internal/runtime/stage"
)

// result is what came of one command or attempt.
type result struct {
	passed bool
	reason string // why it did not pass, to follow "the check "
	output string // the end of what it printed
	final  bool   // another attempt would end the same way
	err    error  // it could not even be tried
}

// command is a process that was started.
type command struct {
	wait func() (code int, err error) // returns when it has ended; once
	kill func()
}

const (
	shell        = "/bin/sh"
	codeNotFound = 127
)

// argv is the command that a user wrote: a JSON array as it is, anything else through the shell.
func argv(text string) []string {
	if strings.HasPrefix(strings.TrimSpace(text), "[") {
		var args []string
		if json.Unmarshal([]byte(text), &args) == nil && len(args) > 0 {
			return args
		}
	}
	return []string{shell, "-c", text}
}

// execution runs a command for at most limit, and no longer than the service lives.
type execution struct {
	service *service
	limit   time.Duration
	start   func(ctx context.Context, out *os.File) (*command, error)
}

// lingerTime is how long what a command has left behind may still print.
const lingerTime = 50 * time.Millisecond

// run must be called from the thread that lives as long as the command.
func (x *execution) run(ctx context.Context) result {
	ctx, cancel := context.WithTimeout(ctx, x.limit)
	defer cancel()
	r, w, err := os.Pipe()
	if err != nil {
		return result{err: fmt.Errorf("make pipe: %w", err)}
	}
	c, err := x.start(ctx, w)
	_ = w.Close() // the command has it
	if err != nil {
		_ = r.Close() // nothing to read
		return notStarted(ctx, err)
	}
	out := &tail{limit: checkTail}
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		_, _ = io.Copy(out, r) // its end is the command's, or the deadline
	}()
	res := x.await(ctx, c)
	_ = r.SetReadDeadline(time.Now().Add(lingerTime)) //nolint:forbidigo // a deadline of the system's
	<-copied
	_ = r.Close() // read only
	res.output = out.String()
	if line := lastLine(res.output); line != "" && !res.passed {
		res.reason += ": " + line
	}
	return res
}

func (x *execution) await(ctx context.Context, c *command) result {
	type end struct {
		code int
		err  error
	}
	ended := make(chan end, 1)
	go func() {
		code, err := c.wait()
		ended <- end{code, err}
	}()
	select {
	case e := <-ended:
		return verdict(e.code, e.err)
	case <-x.service.exited:
	case <-ctx.Done():
	}
	c.kill()
	<-ended
	return result{reason: fmt.Sprintf("did not end within %.0f s", x.limit.Seconds())}
}

func verdict(code int, err error) result {
	switch {
	case err != nil:
		return result{reason: err.Error()}
	case code != 0:
		return result{reason: fmt.Sprintf("failed with code %d", code)}
	}
	return result{passed: true}
}

// notStarted says why a command could not be; what is not there will not be there later.
func notStarted(ctx context.Context, err error) result {
	res := result{reason: "could not be started: " + err.Error()}
	var missing *runtime.CommandError
	var refused *stage.Failure
	switch {
	case errors.As(err, &missing) && missing.Code == codeNotFound:
		res.final = true
		if missing.Path == shell {
			res.reason += " (without a shell in the image, write the command as a JSON array)"
		}
	case ctx.Err() == nil && !errors.As(err, &refused):
		res.err = err
	}
	return res
}

// inContainer starts a process in the container.
func inContainer(e *engine.Engine, c *engine.Container, o engine.ExecOptions) func(context.Context, *os.File) (*command, error) {
	return func(ctx context.Context, out *os.File) (*command, error) {
		o.Stdio = runtime.Stdio{Out: out, Err: out}
		p, err := e.Exec(ctx, c.Record, o)
		if err != nil {
			return nil, err
		}
		return &command{
			wait: func() (int, error) {
				exit, err := p.Wait()
				return exit.Code, err
			},
			kill: func() { _ = p.Signal(unix.SIGKILL) }, // it may have ended
		}, nil
	}
}

// onHost starts a shell's command on the host, in a process group that ends with it.
func onHost(text string, env []string) func(context.Context, *os.File) (*command, error) {
	return func(ctx context.Context, out *os.File) (*command, error) {
		cmd := exec.CommandContext(context.WithoutCancel(ctx), shell, "-c", text)
		cmd.Env, cmd.Stdout, cmd.Stderr = env, out, out
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
		if err := cmd.Start(); err != nil {
			return nil, err
		}
		kill := func() { _ = unix.Kill(-cmd.Process.Pid, unix.SIGKILL) } // nobody may be left
		return &command{
			wait: func() (int, error) {
				// The group is ended while the shell still has its number.
				awaitEnd(cmd.Process.Pid)
				kill()
				err := cmd.Wait()
				var exit *exec.ExitError
				if errors.As(err, &exit) && exit.Exited() {
					return exit.ExitCode(), nil
				}
				return 0, err
			},
			kill: kill,
		}, nil
	}
}

// awaitEnd returns when a child has ended, and leaves it to be waited for.
func awaitEnd(pid int) {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}
