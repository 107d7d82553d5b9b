package bundle

import "errors"

// The messages are runc's: containerd, conmon and podman look for some of them.
var (
	// ErrNotExist says that no container has the id.
	ErrNotExist = errors.New("container does not exist")
	// ErrExist says that a container has it already.
	ErrExist = errors.New("container with given ID already exists")
	// ErrBadID says that no container can have it.
	ErrBadID = errors.New("invalid container ID format")
	// ErrNoID says that there is none.
	ErrNoID = errors.New("container ID must not be empty")
	// ErrNotRunning says that the container's first process has ended.
	ErrNotRunning = errors.New("container not running")
	// ErrNotPaused says that there is nothing to resume.
	ErrNotPaused = errors.New("container not paused")
	// ErrBusy says that another process has been making, starting or deleting the container for long.
	ErrBusy = errors.New("container is being changed by another process")
)
