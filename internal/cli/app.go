package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/deckhand-engine/deckhand/internal/engine"
	"github.com/deckhand-engine/deckhand/internal/hint"
	"github.com/deckhand-engine/deckhand/internal/linux/rootless"
	"github.com/deckhand-engine/deckhand/internal/store"
)

// app is what every command shares: the standard files and the global flags.
type app struct {
	in, out, err *os.File
	dataRoot     string
	rootUser     string // allow, warn, refuse; empty: DECKHAND_ROOT_USER, then refuse
	debug        bool
	front        *front // the process in front of this one; nil: none
	now          func() time.Time
}

func newApp(in, out, err *os.File) *app {
	return &app{in: in, out: out, err: err, now: time.Now} //nolint:forbidigo // the program's clock
}

// root is the data root.
func (a *app) root() (string, error) {
	return store.FindRoot(a.dataRoot, os.Geteuid() == 0 && !rootless.Inside())
}

// store opens the store for a command that may write to it. An ordinary user enters his user namespace first.
func (a *app) store(ctx context.Context) (*store.Store, error) {
	if err := rootless.Enter(); err != nil {
		return nil, err
	}
	return a.outerStore(ctx)
}

// outerStore opens the store without entering the user namespace: for commands that only read records
// and signal processes.
func (a *app) outerStore(_ context.Context) (*store.Store, error) {
	dir, err := a.root()
	if err != nil {
		return nil, err
	}
	s, err := store.Open(dir, store.Options{
		Rootless: rootless.Inside(),
		SingleID: rootless.SingleID(),
		Log:      a.log(),
	})
	return s, hint.With(err, "another place for images and containers:  deckhand --data-root DIR …, or DECKHAND_DATA_ROOT=DIR")
}

// engine is the engine on the store. What dead processes left there is cleared first; a network's leftovers
// are the business of those who use it.
func (a *app) engine(ctx context.Context) (*engine.Engine, error) {
	s, err := a.store(ctx)
	if err != nil {
		return nil, err
	}
	e := a.engineOn(s)
	return e, e.SweepContainers()
}

func (a *app) engineOn(s *store.Store) *engine.Engine {
	return &engine.Engine{Store: s, Rootless: rootless.Inside(), SingleID: rootless.SingleID(), Log: a.log()}
}

// log is the debug log: on stderr with --debug, else nowhere.
func (a *app) log() *slog.Logger {
	if !a.debug {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// println writes one result line.
func (a *app) println(s string) error {
	_, err := io.WriteString(a.out, s+"\n")
	return err
}

// note writes one line on stderr.
func (a *app) note(format string, args ...any) {
	_, _ = fmt.Fprintf(a.err, format+"\n", args...) // nothing to do when stderr is gone
}
