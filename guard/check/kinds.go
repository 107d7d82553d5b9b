package check

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/load/compose"
	"github.com/deckhand-engine/deckhand/guard/load/dockerfiles"
	"github.com/deckhand-engine/deckhand/guard/load/kube"
	"github.com/deckhand-engine/deckhand/guard/load/units"
)

// TextKinds are the kinds of texts, as --kind names them.
func TextKinds() []guard.Kind {
	return []guard.Kind{
		guard.KindDockerfile, guard.KindCompose, guard.KindKubernetes, guard.KindQuadlet, guard.KindUnit,
	}
}

// KindOf finds out what a text is; empty: it is nothing that can be checked.
func KindOf(src guard.Source) guard.Kind {
	name := filepath.Base(src.Path)
	switch {
	case dockerfileName(name):
		return guard.KindDockerfile
	case units.Is(name, src.Data):
		if strings.HasSuffix(name, ".service") {
			return guard.KindUnit
		}
		return guard.KindQuadlet
	case compose.Is(name, src.Data):
		return guard.KindCompose
	case kube.Is(name, src.Data):
		return guard.KindKubernetes
	case dockerfiles.Is(name, src.Data):
		return guard.KindDockerfile
	}
	return ""
}

// dockerfileName reports whether the name alone says that a file is a Dockerfile.
func dockerfileName(name string) bool { return dockerfiles.Is(name, nil) }

// candidate reports whether a walk looks into a file of that name.
func candidate(name string) bool {
	return dockerfileName(name) || slices.Contains(suffixes(), strings.ToLower(filepath.Ext(name)))
}

// suffixes are those of manifests and units.
func suffixes() []string {
	return []string{".yaml", ".yml", ".json", ".service", ".container", ".pod", ".kube"}
}

// isTemplate reports whether a manifest waits for Helm or the like to fill it in.
func isTemplate(src guard.Source) bool {
	return !dockerfileName(filepath.Base(src.Path)) && bytes.Contains(src.Data, []byte("{{"))
}
