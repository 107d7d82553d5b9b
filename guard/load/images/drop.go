package images

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/shell"
	"github.com/deckhand-engine/deckhand/guard/users"
)

// Drop says whether a command that an image starts as root gives it up: by itself, or by a script of the image,
// which is read only where the image is local. Where is left to the caller.
func Drop(ctx context.Context, img *guard.Image, argv []string) *guard.Drop {
	if d := shell.CommandDrop(argv); d != nil || img == nil || !img.Local || img.Files == nil {
		return d
	}
	scripts := scriptsOf(img, argv)
	files, _ := img.Files.Read(ctx, candidates(scripts)...) // a program of more than 1 MiB is no script; the rest is there
	return scriptDrop(scripts, files, argv)
}

// script is a script that a command runs, as far as that can be told from the command.
type script struct {
	args  []string // what it is given
	paths []string // where it may be, first the one that counts
}

func scriptsOf(img *guard.Image, argv []string) []script {
	var all []script
	for _, name := range shell.Scripts(argv) {
		s := script{paths: placesOf(img, name)}
		if i := slices.Index(argv, name); i >= 0 {
			s.args = argv[i+1:]
		}
		all = append(all, s)
	}
	return all
}

// placesOf are the absolute paths that a program's name may stand for.
func placesOf(img *guard.Image, name string) []string {
	switch {
	case name == "":
		return nil
	case path.IsAbs(name):
		return []string{path.Clean(name)}
	case strings.Contains(name, "/"):
		return []string{path.Join("/", img.Config.Config.WorkingDir, name)}
	}
	var places []string
	for _, dir := range searchPath(img) {
		places = append(places, path.Join(dir, name))
	}
	return places
}

func candidates(scripts []script) []string {
	var all []string
	for _, s := range scripts {
		all = append(all, s.paths...)
	}
	return all
}

func scriptDrop(scripts []script, files map[string][]byte, argv []string) *guard.Drop {
	if d := shell.CommandDrop(argv); d != nil {
		return d
	}
	for _, s := range scripts {
		i := slices.IndexFunc(s.paths, func(p string) bool { return files[p] != nil })
		if i < 0 {
			continue
		}
		if d := shell.ScriptDrop(files[s.paths[i]], s.args); d != nil {
			d.Script = s.paths[i]
			return d
		}
	}
	return nil
}

// look is what one reading of a local image's files brought: its users and the scripts it starts with. Each
// reading costs a pass over the layers.
type look struct {
	scripts []script
	files   map[string][]byte
	db      *users.DB
}

func newLook(ctx context.Context, img *guard.Image, argv []string) (*look, error) {
	if !img.Local || img.Files == nil { // no script can be read
		return &look{db: Users(ctx, img)}, nil
	}
	l := &look{scripts: scriptsOf(img, argv)}
	files, err := img.Files.Read(ctx, append(candidates(l.scripts), passwdFile, groupFile)...)
	if large, ok := errors.AsType[*guard.TooLargeError](err); ok && !slices.Contains(large.Paths, passwdFile) && !slices.Contains(large.Paths, groupFile) {
		err = nil // a program that is no script
	}
	if err != nil {
		l.db = users.Unknown("its users cannot be read: " + err.Error())
		return l, fmt.Errorf("look into image %s: %w", img.Name, err)
	}
	l.files, l.db = files, users.Parse(files[passwdFile], files[groupFile])
	return l, nil
}

func (l *look) drop(argv []string) *guard.Drop { return scriptDrop(l.scripts, l.files, argv) }
