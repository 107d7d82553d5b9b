// Package engine joins store, runtime and network.
//
// A [Sandbox] is what is started: layers, an upper directory, a user, a spec. Builds start sandboxes of
// their own; `run` starts those of a [Container], which is a sandbox with a record in the store, files of
// its own and a life after the process. The engine prints nothing and knows no flags.
package engine

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"slices"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/deckhand-engine/deckhand/internal/linux/cgroup"
	"github.com/deckhand-engine/deckhand/internal/network"
	"github.com/deckhand-engine/deckhand/internal/runtime"
	"github.com/deckhand-engine/deckhand/internal/store"
	"github.com/deckhand-engine/deckhand/oci"
)

// Engine runs containers on one store.
type Engine struct {
	Store    *store.Store
	Rootless bool
	SingleID bool
	Log      *slog.Logger
}

// Sandbox is one container to start: what `run` and a build's RUN share.
type Sandbox struct {
	ID          string
	Lower       []string // layer directories, bottom first
	UpperBase   string   // directory that holds Upper and Work
	Upper, Work string   // empty: read-only root
	Volatile    bool     // Upper is worth nothing after a crash of the machine: fsync does nothing in it
	User        string   // docker's USER syntax
	GroupAdd    []string
	Options     oci.SpecOptions      // ids and cgroup are filled in by Start
	Volumes     []Volume             // directories that start with the image's content
	CheckUser   func(oci.User) error // may refuse; nil accepts
	Filled      func(*Running)       // called once Volumes are filled, before anything runs; may be nil
	Network     *network.Network     // nil: a network namespace with loopback only (or the host's, by Options)
	Stdio       runtime.Stdio
	Init        bool
	Limits      Limits
	Attach      func(pid int) error // runtime.StartOptions.Attach

	donor    *donor              // whose namespaces it joins; nil: nobody's
	detached map[string]*os.File // runtime.StartOptions.Detached
}

// close lets go of what only the start needs; s may be nil.
func (s *Sandbox) close() {
	if s == nil {
		return
	}
	for _, f := range s.detached {
		_ = f.Close() // a mount: nothing to lose; the runtime may have closed it
	}
	if s.donor != nil {
		s.donor.close()
	}
}

// Running is a started sandbox.
type Running struct {
	*runtime.Process
	Spec *specs.Spec
	User oci.User

	undo      []func(context.Context) error // run backwards by release
	group     *cgroup.Group
	limits    Limits
	oomKilled bool
	ids       runExtra
}

// releaseTimeout bounds the clearing up after a container, which must not depend on the caller's context.
const releaseTimeout = 30 * time.Second

// Wait waits for the end and removes cgroup, network and id range.
func (r *Running) Wait(ctx context.Context) (runtime.Exit, error) {
	exit, err := r.Process.Wait()
	r.lookForOOM()
	return exit, errors.Join(err, r.release(ctx))
}

// release gives back what Start took, last first.
func (r *Running) release(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer cancel()
	var errs []error
	for _, undo := range slices.Backward(r.undo) {
		errs = append(errs, undo(ctx))
	}
	r.undo = nil
	return errors.Join(errs...)
}

func (r *Running) onRelease(f func(context.Context) error) { r.undo = append(r.undo, f) }
