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
	found := shell.CommandDrop(start.Args)
	if found == nil {
		found = b.scriptDrop(ctx, s, start.Args)
	}
	if found == nil {
		return nil
	}
	d := *found
	d.Where = start.Where
	return &d
}

func (b *build) scriptDrop(ctx context.Context, s *stage, argv []string) *guard.Drop {
	for _, script := range shell.Scripts(argv) {
		content, name, found := b.script(ctx, s, script)
		if found == absent {
			continue
		}
		if found == opaque {
			return nil
		}
		d := shell.ScriptDrop(content, behind(argv, script))
		if d == nil {
			return nil // it is this script that runs, whatever the base image has by its name
		}
		named := *d
		named.Script = cmp.Or(named.Script, name)
		return &named
	}
	if s.base.image == nil {
		return nil
	}
	return images.Drop(ctx, s.base.image, argv)
}

// behind are the arguments that a script of a command is given.
func behind(argv []string, script string) []string {
	if i := slices.Index(argv, script); i >= 0 {
		return argv[i+1:]
	}
	return nil
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
