// Package build builds images from Dockerfiles.
//
// BuildKit's own front end turns the Dockerfile into a graph of operations (LLB); it runs unmodified, in this
// process, against a gateway client of ours. The solver here carries the operations out on Deckhand's store:
// RUN through the engine, COPY and ADD on overlays mounted in this process's own mount namespace. A step's
// result is kept under a key made of the operation and of the content of everything it reads, one file a key,
// so that any number of builds may share a store.
//
// The package never prints: progress goes to a Progress, warnings and the user the image runs as are part of
// the Result.
package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"time"

	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	dockerfile "github.com/moby/buildkit/frontend/dockerfile/builder"
	"github.com/opencontainers/go-digest"

	"github.com/deckhand-engine/deckhand/internal/engine"
	"github.com/deckhand-engine/deckhand/internal/store"
	"github.com/deckhand-engine/deckhand/ref"
)

// Progress is told of the steps of a build; it may be called from several goroutines.
type Progress interface {
	// Start begins a step; name is BuildKit's: "[2/3] RUN apt-get update".
	Start(name string) Step
}

// Step is one step under way.
type Step interface {
	Log(b []byte)            // output of the step
	Bytes(done, total int64) // how far a transfer is; total 0: unknown
	Cached()                 // the result was taken from the cache
	Done(err error)          // the step has ended
}

// Puller fetches an image that the store does not have.
type Puller interface {
	// Pull fetches r into the store, tags it and returns it.
	Pull(ctx context.Context, r ref.Reference, step Step) (*store.Image, error)
}

// Runner runs one RUN step: *engine.Engine.
type Runner interface {
	Start(ctx context.Context, s *engine.Sandbox) (*engine.Running, error)
}

// Options describe a build.
type Options struct {
	ContextDir     string            // the build context; empty: none
	ContextTar     io.Reader         // the build context as an archive; ContextDir is then unused
	Dockerfile     string            // path of the Dockerfile on this machine
	InContext      bool              // Dockerfile is a path in the context: no symlink leads out of it
	DockerfileData []byte            // the Dockerfile itself where it came from stdin; Dockerfile is then unused
	Named          map[string]string // --build-context NAME=… as given
	BuildArgs      map[string]string
	Labels         map[string]string
	Target         string
	Network        string // host, none or default; empty is default
	NoCache        bool
	Pull           bool
	Tags           []ref.Reference
}

// Builder is what a build works with.
type Builder struct {
	Store    *store.Store
	Engine   Runner
	Puller   Puller
	Progress Progress
	Log      *slog.Logger
	Now      func() time.Time
	Rootless bool // overlays take user xattrs, there is no bridge
	SingleID bool // one id only: owners other than root cannot be set
}

// Result is a finished build.
type Result struct {
	Image    *store.Image
	Warnings []Warning
	User     UserReport
	Images   map[string]digest.Digest // the manifests of the images it read, by the names it read them under
	Ran      bool                     // something was run or pulled: not everything was there
}

// Build runs a build. Errors carry the place in the Dockerfile: see PrintError. Whatever it mounted or made
// beside the result is gone when it returns. The process must have a mount namespace of its own (mountns).
func (b *Builder) Build(ctx context.Context, o Options) (*Result, error) {
	lease, err := b.Store.Lease(ctx)
	if err != nil {
		return nil, fmt.Errorf("lease store: %w", err)
	}
	defer lease.Release()
	s, err := newSolver(ctx, b, o)
	if s != nil {
		defer func() {
			s.close()
			lease.Release()
			if s.brokenPull { // what came is of no use
				_ = b.Store.GC(context.WithoutCancel(ctx)) // the build's own error is the one to tell
			}
		}()
	}
	if err != nil {
		return nil, err
	}
	res, err := s.build(ctx, o)
	if err != nil {
		return nil, s.explain(ctx, err, o)
	}
	return res, nil
}

// build runs the front end, solves what it asks for and puts the image into the store.
func (s *solver) build(ctx context.Context, o Options) (*Result, error) {
	g := &gateway{s: s, opts: frontendOpts(o), now: s.b.Now}
	res, err := dockerfile.Build(ctx, g)
	if err != nil {
		return nil, withWarnings(err, g.sortedWarnings())
	}
	r, ok := res.Ref.(*reference)
	if !ok {
		return nil, errors.New("building for several platforms at once is not there yet")
	}
	out, err := r.solve(ctx)
	if err != nil {
		return nil, err
	}
	step := s.b.Progress.Start("exporting to image")
	img, err := s.export(ctx, o, res.Metadata[exptypes.ExporterImageConfigKey], out, step)
	step.Done(err)
	if err != nil {
		return nil, err
	}
	u, err := s.reportUser(img, out.Layers, g.dockerfile, o)
	if err != nil {
		return nil, err
	}
	return &Result{Image: img, Warnings: g.sortedWarnings(), User: u, Images: s.imagesRead(), Ran: s.ran.Load()}, nil
}

// frontendOpts are the front end's options, by the names BuildKit gives them.
func frontendOpts(o Options) map[string]string {
	opts := map[string]string{
		"filename": dockerfileName(o),
		"cmdline":  "builtin", // else a `# syntax=` line asks for a front end in an image
	}
	for k, v := range o.BuildArgs {
		opts["build-arg:"+k] = v
	}
	for k, v := range o.Labels {
		opts["label:"+k] = v
	}
	if o.Target != "" {
		opts["target"] = o.Target
	}
	if o.NoCache {
		opts["no-cache"] = ""
	}
	if o.Pull {
		opts["image-resolve-mode"] = "pull"
	}
	switch o.Network {
	case "host", "none":
		opts["force-network-mode"] = o.Network
	default:
		opts["force-network-mode"] = "sandbox"
	}
	maps.Copy(opts, namedContextOpts(o.Named))
	return opts
}
