package store

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// Container is what is kept of a container in containers/<id>/container.json.
type Container struct {
	ID         string // 64 hex digits
	Name       string
	Image      string // the reference as given
	ImageID    string // sha256:…
	Layers     []string
	Created    time.Time
	Command    []string // resolved entrypoint + cmd, for ps
	Detached   bool
	AutoRemove bool
	Options    json.RawMessage // the engine's own record
}

// State is what is known of a container's process (containers/<id>/state.json, written atomically).
type State struct {
	Status            string // created, running, exited
	Pid               int    // host pid of the container's first process, 0 unless running
	StartTicks        uint64 // field 22 of /proc/pid/stat: tells a reused pid
	MonitorPid        int
	Started, Finished time.Time
	ExitCode          int
	Error             string
	User              string   // the resolved uid:gid
	Ports             []string // "0.0.0.0:8080->80/tcp"
	IP                string
	Extra             json.RawMessage
}

// ContainerDir holds the container's files: upper, work, config.json, log.json, hosts, resolv.conf …
type ContainerLock struct{}

// CreateContainer writes the record; the name is taken atomically (ErrConflict), the lock is held.
func (s *Store) CreateContainer(ctx context.Context, c *Container) (*ContainerLock, error) {
	return nil, errors.ErrUnsupported
}

// LockContainer takes the exclusive lock that the process watching a container holds while it runs.
// ErrInUse if another process holds it: that is what "running" means.
func (s *Store) LockContainer(id string) (*ContainerLock, error) { return nil, errors.ErrUnsupported }

// Unlock gives the lock back.
func (l *ContainerLock) Unlock() {}

// ContainerDir is the container's directory.
func (s *Store) ContainerDir(id string) string { return "" }

// Container finds by full id, name or unique id prefix. ErrNotFound.
func (s *Store) Container(nameOrID string) (*Container, error) { return nil, errors.ErrUnsupported }

// Containers lists all, newest first.
func (s *Store) Containers() ([]*Container, error) { return nil, errors.ErrUnsupported }

// State reads the state; a "running" state whose lock is free is reported as exited 137 (its watcher was killed).
func (s *Store) State(id string) (State, error) { return State{}, errors.ErrUnsupported }

// SetState writes it atomically.
func (s *Store) SetState(id string, st State) error { return errors.ErrUnsupported }

// RemoveContainer removes record, name and files. The caller holds the lock.
func (s *Store) RemoveContainer(id string) error { return errors.ErrUnsupported }

// DeadContainers are those marked live whose watcher has died: the engine clears their cgroups and, with
// AutoRemove, removes them. Cheap when there are none (one readdir).
func (s *Store) DeadContainers() ([]*Container, error) { return nil, errors.ErrUnsupported }
