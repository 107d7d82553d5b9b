// Package flight has things done once: several who ask for the same at once wait for one of them, and the answer is
// remembered.
package flight

import (
	"container/list"
	"context"
	"sync"
)

// Group remembers answers by key. The zero value is ready, holds any number of them, and remembers errors too.
type Group[V any] struct {
	Most         int  // answers held, the one that was asked for least recently is forgotten; 0: all
	ForgetErrors bool // who asks after an error has it done again

	mu     sync.Mutex
	byKey  map[string]*list.Element
	recent list.List // of *flight[V], the one asked for last in front
}

type flight[V any] struct {
	key   string
	done  chan struct{}
	value V
	err   error
	lost  bool // its owner's context ended
}

// Do returns what fn returned, to whoever asked first or to somebody else. Where fn fails because its ctx has ended,
// the next in line does it again.
func (g *Group[V]) Do(ctx context.Context, key string, fn func() (V, error)) (V, error) {
	for {
		f, mine := g.take(key)
		if mine {
			f.value, f.err = fn()
			f.lost = f.err != nil && ctx.Err() != nil
			if f.lost || f.err != nil && g.ForgetErrors {
				g.forget(f)
			}
			close(f.done)
			return f.value, f.err
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			var none V
			return none, ctx.Err()
		}
		if !f.lost {
			return f.value, f.err
		}
	}
}

// take finds the flight of a key, or begins one.
func (g *Group[V]) take(key string) (f *flight[V], mine bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if e := g.byKey[key]; e != nil {
		g.recent.MoveToFront(e)
		return held[V](e), false
	}
	if g.byKey == nil {
		g.byKey = make(map[string]*list.Element)
	}
	if g.Most > 0 && len(g.byKey) >= g.Most {
		oldest := g.recent.Back()
		g.recent.Remove(oldest)
		delete(g.byKey, held[V](oldest).key)
	}
	f = &flight[V]{key: key, done: make(chan struct{})}
	g.byKey[key] = g.recent.PushFront(f)
	return f, true
}

// held is the flight of a list's element; the list holds nothing else.
func held[V any](e *list.Element) *flight[V] {
	f, _ := e.Value.(*flight[V])
	return f
}

// forget has the next who asks do it again.
func (g *Group[V]) forget(f *flight[V]) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if e := g.byKey[f.key]; e != nil && e.Value == f {
		g.recent.Remove(e)
		delete(g.byKey, f.key)
	}
}
