package buildcmd

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/deckhand-engine/deckhand/internal/build"
	"github.com/deckhand-engine/deckhand/internal/engine"
	"github.com/deckhand-engine/deckhand/internal/linux/rootless"
	"github.com/deckhand-engine/deckhand/internal/store"
	"github.com/deckhand-engine/deckhand/internal/ui"
	"github.com/deckhand-engine/deckhand/ref"
	"github.com/deckhand-engine/deckhand/registry"
)

// run does a build from the flags and the directory argument.
func (o *options) run(ctx context.Context, std files, dir string) error {
	mode, err := o.mode()
	if err != nil {
		return &usageError{err}
	}
	if err := o.unsupported(dir); err != nil { // before stdin is touched and the process starts again
		return &usageError{err}
	}
	if err := isolate(); err != nil {
		return err
	}
	bo, err := o.buildOptions(dir, std.in)
	if err != nil {
		return err
	}
	ctx, stop := withInterrupt(ctx)
	defer stop()
	note := o.watch(&std, mode, bo)
	res, err := o.build(ctx, std, mode, bo)
	if err != nil {
		return err
	}
	if err := o.finish(std, res); err != nil {
		return err
	}
	if err := note.save(res); err != nil {
		o.log(std.err).Debug("remember a build that had nothing to do", "error", err)
	}
	return nil
}

// build runs the build with its progress display.
func (o *options) build(ctx context.Context, std files, mode ui.Mode, bo build.Options) (*build.Result, error) {
	log := o.log(std.err)
	b, sweep, err := o.builder(log)
	if err != nil {
		return nil, err
	}
	var swept sync.WaitGroup
	swept.Go(func() {
		if err := sweep(ctx); err != nil {
			log.Debug("clear what dead processes left", "error", err)
		}
	})
	defer swept.Wait()
	p := ui.NewProgress(std.err, mode)
	b.Progress = progress{p}
	res, err := b.Build(ctx, bo)
	p.Close()
	switch {
	case err == nil:
		return res, nil
	case ctx.Err() != nil:
		_, _ = io.WriteString(std.err, "build interrupted\n") // nothing to do when stderr is gone
		return nil, errInterrupted
	}
	return nil, &buildError{err}
}

// builder opens the store and joins what a build works with.
func (o *options) builder(log *slog.Logger) (*build.Builder, func(context.Context) error, error) {
	root, err := o.root()
	if err != nil {
		return nil, nil, err
	}
	inside, single := rootless.Inside(), rootless.SingleID()
	s, err := store.Open(root, store.Options{Rootless: inside, SingleID: single, Log: log, Trials: o.trials})
	if err != nil {
		return nil, nil, err
	}
	e := &engine.Engine{Store: s, Rootless: inside, SingleID: single, Log: log}
	return &build.Builder{
		Store: s, Engine: e, Puller: &puller{store: s, client: &registry.Client{}}, Log: log,
		Now: time.Now, Rootless: inside, SingleID: single, //nolint:forbidigo // the program's clock
	}, e.Sweep, nil
}

func (o *options) log(w io.Writer) *slog.Logger {
	if !o.debug {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// root is the data root.
func (o *options) root() (string, error) {
	return store.FindRoot(o.dataRoot, os.Geteuid() == 0 && !rootless.Inside())
}

// finish prints the result: warnings and the user on stderr, the id on stdout with -q.
func (o *options) finish(std files, res *build.Result) error {
	id := res.Image.ID.String()
	if o.idFile != "" {
		if err := os.WriteFile(o.idFile, []byte(id), 0o644); err != nil { //nolint:gosec // docker's mode
			return fmt.Errorf("write image id: %w", err)
		}
	}
	if o.quiet {
		_, err := io.WriteString(std.out, id+"\n")
		return err
	}
	if err := build.PrintWarnings(std.err, res.Warnings); err != nil {
		return err
	}
	name := strings.TrimPrefix(id, "sha256:")[:12]
	if len(o.tags) > 0 {
		name = o.tags[0]
	}
	lines := res.User.Lines(name)
	if res.User.Root() || res.User.Problem != "" {
		lines[0] = ui.Paint(std.err, ui.Yellow, lines[0])
	}
	_, err := io.WriteString(std.err, "\n"+strings.Join(lines, "\n")+"\n")
	return err
}

// progress shows a build's steps.
type progress struct{ *ui.Progress }

// Start begins a step.
func (p progress) Start(name string) build.Step { return p.Step(name) }

// puller gets base images from registries.
type puller struct {
	store  *store.Store
	client *registry.Client
}

// Pull fetches, unpacks and tags r.
func (p *puller) Pull(ctx context.Context, r ref.Reference, step build.Step) (*store.Image, error) {
	desc, err := p.client.Pull(ctx, r, p.store, &pullProgress{step: step})
	if err != nil {
		return nil, err
	}
	img, err := p.store.ImageByManifest(ctx, desc)
	if err != nil {
		return nil, fmt.Errorf("read pulled image: %w", err)
	}
	if _, err := p.store.ImageLayers(ctx, img); err != nil {
		return nil, fmt.Errorf("unpack %s: %w", r.Familiar(), err)
	}
	if err := p.store.Tag(ctx, r, desc); err != nil {
		return nil, fmt.Errorf("tag %s: %w", r.Familiar(), err)
	}
	img.Ref = r
	return img, nil
}

// isThisPlatform compares OS/ARCH.
func isThisPlatform(s string) bool {
	p, err := registry.ParsePlatform(s)
	return err == nil && p.OS == runtime.GOOS && p.Architecture == runtime.GOARCH
}

func thisPlatform() string { return runtime.GOOS + "/" + runtime.GOARCH }
