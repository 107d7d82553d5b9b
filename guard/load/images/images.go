// Package images loads images: one subject each.
package images

import (
	"context"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/users"
)

// Subject says what an image runs as and what it holds. path is how the image was named.
func Subject(ctx context.Context, path string, img *guard.Image) (*guard.Subject, error) {
	return nil, nil
}

// Users is the user database of an image, read when it is needed.
func Users(ctx context.Context, img *guard.Image) *users.DB { return users.Unknown("") }

// User is the user that an image starts as where spec replaces its own USER (empty: it does not). From and
// Inherited say that the image decides where it does; Where is left to the caller.
func User(ctx context.Context, img *guard.Image, spec string) guard.User { return guard.User{} }

// Drop says whether a command that an image starts as root gives it up: by itself, or by a script of the image,
// which is read only where the image is local. Where is left to the caller.
func Drop(ctx context.Context, img *guard.Image, argv []string) *guard.Drop { return nil }

// Argv is what an image starts where entrypoint and command replace its own as docker has it (nil: they do not;
// an entrypoint that is replaced drops the image's command).
func Argv(img *guard.Image, entrypoint, command []string) []string { return nil }
