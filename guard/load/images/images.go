// Package images loads images: one subject each.
package images

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/users"
)

// The files that users are resolved by.
const (
	passwdFile = "/etc/passwd"
	groupFile  = "/etc/group"
)

// Subject says what an image runs as and, where it is local, what it holds. name is how the image was named. Where
// its layers cannot be read, the error says why and the subject has no contents.
func Subject(ctx context.Context, name string, img *guard.Image) (*guard.Subject, error) {
	at := guard.Location{Path: name}
	s := &guard.Subject{
		Kind: guard.KindImage, Name: "image", Where: at, Image: plainName(name), ImageAt: at,
		Ports: ports(img, at), Variables: variables(img, at), Steps: steps(img, at),
	}
	s.Command = guard.Command{Args: Argv(img, nil, nil), Where: at}
	s.Command.Shell = isShellForm(s.Command.Args)
	look, err := newLook(ctx, img, s.Command.Args)
	s.User = look.db.Resolve(img.Config.Config.User)
	s.User.Where = at
	if s.Drop = look.drop(ctx, img, s.Command.Args); s.Drop != nil {
		s.Drop.Where = at
	}
	if err != nil || !img.Local || img.Files == nil {
		return s, err
	}
	if s.Contents, err = contents(ctx, img, s); err != nil {
		return s, fmt.Errorf("look into image %s: %w", img.Name, err)
	}
	s.Steps = withoutFiles(s.Steps)
	return s, nil
}

// withoutFiles leaves out of the steps what the layers say better: what became of files in the end.
func withoutFiles(steps []guard.Step) []guard.Step {
	for i := range steps {
		steps[i].Setuid, steps[i].Opens, steps[i].Gives = nil, nil, nil
	}
	return slices.DeleteFunc(steps, isEmpty)
}

// plainName is the image's name for a command that takes one from the store or a registry; empty: there is none.
func plainName(name string) string {
	for _, scheme := range []string{"docker://", "store:"} {
		if plain, ok := strings.CutPrefix(name, scheme); ok {
			return plain
		}
	}
	for _, elsewhere := range []string{"docker-archive:", "oci:", "oci-archive:", "containers-storage:"} {
		if strings.HasPrefix(name, elsewhere) {
			return ""
		}
	}
	return name
}

// Users is the user database of an image, read when it is needed.
func Users(ctx context.Context, img *guard.Image) *users.DB {
	if img == nil {
		return users.Unknown("nothing is known of the image")
	}
	return users.Lazy(img.Local, func() (passwd, group []byte, err error) {
		if img.Files == nil {
			return nil, nil, fmt.Errorf("the layers of image %s are out of reach", img.Name)
		}
		files, err := img.Files.Read(ctx, passwdFile, groupFile)
		if err != nil {
			return nil, nil, fmt.Errorf("the users of image %s cannot be read: %w", img.Name, err)
		}
		return files[passwdFile], files[groupFile], nil
	})
}

// User is the user that an image starts as where spec replaces its own USER (empty: it does not). From and
// Inherited say that the image decides where it does; Where is left to the caller.
func User(ctx context.Context, img *guard.Image, spec string) guard.User {
	db := Users(ctx, img)
	if spec != "" || img == nil {
		return db.Resolve(spec)
	}
	u := db.Resolve(img.Config.Config.User)
	u.From, u.Inherited = "image "+img.Name, true
	return u
}

// Argv is what an image starts where entrypoint and command replace its own as docker has it (nil: they do not;
// an entrypoint that is replaced drops the image's command).
func Argv(img *guard.Image, entrypoint, command []string) []string {
	if img != nil {
		if command == nil && entrypoint == nil {
			command = img.Config.Config.Cmd
		}
		if entrypoint == nil {
			entrypoint = img.Config.Config.Entrypoint
		}
	}
	if len(entrypoint) == 1 && entrypoint[0] == "" { // docker run --entrypoint ""
		entrypoint = nil
	}
	return slices.Concat(entrypoint, command)
}

// isShellForm reports whether a command is one that a Dockerfile's shell form makes.
func isShellForm(argv []string) bool {
	return len(argv) == 3 && argv[1] == "-c" && (argv[0] == "/bin/sh" || argv[0] == "/bin/bash")
}

func ports(img *guard.Image, at guard.Location) []guard.Port {
	var ports []guard.Port
	for text := range img.Config.Config.ExposedPorts {
		number, protocol, _ := strings.Cut(text, "/")
		n, err := strconv.ParseUint(number, 10, 16)
		if err != nil || n == 0 {
			continue
		}
		ports = append(ports, guard.Port{Number: int(n), Protocol: cmp.Or(strings.ToLower(protocol), "tcp"), Where: at})
	}
	slices.SortFunc(ports, func(a, b guard.Port) int {
		return cmp.Or(cmp.Compare(a.Number, b.Number), cmp.Compare(a.Protocol, b.Protocol))
	})
	return ports
}

func variables(img *guard.Image, at guard.Location) []guard.Variable {
	var all []guard.Variable
	for _, env := range img.Config.Config.Env {
		if name, value, ok := strings.Cut(env, "="); ok {
			all = append(all, guard.Variable{Name: name, Value: value, Where: at})
		}
	}
	for _, h := range img.Config.History {
		for name, value := range historyArgs(h.CreatedBy) {
			v := guard.Variable{Name: name, Value: value, Arg: true, Where: at}
			if !slices.Contains(all, v) {
				all = append(all, v)
			}
		}
	}
	return all
}

// searchPath are the directories that programs are looked for in.
func searchPath(img *guard.Image) []string {
	list := "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" // the engines' default
	for _, env := range img.Config.Config.Env {
		if value, ok := strings.CutPrefix(env, "PATH="); ok {
			list = value
		}
	}
	var dirs []string
	for dir := range strings.SplitSeq(list, ":") {
		if dir = path.Clean(dir); path.IsAbs(dir) && !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}
