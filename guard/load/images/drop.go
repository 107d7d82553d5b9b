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
	in := shell.Image{}
	if img != nil {
		in = inside(ctx, img, Users(ctx, img))
	}
	if d := in.CommandDrop(argv); d != nil {
		return d
	}
	return ScriptDrop(ctx, img, argv, in)
}

// ScriptDrop is what the scripts of a local image say of the command; in is what is known of the image that starts
// it, which may be one that is built from img.
func ScriptDrop(ctx context.Context, img *guard.Image, argv []string, in shell.Image) *guard.Drop {
	if img == nil || !img.Local || img.Files == nil {
		return nil
	}
	scripts := scriptsOf(img, argv)
	files, _ := img.Files.Read(ctx, candidates(scripts)...) // a program of more than 1 MiB is no script; the rest is there
	return scriptDrop(scripts, files, in)
}

// inside is what is known of the image for what starts in it. Names are only resolved where that costs no transfer.
func inside(ctx context.Context, img *guard.Image, db *users.DB) shell.Image {
	in := shell.Image{Env: func(name string) (string, bool) {
		for _, v := range slices.Backward(img.Config.Config.Env) {
			if value, ok := strings.CutPrefix(v, name+"="); ok {
				return value, true
			}
		}
		return "", false
	}}
	if img.Local {
		in.User = db.After
	}
	in.File = func(name string) ([]byte, bool) {
		if !path.IsAbs(name) {
			name = path.Join("/", img.Config.Config.WorkingDir, name)
		}
		return File(ctx, img, name)
	}
	return in
}

// File is the content of a file of a local image.
func File(ctx context.Context, img *guard.Image, name string) ([]byte, bool) {
	if !img.Local || img.Files == nil {
		return nil, false
	}
	files, err := img.Files.Read(ctx, name)
	content, ok := files[name]
	return content, ok && err == nil
}

// script is a script that a command runs, as far as that can be told from the command.
type script struct {
	args  []string // what it is given
	paths []string // where it may be, first the one that counts
}

func scriptsOf(img *guard.Image, argv []string) []script {
	var all []script
	for _, s := range shell.Started(argv) {
		all = append(all, script{args: s.Args, paths: placesOf(img, s.Path)})
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

// scriptDrop looks at the last script that is started: what those before it start has ended.
func scriptDrop(scripts []script, files map[string][]byte, in shell.Image) *guard.Drop {
	if len(scripts) == 0 {
		return nil
	}
	s := scripts[len(scripts)-1]
	i := slices.IndexFunc(s.paths, func(p string) bool { return files[p] != nil })
	if i < 0 {
		return nil
	}
	d := in.ScriptDrop(files[s.paths[i]], s.args)
	if d != nil {
		d.Script = s.paths[i]
		d.Certain = d.Certain && len(scripts) == 1
	}
	return d
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

func (l *look) drop(ctx context.Context, img *guard.Image, argv []string) *guard.Drop {
	in := inside(ctx, img, l.db)
	if d := in.CommandDrop(argv); d != nil {
		return d
	}
	return scriptDrop(l.scripts, l.files, in)
}
