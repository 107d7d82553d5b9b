package store

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func create(t *testing.T, s *Store, c *Container) *ContainerLock {
	t.Helper()
	lock, err := s.CreateContainer(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(lock.Unlock)
	return lock
}

func TestContainers(t *testing.T) {
	s := openTest(t)
	web := &Container{
		Name: "web", Image: "nginx", ImageID: "sha256:1", Layers: []string{"ab"}, Created: testTime, Command: []string{"nginx"},
		Detached: true, AutoRemove: true, Options: json.RawMessage(`{"a":1}`),
	}
	create(t, s, web)
	if !isSHA256(web.ID) {
		t.Fatalf("id %q", web.ID)
	}
	other := &Container{ID: strings.Repeat("ab", 32)}
	create(t, s, other)
	for _, name := range []string{web.ID, web.ID[:12], "web", "/web"} {
		got, err := s.Container(name)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(web, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	for _, name := range []string{"we", "../web", "", "fedcba9876", strings.Repeat("f", 64)} {
		_, err := s.Container(name)
		wantError(t, err, ErrNotFound, "No such container: "+name)
	}
	all, err := s.Containers()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 2 || all[0].ID != other.ID || all[1].ID != web.ID {
		t.Errorf("not newest first: %v", all)
	}
	mustBeSound(t, s)
}

func TestContainerNames(t *testing.T) {
	s := openTest(t)
	for _, name := range []string{"../x", "a/b", ".a", "-a", "a", "a b", strings.Repeat("a", 300), "é"} {
		if _, err := s.CreateContainer(t.Context(), &Container{Name: name}); err == nil {
			t.Errorf("accepted %q", name)
		}
	}
	first := &Container{Name: "web"}
	create(t, s, first)
	_, err := s.CreateContainer(t.Context(), &Container{Name: "web"})
	wantError(t, err, ErrConflict, `The container name "/web" is already in use by container "`+first.ID+`"`)
	if err := s.RemoveContainer(first.ID); err != nil {
		t.Fatal(err)
	}
	second := &Container{Name: "web"}
	create(t, s, second)
	// A name that a killed process left is free.
	if err := os.Symlink(strings.Repeat("0", 64), s.path("names", "ghost")); err != nil {
		t.Fatal(err)
	}
	create(t, s, &Container{Name: "ghost"})
	mustBeSound(t, s)
}

func TestOneNameOneWinner(t *testing.T) {
	root := t.TempDir()
	var won atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			s := openAt(t, root)
			lock, err := s.CreateContainer(t.Context(), &Container{Name: "web"})
			switch {
			case err == nil:
				won.Add(1)
				lock.Unlock()
			case !errors.Is(err, ErrConflict):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d winners", won.Load())
	}
	s := openAt(t, root)
	if all, err := s.Containers(); err != nil || len(all) != 1 {
		t.Errorf("containers %v, %v", all, err)
	}
	mustBeSound(t, s)
}

func TestContainerLock(t *testing.T) {
	s := openTest(t)
	c := &Container{}
	lock := create(t, s, c)
	_, err := s.LockContainer(c.ID)
	wantError(t, err, ErrInUse)
	lock.Unlock()
	lock.Unlock()
	again, err := s.LockContainer(c.ID)
	if err != nil {
		t.Fatal(err)
	}
	// The lock survives in a process that inherited it.
	cmd := exec.CommandContext(t.Context(), "cat")
	cmd.ExtraFiles = []*os.File{again.File()}
	stdin, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	again.Unlock()
	if _, err := s.LockContainer(c.ID); !errors.Is(err, ErrInUse) {
		t.Errorf("got %v", err)
	}
	if err := errors.Join(stdin.Close(), cmd.Wait()); err != nil {
		t.Fatal(err)
	}
	last, err := s.LockContainer(c.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer last.Unlock()
	_, err = s.LockContainer(strings.Repeat("0", 64))
	wantError(t, err, ErrNotFound)
}

func TestState(t *testing.T) {
	s := openTest(t)
	c := &Container{}
	lock := create(t, s, c)
	if st, err := s.State(c.ID); err != nil || st.Status != StatusCreated {
		t.Errorf("got %+v, %v", st, err)
	}
	want := State{Status: StatusRunning, Pid: 7, StartTicks: 8, Started: testTime, User: "9000:9000", Ports: []string{"80"}}
	if err := s.SetState(c.ID, want); err != nil {
		t.Fatal(err)
	}
	got, err := s.State(c.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if dead, err := s.DeadContainers(); err != nil || len(dead) > 0 {
		t.Errorf("dead: %v, %v", dead, err)
	}
	lock.Unlock() // as when its watcher is killed
	if got, err := s.State(c.ID); err != nil || got.Status != StatusExited || got.ExitCode != 137 || got.Pid != 0 {
		t.Errorf("got %+v, %v", got, err)
	}
	dead, err := s.DeadContainers()
	if err != nil || len(dead) != 1 || dead[0].ID != c.ID {
		t.Errorf("dead: %v, %v", dead, err)
	}
	if err := s.SetState(c.ID, State{Status: StatusExited, ExitCode: 3}); err != nil {
		t.Fatal(err)
	}
	if got, err := s.State(c.ID); err != nil || got.ExitCode != 3 {
		t.Errorf("got %+v, %v", got, err)
	}
	if dead, err := s.DeadContainers(); err != nil || len(dead) > 0 {
		t.Errorf("dead after its end was recorded: %v, %v", dead, err)
	}
	if _, err := s.State(strings.Repeat("0", 64)); !errors.Is(err, ErrNotFound) {
		t.Errorf("unknown container: %v", err)
	}
}

func TestRemoveContainer(t *testing.T) {
	s := openTest(t)
	c := &Container{Name: "web"}
	create(t, s, c)
	deep := filepath.Join(s.ContainerDir(c.ID), "upper", "a", "b")
	if err := errors.Join(os.MkdirAll(deep, 0o700), os.WriteFile(deep+"/f", nil, 0o600), os.Symlink("/", deep+"/l")); err != nil {
		t.Fatal(err)
	}
	if err := s.RemoveContainer(c.ID); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"containers", "names", "live"} {
		if names, err := readNames(s.path(dir)); err != nil || len(names) > 0 {
			t.Errorf("left in %s: %v, %v", dir, names, err)
		}
	}
	wantError(t, s.RemoveContainer(c.ID), ErrNotFound)
	mustBeSound(t, s)
}

// What a process killed while it made or removed a container leaves, is not seen and goes away.
func TestHalfContainers(t *testing.T) {
	s := openTest(t)
	id := strings.Repeat("ab", 32)
	if err := errors.Join(touch(s.path("live", id)), os.Mkdir(s.ContainerDir(id), 0o700),
		touch(s.path("containers", id, "lock")), touch(s.path("containers", id, "container.new")),
		touch(s.path("live", strings.Repeat("cd", 32)))); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Container("abab"); !errors.Is(err, ErrNotFound) {
		t.Errorf("by prefix: %v", err)
	}
	if all, err := s.Containers(); err != nil || len(all) > 0 {
		t.Errorf("containers %v, %v", all, err)
	}
	if dead, err := s.DeadContainers(); err != nil || len(dead) > 0 {
		t.Errorf("dead: %v, %v", dead, err)
	}
	for _, dir := range []string{"containers", "live"} {
		if names, err := readNames(s.path(dir)); err != nil || len(names) > 0 {
			t.Errorf("left in %s: %v, %v", dir, names, err)
		}
	}
}
