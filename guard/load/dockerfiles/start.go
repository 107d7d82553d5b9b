package dockerfiles

import (
	"cmp"
	"context"
	"path"
	"slices"
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/load/images"
	"github.com/deckhand-engine/deckhand/guard/shell"
)

// drop says whether what the image starts gives up root: the command itself, a script that the Dockerfile puts into
// the image, or one of the base image.
func (b *build) drop(ctx context.Context, s *stage) *guard.Drop {
	start := s.command()
	if len(start.Args) == 0 {
		return nil
	}
	in := b.inside(ctx, s)
	found := in.CommandDrop(start.Args)
	if found == nil {
		found = b.scriptDrop(ctx, s, start.Args, in)
	}
	if found == nil {
		return nil
	}
	d := *found
	d.Where = start.Where
	return &d
}

// inside is what is known of the image for what starts in it. Names are only resolved where that costs no transfer.
func (b *build) inside(ctx context.Context, s *stage) shell.Image {
	in := shell.Image{Env: s.env}
	image := s.base.image
	if image == nil || image.Local {
		in.User = b.users(ctx, s).After
	}
	in.File = func(name string) ([]byte, bool) {
		content, target, found := b.script(ctx, s, name)
		if found == absent && target != "" && image != nil {
			return images.File(ctx, image, target)
		}
		return content, found == present
	}
	return in
}

// env is a variable of the image that results.
func (s *stage) env(name string) (string, bool) {
	for at := s; at != nil; at = at.parent {
		for _, v := range slices.Backward(at.variables) {
			if v.Name == name && !v.Arg {
				return v.Value, true
			}
		}
	}
	if s.base.image == nil {
		return "", false
	}
	for _, v := range slices.Backward(s.base.image.Config.Config.Env) {
		if value, ok := strings.CutPrefix(v, name+"="); ok {
			return value, true
		}
	}
	return "", false
}

// scriptDrop looks at the last script that is started: what those before it start has ended.
func (b *build) scriptDrop(ctx context.Context, s *stage, argv []string, in shell.Image) *guard.Drop {
	scripts := shell.Started(argv)
	if len(scripts) == 0 {
		return nil
	}
	last := scripts[len(scripts)-1]
	content, name, found := b.script(ctx, s, last.Path)
	switch {
	case found == opaque:
		return nil
	case found == absent && s.base.image == nil:
		return nil
	case found == absent:
		return images.ScriptDrop(ctx, s.base.image, argv, in)
	}
	d := in.ScriptDrop(content, last.Args)
	if d == nil {
		return nil // it is this script that runs, whatever the base image has by its name
	}
	named := *d
	named.Script = cmp.Or(named.Script, name)
	named.Certain = named.Certain && len(scripts) == 1
	return &named
}

// script finds a program by its name, in the working directory or along PATH.
func (b *build) script(ctx context.Context, s *stage, name string) ([]byte, string, presence) {
	if strings.Contains(name, "/") {
		target := joinPath(s.workdir, name)
		if target == "" {
			return nil, "", absent
		}
		content, found := b.lookup(ctx, s, target)
		return content, target, found
	}
	dirs, set := s.scope.Get("PATH")
	if !set {
		dirs = defaultPath
	}
	for dir := range strings.SplitSeq(dirs, ":") {
		if !path.IsAbs(dir) {
			continue
		}
		target := path.Join(dir, name)
		if content, found := b.lookup(ctx, s, target); found != absent {
			return content, target, found
		}
	}
	return nil, "", absent
}
