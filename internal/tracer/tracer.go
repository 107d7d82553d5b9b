// Package tracer watches the processes of a container by ptrace, and makes a record of what they did.
//
// The container runs under Filter's seccomp profile, with which each system call stops once for the tracer.
// Calls of interest are followed to their end; the others are counted. What the profile refuses is refused
// by the tracer, so that it is recorded like any other refusal.
//
// A watched container lives no longer than its Tracer: the kernel kills it where this program dies.
package tracer

import (
	"github.com/deckhand-engine/deckhand/guard/observe"
)

// Tracer watches the processes it has been attached to, and all that they start.
type Tracer struct {
	rec recorder
}

// New makes a Tracer that watches nothing yet. The caller closes it.
func New() (*Tracer, error) { return &Tracer{}, nil }

// Attach watches a process, a child of this program, which has not loaded its filter yet: it is
// runtime.StartOptions.Attach. It may be called again for processes that enter the container.
func (t *Tracer) Attach(pid int) error { return t.attach(pid) }

// Record is what was seen so far. It may be called at any time, also after Close.
func (t *Tracer) Record() *observe.Record { return t.rec.snapshot() }

// Close ends the watching. Processes that still run are killed; their exits are for their parents to collect.
// It returns when none is traced any more.
func (t *Tracer) Close() error { return t.close() }
