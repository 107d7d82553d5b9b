package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/ref"
)

const containersLock = "containers"

// Container is what is kept of a container in containers/<id>/container.json.
type Container struct {
	ID         string // 64 hex digits; CreateContainer makes one if empty
	Name       string
	Image      string // the reference as given
	ImageID    string // sha256:…
	Layers     []string
	Created    time.Time
	Command    []string // resolved entrypoint + cmd, for ps
	Detached   bool
	AutoRemove bool
	Options    json.RawMessage `json:",omitempty"` // the engine's own record
}

// State is what is known of a container's process (containers/<id>/state.json, written atomically).
type State struct {
	Status            string // created, running, exited
	Pid               int    // host pid of the container's first process, 0 unless running
	StartTicks        uint64 // field 22 of /proc/pid/stat: tells a reused pid
	MonitorPid        int
	Started, Finished time.Time
	ExitCode          int
	OOMKilled         bool `json:",omitempty"` // the kernel killed a process of it for want of memory
	Error             string
	User              string   // the resolved uid:gid
	Ports             []string // "0.0.0.0:8080->80/tcp"
	IP                string
	Extra             json.RawMessage `json:",omitempty"`
}

// The values of State.Status.
const (
	StatusCreated = "created"
	StatusRunning = "running"
	StatusExited  = "exited"
)

// exitKilled is the exit code of a container whose end nobody saw: SIGKILL's.
const exitKilled = 137

// ContainerLock is the exclusive lock of the process that watches a container.
type ContainerLock struct {
	f    *os.File
	once sync.Once
}

// Unlock gives the lock back; safe to call twice.
func (l *ContainerLock) Unlock() { l.once.Do(func() { unlock(l.f) }) }

// File is the locked file: a process that inherits it (exec.Cmd.ExtraFiles) shares the lock, which ends
// when the last of them has closed it.
func (l *ContainerLock) File() *os.File { return l.f }

// CreateContainer writes the record; the name is taken atomically (ErrConflict), the lock is held.
func (s *Store) CreateContainer(ctx context.Context, c *Container) (*ContainerLock, error) {
	if c.ID == "" {
		c.ID = randomHex(32)
	}
	if c.Created.IsZero() {
		c.Created = s.now()
	}
	if err := checkContainer(c); err != nil {
		return nil, err
	}
	guard, err := s.lock(ctx, containersLock, unix.LOCK_EX)
	if err != nil {
		return nil, err
	}
	defer unlock(guard)
	lock, err := s.makeContainer(c)
	if err != nil {
		return nil, fmt.Errorf("create container: %w", err)
	}
	return lock, nil
}

func checkContainer(c *Container) error {
	if !isSHA256(c.ID) {
		return fmt.Errorf("create container: id %q is not 64 hex digits", c.ID)
	}
	if c.Name != "" && !ref.ValidName(c.Name) {
		return fmt.Errorf("invalid container name (%s), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed", c.Name)
	}
	return nil
}

// makeContainer makes the directory. Killed anywhere it leaves a marker and a directory without a record,
// which nobody sees and DeadContainers removes.
func (s *Store) makeContainer(c *Container) (*ContainerLock, error) {
	data, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	dir := s.ContainerDir(c.ID)
	if err := touch(s.path("live", c.ID)); err != nil {
		return nil, err
	}
	if !s.takeSpare(dir) {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return nil, err
		}
	}
	lock, err := fillContainer(dir, data)
	if err == nil && c.Name != "" {
		err = s.takeName(c)
	}
	if err == nil {
		err = os.Rename(dir+"/container.new", dir+"/container.json")
	}
	if err == nil {
		return lock, nil
	}
	if lock != nil {
		lock.Unlock()
	}
	_ = os.RemoveAll(dir)               // if it stays, DeadContainers removes it
	_ = os.Remove(s.path("live", c.ID)) // likewise
	return nil, err
}

func fillContainer(dir string, record []byte) (*ContainerLock, error) {
	f, err := newLock(dir + "/lock")
	if err != nil {
		return nil, err
	}
	return &ContainerLock{f: f}, writeNew(dir+"/container.new", record)
}

