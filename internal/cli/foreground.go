package cli

import (
	"context"
	"errors"
	"os"

	"github.com/deckhand-engine/deckhand/internal/engine"
	"github.com/deckhand-engine/deckhand/internal/runtime"
	"github.com/deckhand-engine/deckhand/oci"
)

// foreground starts the container, joins it with our standard files, and ends as it ends. The output of a
// container that is kept goes to its log as well.
func (a *app) foreground(ctx context.Context, c *engine.Container, interactive bool, check func(oci.User) error) error {
	var log *engine.LogWriter
	if !c.Record.AutoRemove {
		var err error
		if log, err = engine.OpenLog(c.LogPath()); err != nil {
			return errors.Join(err, c.Remove())
		}
	}
	at, err := a.attachTo(c.Config.Spec.Terminal, interactive, log)
	if err != nil {
		return errors.Join(closeLog(log, err), c.Remove())
	}
	a.front.watch(at.leave)
	caught := catchSignals(at.tty)
	c.Config.Spec.ConsoleSize = at.consoleSize()
	r, err := c.Start(ctx, at.stdio, check)
	if err != nil {
		at.abort()
		return joinQuiet(err, closeLog(log, c.Abandon(err)))
	}
	caught.forward(a.front.hears(r), at.resizer(r.Console))
	if err := at.started(r.Console); err != nil {
		a.note("deckhand: %v", err)
	}
	exit, err := c.Wait(ctx, r)
	at.finish()
	if err := closeLog(log, err); err != nil {
		a.note("deckhand: clear up after the container: %v", err)
	}
	return exitWith(exit.Code)
}

// resizer follows our window's size; nil without a console.
func (at *attachment) resizer(console *os.File) func() {
	if console == nil {
		return nil
	}
	return func() { at.resize(console) }
}

// joinQuiet is err alone where the second is nil: errors.Join would hide its type from nobody, but its
// text would begin a new line.
func joinQuiet(err, second error) error {
	if second == nil {
		return err
	}
	return errors.Join(err, second)
}

var _ signaller = (*runtime.Process)(nil)
