package harden

import (
	"context"
	"slices"
)

// minimal returns a part of items with which test passes and of which no single item can be left out, in their
// order. It is taken for granted that test passes with all of them; an error of test ends it.
//
// It is delta debugging (Zeller, Hildebrandt 2002) over complements, where a part that cannot be left out is not
// tried again until something else could be: in most services most of what was repaired is needed.
func minimal[T any](ctx context.Context, items []T, test func(context.Context, []T) (bool, error)) ([]T, error) {
	const many = 12 // more are first tried in halves, quarters, …
	size := 1
	if len(items) > many {
		size = (len(items) + 1) / 2
	}
	for ; size > 0; size /= 2 {
		for at, failures := 0, 0; len(items) > 0 && failures*size < len(items); {
			if at >= len(items) {
				at = 0
			}
			rest := slices.Concat(items[:at], items[min(at+size, len(items)):])
			passed, err := test(ctx, rest)
			switch {
			case err != nil:
				return items, err
			case passed:
				items, failures = rest, 0
			default:
				at, failures = at+size, failures+1
			}
		}
	}
	return items, nil
}
