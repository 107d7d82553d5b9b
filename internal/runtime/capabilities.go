package runtime

import (
	"fmt"
	"maps"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/linux/caps"
	"github.com/deckhand-engine/deckhand/internal/runtime/stage"
)

// addCaps plans the five sets as given. Names nobody knows are warnings, if there is somebody to warn, or
// else errors.
func addCaps(plan *stage.Plan, c *specs.LinuxCapabilities, warn func(string)) error {
	if c == nil {
		return nil
	}
	unknown := map[string]bool{}
	for _, set := range [...]struct {
		mask  *uint64
		names []string
	}{
		{&plan.Caps.Bounding, c.Bounding},
		{&plan.Caps.Effective, c.Effective},
		{&plan.Caps.Permitted, c.Permitted},
		{&plan.Caps.Inheritable, c.Inheritable},
		{&plan.Caps.Ambient, c.Ambient},
	} {
		mask, err := caps.Mask(set.names)
		if err != nil && warn != nil {
			mask, err = knownCaps(set.names, unknown)
		}
		if err != nil {
			return fmt.Errorf("process.capabilities: %w", err)
		}
		*set.mask = mask
	}
	for _, name := range slices.Sorted(maps.Keys(unknown)) {
		warn("process.capabilities: " + name + " is not known and left out")
	}
	return nil
}

// knownCaps is the mask of those names that are known; the others are added to unknown.
func knownCaps(names []string, unknown map[string]bool) (uint64, error) {
	known := slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		_, err := caps.Number(name)
		if err != nil {
			unknown[name] = true
		}
		return err != nil
	})
	return caps.Mask(known)
}

// withoutMissing leaves out what the caller itself does not have, and so cannot grant: where there is no
// user namespace, in which a container has them all. Without anybody to warn the kernel's refusal stands.
func withoutMissing(plan *stage.Plan, s *specs.Spec, warn func(string)) error {
	if _, user := namespace(s, specs.UserNamespace); user || warn == nil || plan.Caps == (stage.Caps{}) {
		return nil
	}
	var data [2]unix.CapUserData
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("read our capabilities: %w", err)
	}
	narrow(&plan.Caps, uint64(data[0].Permitted)|uint64(data[1].Permitted)<<32, warn)
	return nil
}

// narrow leaves the given capabilities of each set. The bounding set is one to take from: what is not in
// it already does not come into it.
func narrow(c *stage.Caps, have uint64, warn func(string)) {
	missing := (c.Effective | c.Permitted | c.Inheritable | c.Ambient) &^ have
	for _, set := range [...]*uint64{&c.Effective, &c.Permitted, &c.Inheritable, &c.Ambient} {
		*set &= have
	}
	for i, name := range caps.All() {
		if missing&(1<<i) != 0 {
			warn("process.capabilities: " + name + " cannot be granted, for want of it, and is left out")
		}
	}
}
