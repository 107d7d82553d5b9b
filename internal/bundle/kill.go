package bundle

import (
	"errors"
	"fmt"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Kill sends a signal to the container's first process. ErrNotRunning where it has ended.
func (c *Container) Kill(sig unix.Signal) error {
	status := c.Status()
	if status == specs.StateStopped {
		return ErrNotRunning
	}
	if status == specs.StateCreating {
		return fmt.Errorf("cannot signal a container in the %s state", status)
	}
	err := c.signal(sig)
	if errors.Is(err, os.ErrProcessDone) {
		return ErrNotRunning
	}
	return err
}
