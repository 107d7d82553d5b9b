package dockerfiles

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/deckhand-engine/deckhand/dockerfile"
	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/load/images"
	"github.com/deckhand-engine/deckhand/guard/users"
)

// base is what a chain of stages begins with.
type base struct {
	name    string       // with variables expanded, or as written where that cannot be done
	image   *guard.Image // nil: scratch, or not known
	scratch bool
	why     string // why nothing is known of the image
	db      *users.DB
}

// defaultPath is what BuildKit sets where an image sets none.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// title names the base in messages.
func (a *base) title() string { return "base image " + a.name }

// findBase looks up what FROM names.
func (b *build) findBase(ctx context.Context, def *dockerfile.Stage, name dockerfile.Expansion) *base {
	a := &base{name: name.Value}
	if len(name.Empty) > 0 {
		a.name = def.Base
		a.why = "base image " + def.Base + " is not known: " + b.unsetInFrom(name.Empty[0])
		return a
	}
	if a.name == "scratch" {
		a.scratch = true
		return a
	}
	image, err := b.image(ctx, a.name)
	if err != nil {
		a.why = a.title() + " is not known: " + err.Error()
	}
	a.image = image
	return a
}

// unsetInFrom says why a variable of FROM has no value.
func (b *build) unsetInFrom(name string) string {
	if b.global.Declared(name) {
		return "build argument " + name + " has no value"
	}
	return "no ARG before the first FROM sets " + name
}

// image asks for an image.
func (b *build) image(ctx context.Context, name string) (*guard.Image, error) {
	if b.env.Images == nil {
		return nil, errNotLookedUp
	}
	image, err := b.env.Images.Image(ctx, name)
	if err == nil && image == nil {
		err = errNotLookedUp
	}
	return image, err
}

// takeImage begins a stage with what the base image's configuration says.
func (s *stage) takeImage(from guard.Location) {
	if s.base.scratch {
		s.workdir = "/"
		s.scope.Set("PATH", defaultPath)
	}
	if s.base.image == nil {
		return
	}
	config := &s.base.image.Config.Config
	path := false
	for _, v := range config.Env {
		name, value, _ := strings.Cut(v, "=")
		s.scope.Set(name, value)
		path = path || name == "PATH"
	}
	if !path {
		s.scope.Set("PATH", defaultPath)
	}
	s.workdir = joinPath("/", cmp.Or(config.WorkingDir, "/"))
	s.shell = config.Shell
	s.entrypoint = command{args: config.Entrypoint, where: from}
	s.cmd = command{args: config.Cmd, where: from}
	if config.User != "" {
		s.user = setting{set: true, spec: config.User, where: from, stage: -1, from: s.base.title()}
	}
	s.ports = exposedPorts(config.ExposedPorts, from)
}

func exposedPorts(exposed map[string]struct{}, from guard.Location) []guard.Port {
	var ports []guard.Port
	for spec := range exposed {
		number, protocol, _ := strings.Cut(spec, "/")
		if n, err := strconv.Atoi(number); err == nil {
			ports = append(ports, guard.Port{Number: n, Protocol: cmp.Or(protocol, "tcp"), Where: from})
		}
	}
	slices.SortFunc(ports, func(a, b guard.Port) int {
		return cmp.Or(cmp.Compare(a.Number, b.Number), cmp.Compare(a.Protocol, b.Protocol))
	})
	return ports
}

// users is the base's user database, to be changed by whoever asks.
func (a *base) users(ctx context.Context) *users.DB {
	if a.db == nil {
		switch {
		case a.image != nil:
			a.db = images.Users(ctx, a.image)
		case a.scratch:
			a.db = users.Parse(nil, nil)
		default:
			a.db = users.Unknown(a.why)
		}
	}
	return a.db.Clone()
}
