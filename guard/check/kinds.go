package check

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
)

// TextKinds are the kinds of texts, as --kind names them.
func TextKinds() []guard.Kind {
	return []guard.Kind{
		guard.KindDockerfile, guard.KindCompose, guard.KindKubernetes, guard.KindQuadlet, guard.KindUnit,
	}
}

// kindOf finds out what a text is; empty: it is nothing that can be checked.
func (c *Checker) kindOf(src guard.Source) guard.Kind {
	if c.Texts == nil {
		return ""
	}
	return c.Texts.Kind(src)
}

// dockerfileName reports whether the name alone says that a file is a Dockerfile.
func (c *Checker) dockerfileName(name string) bool {
	return c.kindOf(guard.Source{Path: name}) == guard.KindDockerfile
}

// candidate reports whether a walk looks into a file of that name.
func (c *Checker) candidate(name string) bool {
	return c.dockerfileName(name) || slices.Contains(suffixes(), strings.ToLower(filepath.Ext(name)))
}

// suffixes are those of manifests and units.
func suffixes() []string {
	return []string{".yaml", ".yml", ".json", ".service", ".container", ".pod", ".kube"}
}

// isTemplate reports whether a manifest waits for Helm or the like to fill it in.
func (c *Checker) isTemplate(src guard.Source) bool {
	return !c.dockerfileName(src.Path) && bytes.Contains(src.Data, []byte("{{"))
}
