package engine

import (
	"errors"
	"os"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/deckhand-engine/deckhand/internal/linux/cgroup"
	"github.com/deckhand-engine/deckhand/oci"
)

// ErrNoGroup is returned where a container's processes could outlive it, and there is no cgroup to find them by.
var ErrNoGroup = errors.New("--pid of the host or of another container needs a cgroup, by which what the container leaves behind is ended")

// checkShared: the end of a pid namespace ends all that is in it, but one that is shared does not end with the container.
func checkShared(opts *oci.SpecOptions, group *cgroup.Group) error {
	if _, shared := opts.SharedNamespace(specs.PIDNamespace); shared && group.Path == "" {
		return ErrNoGroup
	}
	return nil
}

// dropMissing leaves out what the host does not have of a namespace that it lends.
func dropMissing(s *specs.Spec, shared []specs.LinuxNamespace) {
	if len(shared) == 0 {
		return
	}
	s.Mounts = slices.DeleteFunc(s.Mounts, func(m specs.Mount) bool {
		if m.Type != "bind" || m.Source != "/dev/mqueue" || m.Destination != m.Source {
			return false
		}
		_, err := os.Stat(m.Source)
		return errors.Is(err, os.ErrNotExist)
	})
}
