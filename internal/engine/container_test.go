package engine

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/deckhand-engine/deckhand/internal/runtime"
	"github.com/deckhand-engine/deckhand/internal/store"
)

func create(t *testing.T, e *Engine, rec *store.Container, cfg Config) *Container {
	t.Helper()
	rec.ID = NewID()
	c, err := e.Create(t.Context(), rec, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCreateNames(t *testing.T) {
	e := newEngine(t)
	first := create(t, e, &store.Container{}, Config{User: "app", StopSeconds: 3})
	defer first.Close()
	if first.Record.Name == "" {
		t.Error("no name was chosen")
	}
	_, err := e.Create(t.Context(), &store.Container{ID: NewID(), Name: first.Record.Name}, Config{})
	if !errors.Is(err, store.ErrConflict) {
		t.Errorf("a taken name: %v", err)
	}
	rec, err := e.Store.Container(first.Record.Name)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := ConfigOf(rec)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Config{User: "app", StopSeconds: 3}, cfg); diff != "" {
		t.Error(diff)
	}
}

func TestOpenStopped(t *testing.T) {
	e := newEngine(t)
	c := create(t, e, &store.Container{Name: "held"}, Config{})
	if err := e.Store.SetState(c.Record.ID, store.State{Status: StatusRunning}); err != nil {
		t.Fatal(err)
	}
	if _, err := e.OpenStopped(t.Context(), c.Record); !errors.Is(err, store.ErrInUse) {
		t.Errorf("a running container: %v", err)
	}
	if err := e.Store.SetState(c.Record.ID, store.State{Status: StatusExited}); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(20*time.Millisecond, c.Close) // its watcher is about to end
	again, err := e.OpenStopped(t.Context(), c.Record)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Store.Container("held"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("after its removal: %v", err)
	}
}

// What does not start leaves nothing; a command that is not there leaves a container as docker does.
func TestAbandon(t *testing.T) {
	e := newEngine(t)
	missing := &runtime.CommandError{Code: 127, Path: "x", Err: errors.New(`exec: "x": not found`)}
	tests := map[string]struct {
		rec   store.Container
		cause error
		kept  bool
	}{
		"engine's error":               {cause: errors.New("no")},
		"missing command":              {cause: missing, kept: true},
		"missing command, with --rm":   {rec: store.Container{AutoRemove: true}, cause: missing},
		"missing command, wrapped too": {cause: errors.Join(missing), kept: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := create(t, e, &tt.rec, Config{})
			if err := c.Abandon(tt.cause); err != nil {
				t.Fatal(err)
			}
			st, err := e.Store.State(c.Record.ID)
			if !tt.kept {
				if _, err := os.Stat(c.Dir()); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("left behind: %v", err)
				}
				return
			}
			if err != nil || st.Status != StatusCreated || st.ExitCode != 127 || st.Error == "" {
				t.Errorf("%+v, %v", st, err)
			}
		})
	}
}

// A container that is removed at its end waits until those who wait for its exit code have read it.
func TestExitCodeOfRemoved(t *testing.T) {
	e := newEngine(t)
	c := create(t, e, &store.Container{AutoRemove: true}, Config{})
	if err := e.Store.SetState(c.Record.ID, store.State{Status: StatusRunning}); err != nil {
		t.Fatal(err)
	}
	codes := make(chan int)
	for range 3 {
		go func() {
			code, err := e.ExitCode(t.Context(), c.Record.ID)
			if err != nil {
				t.Error(err)
			}
			codes <- code
		}()
	}
	waitFor(t, func() bool {
		f, err := os.Open(filepath.Join(c.Dir(), waitersName))
		if err != nil {
			return false
		}
		defer f.Close()
		time.Sleep(50 * time.Millisecond) // let all three lock it
		return true
	})
	c.state = store.State{Status: StatusExited, ExitCode: 8}
	if err := errors.Join(c.announce(), c.Remove()); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if code := <-codes; code != 8 {
			t.Errorf("code %d", code)
		}
	}
	if _, err := e.ExitCode(t.Context(), c.Record.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("afterwards: %v", err)
	}
}

func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	for range 200 {
		if ok() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("it did not happen in a second")
}

func TestStopNotRunning(t *testing.T) {
	e := newEngine(t)
	c := create(t, e, &store.Container{Name: "idle"}, Config{})
	c.Close()
	if err := e.Stop(t.Context(), c.Record, 15, time.Second); err != nil {
		t.Errorf("stop: %v", err)
	}
	if err := e.Signal(c.Record, 15); !errors.Is(err, ErrNotRunning) {
		t.Errorf("signal: %v", err)
	}
	if _, err := e.Exec(t.Context(), c.Record, ExecOptions{Args: []string{"true"}}); !errors.Is(err, ErrNotRunning) {
		t.Errorf("exec: %v", err)
	}
}
