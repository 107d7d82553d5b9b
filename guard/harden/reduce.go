package harden

import (
	"context"
	"slices"

	"github.com/deckhand-engine/deckhand/guard/repair"
)

// minimise drops every repair that the service does not need, and makes the others smaller where that will do.
func (s *session) minimise(ctx context.Context, c candidate) (candidate, error) {
	fixed, free := s.kept(c)
	slices.SortStableFunc(free, func(a, b repair.Repair) int { return price(b) - price(a) }) // the dearest go first
	works := func(ctx context.Context, repairs []repair.Repair) (bool, error) {
		next, gone := c.only(slices.Concat(fixed, repairs)), missing(free, repairs)
		out, err := s.try(ctx, test{phase: Minimising, title: "without " + list(gone), candidate: next})
		switch {
		case err != nil:
			return false, err
		case out.Passed:
			free = repairs
		case len(gone) == 1:
			s.without[gone[0].String()] = out.Reason
		}
		return out.Passed, nil
	}
	// What is dear has to go while all that is cheap is there to take its place.
	dear, cheap := split(free)
	dear, err := minimal(ctx, dear, func(ctx context.Context, some []repair.Repair) (bool, error) {
		return works(ctx, slices.Concat(some, cheap))
	})
	if err != nil {
		return c, err
	}
	cheap, err = minimal(ctx, cheap, func(ctx context.Context, some []repair.Repair) (bool, error) {
		return works(ctx, slices.Concat(dear, some))
	})
	if err != nil {
		return c, err
	}
	return s.shrink(ctx, c.only(slices.Concat(fixed, dear, cheap)))
}

// split divides repairs, which are in the order of their price, into those that change what a service is or may, and
// those that only give it places, files and ports.
func split(repairs []repair.Repair) (dear, cheap []repair.Repair) {
	for _, r := range repairs {
		if price(r) > price(repair.Repair{Kind: repair.Volume}) {
			dear = append(dear, r)
		} else {
			cheap = append(cheap, r)
		}
	}
	return dear, cheap
}

// price orders repairs by how much they give away or change: where one of two will do, the dearer goes.
func price(r repair.Repair) int {
	order := []repair.Kind{
		repair.Tmpfs, repair.Port, repair.Mode, repair.Chown, repair.Volume, repair.StripCaps, repair.Environ, repair.Workdir,
		repair.Passwd, repair.Entrypoint, repair.Config, repair.Capability, repair.ReadWrite, repair.Root,
	}
	return slices.Index(order, r.Kind)
}

// kept divides the repairs into those that the user wants in any case and the others.
func (s *session) kept(c candidate) (fixed, free []repair.Repair) {
	for _, r := range c.repairs {
		if r.Kind == repair.Capability && slices.Contains(s.o.Keep, r.Value) {
			fixed = append(fixed, r)
		} else {
			free = append(free, r)
		}
	}
	return fixed, free
}

// missing are the repairs that the second list lacks.
func missing(all, some []repair.Repair) []repair.Repair {
	return slices.DeleteFunc(slices.Clone(all), func(r repair.Repair) bool {
		return slices.ContainsFunc(some, func(o repair.Repair) bool { return same(o, r) })
	})
}

// shrink gives the user a directory without what is in it, where that will do.
func (s *session) shrink(ctx context.Context, c candidate) (candidate, error) {
	for i, r := range c.repairs {
		if !r.Recursive {
			continue
		}
		r.Recursive = false
		repairs := slices.Clone(c.repairs)
		repairs[i] = r
		out, err := s.try(ctx, test{phase: Minimising, title: "with " + r.String() + " only", candidate: c.only(repairs)})
		if err != nil {
			return c, err
		}
		if out.Passed {
			c = c.only(repairs)
		}
	}
	return c, nil
}
