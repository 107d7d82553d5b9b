// Package engine joins store, runtime and network.
package engine

import (
	"context"
	"errors"
	"log/slog"

	specs "github.com/opencontainers/runtime-spec/specs-go"

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
	User        string   // docker's USER syntax
	GroupAdd    []string
	Options     oci.SpecOptions      // ids and cgroup are filled in by Start
	CheckUser   func(oci.User) error // may refuse; nil accepts
	Network     *network.Network     // nil: a network namespace with loopback only (or the host's, by Options)
	Stdio       runtime.Stdio
	Init        bool
}

// Running is a started sandbox.
type Running struct {
	*runtime.Process
	Spec *specs.Spec
	User oci.User
}

// Start acquires id range and cgroup, mounts the root and starts. On error nothing is left behind.
func (e *Engine) Start(ctx context.Context, s *Sandbox) (*Running, error) {
	return nil, errors.ErrUnsupported
}

// Wait waits for the end and removes cgroup, network and id range.
func (r *Running) Wait(ctx context.Context) (runtime.Exit, error) {
	return runtime.Exit{}, errors.ErrUnsupported
}

// Sweep clears what dead processes left: cgroups, networks, records of containers to be removed.
func (e *Engine) Sweep(ctx context.Context) error { return nil }
