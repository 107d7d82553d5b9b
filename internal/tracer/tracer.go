// Package tracer watches the processes of a container by ptrace, and makes a record of what they did.
//
// The container runs under Filter's seccomp profile, with which each system call stops once for the tracer.
// Calls of interest are followed to their end; the others are counted. What the profile refuses is refused
// by the tracer, so that it is recorded like any other refusal.
//
// A watched container lives no longer than its Tracer: the kernel kills it where this program dies.
package tracer

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/deckhand-engine/deckhand/guard/observe"
)

// ErrClosed is returned by Attach after Close.
var ErrClosed = errors.New("the tracer is closed")

// Tracer watches the processes it has been attached to, and all that they start.
type Tracer struct {
	calls []call
	names []string
	rec   recorder

	mu      sync.Mutex
	closed  bool
	watches []*watch
}

// New makes a Tracer that watches nothing yet. The caller closes it.
func New() (*Tracer, error) {
	if err := quietStops(); err != nil {
		return nil, fmt.Errorf("arrange for stops of tracees: %w", err)
	}
	t := &Tracer{calls: table()}
	t.names = make([]string, len(t.calls))
	for n, c := range t.calls {
		t.names[n] = c.name
	}
	t.rec.counts, t.rec.index = make([]uint64, len(t.calls)), map[string]int{}
	return t, nil
}

// Attach watches a process, a child of this program, which has not loaded its filter yet: it is
// runtime.StartOptions.Attach. It may be called again, for other containers and for processes that enter them
// (runtime.ExecOptions.Attach); what they do goes into the same record.
func (t *Tracer) Attach(pid int) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return fmt.Errorf("watch process %d: %w", pid, ErrClosed)
	}
	t.watches = slices.DeleteFunc(t.watches, (*watch).over)
	w, err := newWatch(t, pid)
	if err != nil {
		return fmt.Errorf("watch process: %w", err)
	}
	seized := make(chan error, 1)
	go w.run(seized)
	if err := <-seized; err != nil {
		<-w.done
		return fmt.Errorf("watch process: %w", err)
	}
	t.watches = append(t.watches, w)
	return nil
}

// Record is what was seen so far. It may be called at any time, also after Close.
func (t *Tracer) Record() *observe.Record { return t.rec.snapshot(t.names) }

// Close ends the watching. Processes that still run are killed; their exits are for their parents to collect.
// It returns when nothing is traced any more.
func (t *Tracer) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	for _, w := range t.watches {
		w.close()
	}
	for _, w := range t.watches {
		<-w.done
	}
	t.watches = nil
	return nil
}
