package hardencmd

import (
	"io"
	"log/slog"
	"os"

	"github.com/deckhand-engine/deckhand/internal/engine"
	"github.com/deckhand-engine/deckhand/internal/hint"
	"github.com/deckhand-engine/deckhand/internal/lab"
	"github.com/deckhand-engine/deckhand/internal/linux/rootless"
	"github.com/deckhand-engine/deckhand/internal/programs"
	"github.com/deckhand-engine/deckhand/internal/store"
)

// openLab opens a lab on o's engine, with deckhand's other programs. The caller closes the lab.
func openLab(o lab.Options) (*lab.Lab, error) {
	if err := findPrograms(&o); err != nil {
		return nil, err
	}
	return lab.New(o)
}

// findPrograms finds o's programs. The one that builds is needed where there is something to build from; deckhand
// itself only by checks that type its name.
func findPrograms(o *lab.Options) (err error) {
	o.Programs.Deckhand, _ = programs.Find("deckhand") // checks find what is in PATH
	if o.Programs.Probe, err = programs.Find("deckhand-probe"); err != nil {
		return err
	}
	if o.Context != "" {
		o.Programs.Build, err = programs.Find("deckhand-build")
	}
	return err
}

// openEngine is an engine on the data root. An ordinary user enters his user namespace, which starts this program again:
// nothing is to be read or done before. What dead processes left of containers there is cleared first.
func (g *global) openEngine(std files) (*engine.Engine, error) {
	if err := rootless.Enter(); err != nil {
		return nil, err
	}
	dir, err := store.FindRoot(g.dataRoot, os.Geteuid() == 0 && !rootless.Inside())
	if err != nil {
		return nil, err
	}
	inside, single, log := rootless.Inside(), rootless.SingleID(), g.log(std.err)
	s, err := store.Open(dir, store.Options{Rootless: inside, SingleID: single, Log: log})
	if err != nil {
		return nil, hint.With(err, "another place for images and containers:  deckhand --data-root DIR …, or DECKHAND_DATA_ROOT=DIR")
	}
	e := &engine.Engine{Store: s, Rootless: inside, SingleID: single, Log: log}
	return e, e.SweepContainers()
}

// log is the debug log: on w with --debug, else nowhere.
func (g *global) log(w io.Writer) *slog.Logger {
	if !g.debug {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
