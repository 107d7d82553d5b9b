package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/deckhand-engine/deckhand/internal/hint"
	"github.com/deckhand-engine/deckhand/internal/store"
)

// Values of --pull.
const (
	pullAlways  = "always"
	pullMissing = "missing"
	pullNever   = "never"
)

// imageToRun finds the image, pulling it as --pull says.
func (a *app) imageToRun(ctx context.Context, s *store.Store, name, pull string) (*store.Image, error) {
	switch pull {
	case pullAlways:
		return a.pullToRun(ctx, s, name)
	case pullMissing, pullNever:
	default:
		return nil, fmt.Errorf("invalid pull option: %q: must be one of \"always\", \"missing\" or \"never\"", pull)
	}
	img, err := s.Image(ctx, name)
	if err == nil || !errors.Is(err, store.ErrNotFound) || pull == pullNever {
		return img, noSuchImage(err, name)
	}
	if r, refErr := parseRef(name); refErr == nil {
		a.note("Unable to find image '%s' locally", r.Familiar())
	}
	return a.pullToRun(ctx, s, name)
}

// pullToRun pulls what name says.
func (a *app) pullToRun(ctx context.Context, s *store.Store, name string) (*store.Image, error) {
	r, err := parseRef(name)
	if err != nil {
		return nil, err
	}
	img, err := a.pullImage(ctx, s, r)
	if err != nil {
		return nil, withWhatThereIs(err)
	}
	return img, nil
}

// withWhatThereIs adds a hint to an error that has none.
func withWhatThereIs(err error) error {
	if len(hint.Of(err)) > 0 {
		return err
	}
	return hint.With(err, "images that are here:  deckhand images")
}
