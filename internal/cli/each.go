package cli

import (
	"context"

	"github.com/deckhand-engine/deckhand/internal/engine"
	"github.com/deckhand-engine/deckhand/internal/store"
)

// eachContainer does f for each named container, prints the name as typed when it went well, and goes on
// after an error, as docker does.
func (a *app) eachContainer(ctx context.Context, e *engine.Engine, names []string, f func(context.Context, *store.Container) error) error {
	var errs []error
	for _, name := range names {
		rec, err := a.findContainer(e.Store, name)
		if err == nil {
			err = f(ctx, rec)
		}
		if err == nil {
			err = a.println(name)
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	return joined(errs)
}

// outerEngine is the engine for commands that only read records and signal processes.
func (a *app) outerEngine(ctx context.Context) (*engine.Engine, error) {
	s, err := a.outerStore(ctx)
	if err != nil {
		return nil, err
	}
	return a.engineOn(s), nil
}
