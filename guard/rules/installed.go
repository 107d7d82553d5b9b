package rules

import (
	"path"
	"slices"
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
)

// installation is what one step installs and no step takes away again.
type installation struct {
	where guard.Location
	names []string
}

// installed lists, step by step, the packages that are wanted and stay in the image.
func installed(s *guard.Subject, want func(name string) bool) []installation {
	var found []installation
	for i, step := range s.Steps {
		var names []string
		for _, p := range step.Installs {
			name := packageName(p)
			if want(name) && !removed(s.Steps[i:], name) && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
		if len(names) > 0 {
			found = append(found, installation{step.Where, names})
		}
	}
	return found
}

// packageName is a package without version, architecture and path: "nmap" of "nmap=7.94-r0".
func packageName(p string) string {
	p = strings.ToLower(p)
	if i := strings.IndexAny(p, "=<>~:@"); i > 0 {
		p = p[:i]
	}
	return path.Base(p)
}

// removed reports whether one of the steps takes a package or program away.
func removed(steps []guard.Step, name string) bool {
	return slices.ContainsFunc(steps, func(step guard.Step) bool {
		return slices.ContainsFunc(step.Removes, func(r string) bool { return packageName(r) == name })
	})
}
