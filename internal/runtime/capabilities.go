package runtime

import (
	"fmt"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"

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
	for _, name := range sortedKeys(unknown) {
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

func sortedKeys(set map[string]bool) []string {
	keys := make([]string, 0, len(set))
	for k := range set {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
