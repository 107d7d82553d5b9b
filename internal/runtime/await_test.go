package runtime

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"testing"
	"time"
)

func TestAwaitPid(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ticks, err := StartTicks(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	if err := AwaitPid(t.Context(), cmd.Process.Pid, ticks+1); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("another process with the same pid: %v, want os.ErrProcessDone", err)
	}
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := AwaitPid(short, cmd.Process.Pid, ticks); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("running process: %v, want the context's error", err)
	}
	done := make(chan error, 1)
	go func() { done <- AwaitPid(t.Context(), cmd.Process.Pid, ticks) }()
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("ended process: %v", err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if err := AwaitPid(t.Context(), cmd.Process.Pid, ticks); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("reaped process: %v, want os.ErrProcessDone", err)
	}
}
