package store

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/need"
)

// ranContainer makes a container as it looks after a run that wrote nothing.
func ranContainer(t *testing.T, s *Store) (id string, lock *ContainerLock) {
	t.Helper()
	c := &Container{AutoRemove: true}
	lock, err := s.CreateContainer(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	dir := s.ContainerDir(c.ID)
	for _, d := range []string{"upper", "work", "work/work", "work/work/incompat"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil && !os.IsExist(err) {
			t.Fatal(err)
		}
	}
	for _, f := range []string{"hosts", "hostname", "resolv.conf", "work/work/incompat/dirty"} {
		if err := os.WriteFile(filepath.Join(dir, f), []byte("content"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.SetState(c.ID, State{Status: StatusRunning, Pid: 1}); err != nil {
		t.Fatal(err)
	}
	return c.ID, lock
}

func spares(t *testing.T, s *Store) int {
	t.Helper()
	names, err := readNames(s.path(spareDir))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return len(names)
}

func TestRecycle(t *testing.T) {
	need.Root(t)
	s, err := Open(filepath.Join(t.TempDir(), "data"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	old, lock := ranContainer(t, s)
	if err := s.RecycleContainer(old); err != nil {
		t.Fatal(err)
	}
	if n := spares(t, s); n != 1 {
		t.Fatalf("%d spares", n)
	}
	if _, err := s.Container(old); err == nil {
		t.Error("the old container is still there")
	}
	// Its lock is held for a moment longer; the next container must not mind.
	time.Sleep(2 * spareAge)
	c := &Container{}
	next, err := s.CreateContainer(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if n := spares(t, s); n != 0 {
		t.Errorf("%d spares: it was not taken", n)
	}
	lock.Unlock()
	if _, err := s.LockContainer(c.ID); err == nil {
		t.Error("the next container's lock is not held")
	}
	next.Unlock()
	if st, err := s.State(c.ID); err != nil || st.Status != StatusCreated || st.Pid != 0 {
		t.Errorf("its state is the old one's: %+v, %v", st, err)
	}
	if _, err := os.Stat(filepath.Join(s.ContainerDir(c.ID), "work/work")); !os.IsNotExist(err) {
		t.Errorf("overlayfs's directory: %v", err)
	}
	if dead, err := s.DeadContainers(); err != nil || len(dead) != 1 || dead[0].ID != c.ID {
		t.Errorf("marked live: %v, %v", dead, err)
	}
}

// A directory that tells anything of its container is removed.
func TestRecycleNot(t *testing.T) {
	need.Root(t)
	tests := map[string]func(dir string) error{
		"a file":                   func(d string) error { return os.WriteFile(d+"/upper/f", nil, 0o644) },
		"a removed file":           func(d string) error { return unix.Mknod(d+"/upper/f", unix.S_IFCHR, 0) },
		"another owner":            func(d string) error { return os.Chown(d+"/upper", 5, 0) },
		"another mode":             func(d string) error { return os.Chmod(d+"/upper", 0o777) },
		"an attribute":             func(d string) error { return unix.Setxattr(d+"/upper", "trusted.x", []byte("y"), 0) },
		"another owner of a file":  func(d string) error { return os.Chown(d+"/hosts", 0, 7) },
		"another mode of a file":   func(d string) error { return os.Chmod(d+"/resolv.conf", 0o666) },
		"an attribute of a file":   func(d string) error { return unix.Setxattr(d+"/hostname", "trusted.x", []byte("y"), 0) },
		"a symlink for a file":     func(d string) error { return replace(d+"/hosts", "/etc/passwd") },
		"a log":                    func(d string) error { return os.WriteFile(d+"/log.json", nil, 0o644) },
		"somebody who waits":       func(d string) error { return os.WriteFile(d+"/waiters", nil, 0o644) },
		"a volume":                 func(d string) error { return os.Mkdir(d+"/volumes", 0o755) },
		"an upper that is no such": func(d string) error { return replace(d+"/upper", "/etc") },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			s, err := Open(filepath.Join(t.TempDir(), "data"), Options{})
			if err != nil {
				t.Fatal(err)
			}
			id, lock := ranContainer(t, s)
			defer lock.Unlock()
			if err := change(s.ContainerDir(id)); err != nil {
				t.Fatal(err)
			}
			if err := s.RecycleContainer(id); err != nil {
				t.Fatal(err)
			}
			if n := spares(t, s); n != 0 {
				t.Errorf("%d spares", n)
			}
			if _, err := os.Lstat(s.ContainerDir(id)); !os.IsNotExist(err) {
				t.Errorf("the directory is still there: %v", err)
			}
		})
	}
}

func replace(path, target string) error {
	if err := os.RemoveAll(path); err != nil {
		return err
	}
	return os.Symlink(target, path)
}

func TestSparesAreBounded(t *testing.T) {
	need.Root(t)
	s, err := Open(filepath.Join(t.TempDir(), "data"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for range maxSpares + 3 {
		id, lock := ranContainer(t, s)
		defer lock.Unlock()
		ids = append(ids, id)
	}
	for _, id := range ids {
		if err := s.RecycleContainer(id); err != nil {
			t.Fatal(err)
		}
	}
	if n := spares(t, s); n != maxSpares {
		t.Errorf("%d spares, want %d", n, maxSpares)
	}
	if left, err := readNames(s.path("containers")); err != nil || len(left) > 0 {
		t.Errorf("%v, %v", left, err)
	}
}
