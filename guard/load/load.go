// Package load reads texts of every kind: it finds out what they are, and hands them to the loader of the kind.
package load

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/load/compose"
	"github.com/deckhand-engine/deckhand/guard/load/dockerfiles"
	"github.com/deckhand-engine/deckhand/guard/load/kube"
	"github.com/deckhand-engine/deckhand/guard/load/units"
)

// Texts reads texts for guard/check.
type Texts struct{}

// Kind finds out what a text is; empty: it is nothing that can be checked.
func (Texts) Kind(src guard.Source) guard.Kind {
	name := filepath.Base(src.Path)
	switch {
	case dockerfiles.Is(name, nil):
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

// Load reads the subjects of a text.
func (Texts) Load(ctx context.Context, src guard.Source, kind guard.Kind, env guard.Env) ([]*guard.Subject, error) {
	switch kind {
	case guard.KindDockerfile:
		return dockerfiles.Load(ctx, src, env)
	case guard.KindCompose:
		return compose.Load(ctx, src, env)
	case guard.KindKubernetes:
		return kube.Load(ctx, src, env)
	case guard.KindQuadlet, guard.KindUnit:
		return units.Load(ctx, src, env)
	case guard.KindImage, guard.KindContainer:
	}
	return nil, fmt.Errorf("read %s: a text is no %s", src.Path, kind)
}
