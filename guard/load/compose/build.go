package compose

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/load/dockerfiles"
	"github.com/deckhand-engine/deckhand/guard/load/overlay"
)

// built takes from the Dockerfile of a service what the service starts and as whom. The Dockerfile's other faults
// are its own.
func (c *container) built(ctx context.Context, env guard.Env, b *types.BuildConfig, s *guard.Subject) {
	src, err := c.dockerfile(b)
	s.Build = src.Path
	var image *guard.Subject
	if err == nil {
		image, err = c.image(ctx, env, b, src)
	}
	if err != nil {
		c.start(ctx, overlay.Image{Why: fmt.Sprintf("the image is built, and %v", err)}, s)
		return
	}
	s.User, s.Drop, s.Command = image.User, image.Drop, image.Command
	if c.spec.User != "" && !plain(c.spec.User) {
		s.User = overlay.Image{Why: "it is no name"}.Replaced(ctx, c.spec.User)
	}
	if c.spec.User == "" {
		s.User.Inherited = true
		s.User.From = cmp.Or(s.User.From, src.Path)
	}
	declared := map[guard.Port]bool{}
	for _, p := range s.Ports {
		declared[guard.Port{Number: p.Number, Protocol: p.Protocol}] = true
	}
	for _, p := range image.Ports {
		if p.Where = s.ImageAt; !declared[guard.Port{Number: p.Number, Protocol: p.Protocol}] {
			s.Ports = append(s.Ports, p)
		}
	}
}

// image is the subject of the Dockerfile, with what the service replaces.
func (c *container) image(ctx context.Context, env guard.Env, b *types.BuildConfig, src guard.Source) (*guard.Subject, error) {
	args := map[string]string{}
	for name, value := range b.Args {
		if value != nil {
			args[name] = *value
		}
	}
	data, err := c.overlaid(b.Target, src.Data)
	if err != nil {
		return nil, err
	}
	subjects, err := dockerfiles.Load(ctx, guard.Source{Path: src.Path, File: src.File, Data: data}, guard.Env{
		Images: env.Images, Args: args, Target: overlayTarget(b.Target, len(data) > len(src.Data)),
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", src.Path, err)
	case len(subjects) == 0:
		return nil, fmt.Errorf("%s builds nothing", src.Path)
	}
	return subjects[len(subjects)-1], nil
}

// overlayTarget is the stage to follow: the one of overlaid, if there is one.
func overlayTarget(target string, overlaid bool) string {
	if overlaid {
		return ""
	}
	return target
}

// overlaid is the Dockerfile with what the service replaces as the last instructions of the stage that is built, so
// that names are resolved by the users that the stage has.
func (c *container) overlaid(target string, data []byte) ([]byte, error) {
	var lines []string
	if u := c.spec.User; u != "" && plain(u) {
		lines = append(lines, "USER "+u)
	}
	command := c.spec.Command
	if c.spec.Entrypoint != nil {
		entrypoint, err := json.Marshal(c.spec.Entrypoint)
		if err != nil {
			return nil, err
		}
		lines = append(lines, "ENTRYPOINT "+string(entrypoint))
		if command == nil {
			command = []string{}
		}
	}
	if command != nil {
		words, err := json.Marshal(command)
		if err != nil {
			return nil, err
		}
		lines = append(lines, "CMD "+string(words))
	}
	if len(lines) == 0 {
		return data, nil
	}
	if target != "" {
		lines = append([]string{"FROM " + target}, lines...)
	}
	return append(append(bytes.Clone(data), '\n'), strings.Join(lines, "\n")+"\n"...), nil
}

// plain reports whether a user may stand behind USER as it is.
func plain(user string) bool { return !strings.ContainsAny(user, "$`\\\"' \t\r\n") }

// dockerfile finds the Dockerfile of a build. Its File says where the build context is.
func (c *container) dockerfile(b *types.BuildConfig) (guard.Source, error) {
	dir := cmp.Or(b.Context, ".")
	if b.DockerfileInline != "" {
		return guard.Source{Path: c.file.src.Path, File: c.contextFile(dir), Data: []byte(b.DockerfileInline)}, nil
	}
	if remote(dir) || strings.HasPrefix(dir, "service:") {
		return guard.Source{Path: dir}, fmt.Errorf("its context %s is not on this machine", dir)
	}
	name := filepath.Join(dir, cmp.Or(b.Dockerfile, "Dockerfile"))
	if filepath.IsAbs(b.Dockerfile) {
		name = b.Dockerfile
	}
	src := guard.Source{Path: name, File: c.contextFile(dir)}
	if !filepath.IsAbs(name) {
		src.Path = filepath.Join(filepath.Dir(c.file.src.Path), name)
		if c.file.dir == "" {
			src.Path = name
			return src, errors.New("it is not known where this file is")
		}
		name = filepath.Join(c.file.dir, name)
	}
	if err := readable(name); err != nil {
		return src, fmt.Errorf("its Dockerfile cannot be read: %w", err)
	}
	data, err := os.ReadFile(name)
	src.Data = data
	return src, err
}

// contextFile is a file in the build context, which need not be there; empty where the context is not known.
func (c *container) contextFile(dir string) string {
	switch {
	case filepath.IsAbs(dir):
	case c.file.dir == "" || remote(dir):
		return ""
	default:
		dir = filepath.Join(c.file.dir, dir)
	}
	return filepath.Join(dir, "Dockerfile")
}
