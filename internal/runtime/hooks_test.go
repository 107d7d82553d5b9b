package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// hooked gives the box hooks in the container, and their state.
func hooked(b *box, create, start []specs.Hook) {
	b.o.Spec.Hooks = &specs.Hooks{CreateContainer: create, StartContainer: start}
	b.o.HookState = func(pid int, status specs.ContainerState) ([]byte, error) {
		return fmt.Appendf(nil, "%s %v", status, pid > 1), nil
	}
}

// TestHooks runs every hook at its time and place.
func TestHooks(t *testing.T) {
	b := newBox(t, "guest", "cat", "/tmp/start")
	b.o.Spec.Process.User = specs.User{}
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	created := filepath.Join(dir, "create")
	var order []string
	hooked(b,
		[]specs.Hook{{Path: "/bin/sh", Args: []string{"sh", "-c", `read a; echo "$a $0 $X $Y" >` + created + `; hostname >>` + created}, Env: []string{"X=1"}}},
		[]specs.Hook{{Path: "/bin/guest", Args: []string{"guest", "copy", "/tmp/start"}}})
	b.o.Spec.Hooks.CreateRuntime = []specs.Hook{{Path: "/bin/true"}}
	b.o.RuntimeHooks = func(_ context.Context, pid int) error {
		if _, err := os.Stat(created); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("createContainer came before createRuntime: %v", err)
		}
		if _, err := os.Stat(procPath(pid, "root/bin/guest")); err == nil {
			t.Error("the root has been entered")
		}
		order = append(order, "runtime")
		return nil
	}
	b.want("created true")
	if len(order) != 1 {
		t.Errorf("runtime hooks: %v", order)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(created); err != nil || string(got) != "creating true sh 1 \n"+host+"\n" {
		t.Errorf("createContainer wrote %q, %v", got, err)
	}
}

// TestHookErrors: a hook that fails ends the start, with its name and what it printed.
func TestHookErrors(t *testing.T) {
	second := 1
	tests := map[string]struct {
		hook specs.Hook
		want string
	}{
		"exit code": {specs.Hook{Path: "/bin/sh", Args: []string{"sh", "-c", "echo out; echo err >&2; exit 3"}}, "exit status 3: out\nerr"},
		"signal":    {specs.Hook{Path: "/bin/sh", Args: []string{"sh", "-c", "kill -9 $$"}}, "signal 9"},
		"timeout":   {specs.Hook{Path: "/bin/sleep", Args: []string{"sleep", "60"}, Timeout: &second}, "more than 1 seconds"},
		"no file":   {specs.Hook{Path: "/no/such/hook"}, "no such file"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := newBox(t, "guest")
			hooked(b, []specs.Hook{tt.hook}, nil)
			_, err := b.try(t.Context())
			if err == nil || !strings.Contains(err.Error(), "createContainer hook "+tt.hook.Path) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %s", err, tt.want)
			}
			noChildren(t)
		})
	}
	b := newBox(t, "guest")
	hooked(b, nil, []specs.Hook{{Path: "/bin/guest", Args: []string{"guest", "exit", "7"}}})
	gate := gated(t, b)
	b.start()
	if err := OpenGate(t.Context(), gate); err == nil || !strings.Contains(err.Error(), "startContainer hook /bin/guest: exit status 7") {
		t.Errorf("behind a gate: %v", err)
	}
}

// TestHooksRefused: hooks nobody would run are not ignored, and one that fails in the runtime ends it.
func TestHooksRefused(t *testing.T) {
	hook := []specs.Hook{{Path: "/bin/true"}}
	var unsupported *UnsupportedError
	for name, h := range map[string]*specs.Hooks{
		"prestart": {Prestart: hook}, "createRuntime": {CreateRuntime: hook}, "createContainer": {CreateContainer: hook}, "startContainer": {StartContainer: hook},
	} {
		b := newBox(t, "guest")
		b.o.Spec.Hooks = h
		if _, err := b.try(t.Context()); !errors.As(err, &unsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
	b := newBox(t, "guest")
	b.o.Spec.Hooks = &specs.Hooks{CreateRuntime: hook}
	sentinel := errors.New("no network today")
	b.o.RuntimeHooks = func(context.Context, int) error { return sentinel }
	if _, err := b.try(t.Context()); !errors.Is(err, sentinel) {
		t.Error(err)
	}
	noChildren(t)
}
