package bundle

import (
	"errors"
	"io/fs"
	"os"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Container is a container that was created.
type Container struct {
	root   *Root
	dir    string
	record record
	spec   *specs.Spec // nil: not read yet
}

// StatusPaused is the status of a container whose cgroup is frozen; runc's addition to the
// specification's.
const StatusPaused specs.ContainerState = "paused"

// State is a container's state, as runc prints it: the specification's and a few fields more.
type State struct {
	OCIVersion  string               `json:"ociVersion"`
	ID          string               `json:"id"`
	Pid         int                  `json:"pid"`
	Status      specs.ContainerState `json:"status"`
	Bundle      string               `json:"bundle"`
	Rootfs      string               `json:"rootfs"`
	Created     time.Time            `json:"created"`
	Annotations map[string]string    `json:"annotations,omitempty"`
	Owner       string               `json:"owner"`
	OwnerID     int                  `json:"-"`
}

// State works out what the container is doing.
func (c *Container) State() *State {
	s := c.state(c.Status())
	if s.Status == specs.StateStopped {
		s.Pid = 0
	}
	return s
}

func (c *Container) state(status specs.ContainerState) *State {
	r := &c.record
	return &State{
		OCIVersion: r.OCIVersion, ID: r.ID, Pid: r.Process.Pid, Status: status, Bundle: r.Bundle, Rootfs: r.Rootfs,
		Created: r.Created, Annotations: r.Annotations, OwnerID: r.Owner,
	}
}

// Status is the state's status alone.
func (c *Container) Status() specs.ContainerState {
	if c.record.Phase == phaseCreating {
		if _, err := os.Lstat(c.dir); err == nil && c.busy() {
			return specs.StateCreating
		}
		return specs.StateStopped // for good: its creator was killed
	}
	if !c.record.Process.alive() {
		return specs.StateStopped
	}
	if _, err := os.Lstat(c.path(gateName)); err == nil {
		return specs.StateCreated
	}
	if c.frozen() {
		return StatusPaused
	}
	return specs.StateRunning
}

// busy reports whether somebody holds the container's lock.
func (c *Container) busy() bool {
	l, err := tryAcquire(c.dir, unix.LOCK_SH)
	if err == nil {
		l.release()
	}
	return errors.Is(err, ErrBusy)
}

// gone reports whether the container was deleted.
func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrNotExist) }
