package store

import (
	"context"
	"errors"
	"strconv"
	"testing"
)

// countdown is a context that is cancelled once it was asked so many times.
type countdown struct {
	context.Context //nolint:containedctx // it is a context
	left            int
}

// Err counts.
func (c *countdown) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

// Wherever a collection ends, what is left is whole: no chain id links to a layer that is gone.
func TestGCEndedAnywhere(t *testing.T) {
	const images = 6 // the ids of layers are random: of six, one sorts before its link nearly always
	for steps := range 3 * images {
		s := openTest(t)
		for i := range images {
			name := "app" + strconv.Itoa(i)
			tag(t, s, name, build(t, s, nil, "f", name))
		}
		for i := range images { // without the collection that RemoveImage ends with
			if _, err := s.removeImage(t.Context(), "app"+strconv.Itoa(i), false); err != nil {
				t.Fatal(err)
			}
		}
		err := s.GC(&countdown{t.Context(), steps})
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		mustBeSound(t, s)
	}
}