// newLock makes and locks a lock file. One that came with a spare may still be locked by the process that
// retired it: then it is replaced.
func newLock(path string) (*os.File, error) {
	for {
		f, err := open(path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		err = lockOFD(f)
		if err == nil {
			return f, nil
		}
		_ = f.Close() // not locked
		if !errors.Is(err, errBusy) {
			return nil, err
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
}

// takeName links the name to the id. A name whose container is gone was left by a killed process.
func (s *Store) takeName(c *Container) error {
	link := s.path("names", c.Name)
	err := os.Symlink(c.ID, link)
	if !errors.Is(err, os.ErrExist) {
		return err
	}
	owner, err := os.Readlink(link)
	if err != nil {
		return fmt.Errorf("read container name: %w", err)
	}
	if s.hasContainer(owner) {
		return problemf(ErrConflict, "Conflict. The container name %q is already in use by container %q. "+
			"You have to remove (or rename) that container to be able to reuse that name.", "/"+c.Name, owner)
	}
	if err := os.Remove(link); err != nil {
		return fmt.Errorf("replace container name: %w", err)
	}
	return os.Symlink(c.ID, link)
}

// LockContainer takes the exclusive lock that the process watching a container holds while it runs.
// ErrInUse if another process holds it: that is what "running" means.
func (s *Store) LockContainer(id string) (*ContainerLock, error) {
	f, err := open(s.path("containers", id, "lock"), os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, noSuchContainer(id)
	}
	if err != nil {
		return nil, fmt.Errorf("lock container: %w", err)
	}
	if err := lockOFD(f); err != nil {
		_ = f.Close() // not locked
		if errors.Is(err, errBusy) {
			return nil, problemf(ErrInUse, "container %s is running", id)
		}
		return nil, fmt.Errorf("lock container: %w", err)
	}
	if !s.hasContainer(id) {
		_ = f.Close() // removed between open and lock
		return nil, noSuchContainer(id)
	}
	return &ContainerLock{f: f}, nil
}

// lockOFD locks like flock, but lets others ask who holds the lock without taking it.
func lockOFD(f *os.File) error {
	how := unix.Flock_t{Type: unix.F_WRLCK}
	err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &how)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		return errBusy
	}
	return err
}

// Watched reports whether some process holds the container's lock. It does not take the lock to find out.
func (s *Store) Watched(id string) bool {
	f, err := open(s.path("containers", id, "lock"), os.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }() // only asked
	how := unix.Flock_t{Type: unix.F_WRLCK}
	err = unix.FcntlFlock(f.Fd(), unix.F_OFD_GETLK, &how)
	return err == nil && how.Type != unix.F_UNLCK
}

// ContainerDir is the container's directory. It holds the container's files: upper, work, config.json,
// log.json, hosts, resolv.conf …
func (s *Store) ContainerDir(id string) string { return s.path("containers", id) }

func noSuchContainer(nameOrID string) error {
	return problemf(ErrNotFound, "No such container: %s", nameOrID)
}

// Container finds by full id, name or unique id prefix. ErrNotFound, ErrAmbiguous.
func (s *Store) Container(nameOrID string) (*Container, error) {
	if isSHA256(nameOrID) {
		if c, err := s.readContainer(nameOrID); !errors.Is(err, ErrNotFound) {
			return c, err
		}
	}
	name := strings.TrimPrefix(nameOrID, "/") // docker's form of a name
	if ref.ValidName(name) {
		if id, err := os.Readlink(s.path("names", name)); err == nil {
			if c, err := s.readContainer(id); !errors.Is(err, ErrNotFound) {
				return c, err
			}
		}
	}
	if !isHex(nameOrID) {
		return nil, noSuchContainer(nameOrID)
	}
	return s.containerByPrefix(nameOrID)
}

func (s *Store) containerByPrefix(prefix string) (*Container, error) {
	ids, err := readNames(s.path("containers"))
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	found := ""
	for _, id := range ids {
		if !strings.HasPrefix(id, prefix) || !s.hasContainer(id) {
			continue
		}
		if found != "" {
			return nil, problemf(ErrAmbiguous, "multiple IDs found with provided prefix: %s", prefix)
		}
		found = id
	}
	if found == "" {
		return nil, noSuchContainer(prefix)
	}
	return s.readContainer(found)
}

// hasContainer: the record is what makes a directory a container.
func (s *Store) hasContainer(id string) bool {
	var st unix.Stat_t
	return unix.Lstat(s.path("containers", id, "container.json"), &st) == nil
}

func (s *Store) readContainer(id string) (*Container, error) {
	var c Container
	err := readJSON(s.path("containers", id, "container.json"), &c)
	if errors.Is(err, os.ErrNotExist) {
		return nil, noSuchContainer(id)
	}
	if err != nil {
		return nil, err
	}
	return &c, nil
}

// Containers lists all, newest first. Damaged records are logged and left out.
func (s *Store) Containers() ([]*Container, error) {
	ids, err := readNames(s.path("containers"))
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	var all []*Container
	for _, id := range ids {
		c, err := s.readContainer(id)
		if err != nil {
			if !errors.Is(err, ErrNotFound) {
				s.log.Warn("cannot read container", "error", err)
			}
			continue
		}
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b *Container) int {
		if c := b.Created.Compare(a.Created); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return all, nil
}

// State reads the state; a "running" state whose lock is free is reported as exited 137 (its watcher was killed).
func (s *Store) State(id string) (State, error) {
	var st State
	err := readJSON(s.path("containers", id, "state.json"), &st)
	if errors.Is(err, os.ErrNotExist) {
		if _, err := s.readContainer(id); err != nil {
			return State{}, err
		}
		return State{Status: StatusCreated}, nil
	}
	if err != nil {
		return State{}, err
	}
	if st.Status == StatusRunning && !s.Watched(id) {
		st.Status, st.Pid, st.MonitorPid, st.ExitCode = StatusExited, 0, 0, exitKilled
	}
	return st, nil
}

// SetState writes it atomically. An exited container stops being one that DeadContainers looks at.
func (s *Store) SetState(id string, st State) error {
	path := s.path("containers", id, "state.json")
	data, err := json.Marshal(st)
	if err != nil {
		return fmt.Errorf("set state: %w", err)
	}
	if st.Status != StatusExited {
		if err := touch(s.path("live", id)); err != nil {
			return fmt.Errorf("set state: %w", err)
		}
	}
	// Written beside the old one: one directory, and the container's watcher is the only writer.
	if err := writeNew(path+".new", data); err != nil {
		return fmt.Errorf("set state: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("set state: %w", err)
	}
	if st.Status == StatusExited {
		return removeFile(s.path("live", id))
	}
	return nil
}

// RemoveContainer removes record, name and files. The caller holds the lock.
func (s *Store) RemoveContainer(id string) error {
	c, err := s.readContainer(id)
	if err != nil && !errors.Is(err, ErrCorrupt) {
		return err
	}
	if err := s.hideContainer(id, c); err != nil {
		return fmt.Errorf("remove container: %w", err)
	}
	return s.dropContainer(id)
}

// hideContainer takes the container out of sight. The marker leads to what is left, should we be killed.
func (s *Store) hideContainer(id string, c *Container) error {
	guard, err := s.lockNow(containersLock)
	if err != nil {
		return err
	}
	defer unlock(guard)
	if err := touch(s.path("live", id)); err != nil {
		return err
	}
	record := s.path("containers", id, "container.json")
	err = os.Rename(record, strings.TrimSuffix(record, ".json")+".new")
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if c == nil || c.Name == "" {
		return nil
	}
	link := s.path("names", c.Name)
	if owner, err := os.Readlink(link); err != nil || owner != id {
		return nil
	}
	return removeFile(link)
}

// dropContainer removes a hidden container's files, and the marker last.
func (s *Store) dropContainer(id string) error {
	if err := os.RemoveAll(s.ContainerDir(id)); err != nil {
		return fmt.Errorf("remove container: %w", err)
	}
	return removeFile(s.path("live", id))
}

// DeadContainers are those marked live whose watcher has died: the engine clears their cgroups and, with
// AutoRemove, removes them. Cheap when there are none (one readdir).
func (s *Store) DeadContainers() ([]*Container, error) {
	ids, err := readNames(s.path("live"))
	if err != nil {
		return nil, fmt.Errorf("list live containers: %w", err)
	}
	var dead []*Container
	for _, id := range ids {
		if s.Watched(id) {
			continue
		}
		c, err := s.readContainer(id)
		if errors.Is(err, ErrNotFound) {
			s.clearMarker(id)
			continue
		}
		if err != nil {
			s.log.Warn("cannot read container", "error", err)
			continue
		}
		dead = append(dead, c)
	}
	return dead, nil
}

// clearMarker removes what a killed process left of a container without record. Under the lock, because
// one that is being created looks the same for a moment.
func (s *Store) clearMarker(id string) {
	guard, err := s.lockNow(containersLock)
	if err != nil {
		return
	}
	defer unlock(guard)
	if !isSHA256(id) || s.hasContainer(id) || s.Watched(id) {
		return
	}
	if err := s.dropContainer(id); err != nil {
		s.log.Warn("cannot remove what is left of a container", "error", err)
	}
}
