package main

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
)

func TestDo(t *testing.T) {
	l := &lab{}
	out, err := l.doWith(t.Context(), []string{"WORD=hello"}, "sh", "-c", `echo "$WORD"; echo aside >&2`)
	if err != nil || out != "hello\n" {
		t.Errorf("got %q, %v", out, err)
	}
}

// TestDoKeepsBothOutputs has both written at once, and much of them: neither may lose what the other brought.
func TestDoKeepsBothOutputs(t *testing.T) {
	const lines = 2000
	l := &lab{}
	_, err := l.do(t.Context(), "sh", "-c", `yes out | head -n 2000 & yes err | head -n 2000 >&2; wait; exit 3`)
	ended, ok := errors.AsType[*commandError](err)
	if !ok || ended.code != 3 {
		t.Fatalf("the error is %v", err)
	}
	for _, letter := range []string{"o", "e"} { // of each output's word; the words themselves may be torn apart
		if got := strings.Count(ended.output, letter); got != lines {
			t.Errorf("%d lines have %q", got, letter)
		}
	}
}

func TestDoTooLate(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (&lab{}).do(ctx, "true"); !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
}

func TestDoLetsCleanUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	done := t.TempDir() + "/done"
	ready := t.TempDir() + "/ready"
	if _, err := (&lab{}).do(t.Context(), "mkfifo", ready); err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = os.ReadFile(ready)
		cancel()
	}()
	_, err := (&lab{}).do(ctx, "sh", "-c", `trap 'echo cleaned >"$1"; exit 130' INT; echo >"$2"; while :; do sleep 0.01; done`, "sh", done, ready)
	if ended, ok := errors.AsType[*commandError](err); !ok || ended.code != 130 || !errors.Is(err, context.Canceled) {
		t.Errorf("the error is %v", err)
	}
	if content, err := os.ReadFile(done); err != nil || string(content) != "cleaned\n" {
		t.Errorf("it left %q, %v", content, err)
	}
}
