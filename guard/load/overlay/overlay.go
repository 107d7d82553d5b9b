// Package overlay is what a manifest lays over an image: a user, an entrypoint, a command. It knows neither
// manifests nor where images come from.
package overlay

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/load/images"
	"github.com/deckhand-engine/deckhand/guard/users"
)

// Image is an image that a manifest names, found or not.
type Image struct {
	Name  string
	Found *guard.Image // nil: nothing is known of it, and Why says why
	Why   string       // fits into [guard.User.Unknown]
}

// Find looks for an image.
func Find(ctx context.Context, env guard.Env, name string) Image {
	switch {
	case name == "":
		return Image{Why: "it names no image"}
	case strings.Contains(name, "{{"):
		return Image{Name: name, Why: fmt.Sprintf("image %s is a template", name)}
	case env.Images == nil:
		return Image{Name: name, Why: fmt.Sprintf("image %s is not known: nobody looks for images", name)}
	}
	found, err := env.Images.Image(ctx, name)
	if err != nil {
		return Image{Name: name, Why: fmt.Sprintf("image %s is not known: %v", name, err)}
	}
	return Image{Name: name, Found: found}
}

// Own is the user that the image sets itself, or the reason why that is not known. Where is left to the caller.
func (i Image) Own(ctx context.Context) guard.User {
	if i.Found == nil {
		return guard.User{UID: guard.AnyID(), GID: guard.AnyID(), Inherited: true, Unknown: i.Why}
	}
	return images.User(ctx, i.Found, "")
}

// Replaced is the user where the manifest sets one: spec is not empty. Where and Raw are left to the caller.
func (i Image) Replaced(ctx context.Context, spec string) guard.User {
	if i.Found == nil {
		return users.Unknown(i.Why).Resolve(spec)
	}
	return images.User(ctx, i.Found, spec)
}

// Start is what starts where the manifest replaces the image's entrypoint and command (nil: it does not), and
// whether that gives up root by itself. Where is left to the caller.
func (i Image) Start(ctx context.Context, u guard.User, entrypoint, command []string) (guard.Command, *guard.Drop) {
	img := i.Found
	argv := slices.Concat(entrypoint, command)
	if img != nil {
		argv = images.Argv(img, entrypoint, command)
	} else {
		img = &guard.Image{Name: i.Name} // has nothing that it starts by itself
	}
	c := guard.Command{Args: argv, Shell: shellLine(argv)}
	if len(argv) == 0 || u.NotRoot() {
		return c, nil
	}
	return c, images.Drop(ctx, img, argv)
}

// shellLine reports whether a command is a line for a shell.
func shellLine(argv []string) bool {
	if len(argv) < 3 || argv[1] != "-c" {
		return false
	}
	switch path.Base(argv[0]) {
	case "sh", "bash", "ash", "dash":
		return true
	}
	return false
}
