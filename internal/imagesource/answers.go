package imagesource

import (
	"container/list"
	"context"
	"sync"
)

// answers remembers what was found, errors as well, and has several who ask for the same wait for one. It holds at
// most most answers and forgets those that were asked for least recently.
type answers[V any] struct {
	most int

	mu    sync.Mutex
	byKey map[string]*list.Element
	order list.List // of *given[V], the most recently asked for first
}

type given[V any] struct {
	key   string
	done  chan struct{}
	value V
	err   error
	lost  bool // whoever looked gave up
}

// do returns what find found, now or before. Where find fails because ctx has ended, the next in line looks again.
func (a *answers[V]) do(ctx context.Context, key string, find func() (V, error)) (V, error) {
	for {
		g, mine := a.take(key)
		if mine {
			g.value, g.err = find()
			if g.lost = g.err != nil && ctx.Err() != nil; g.lost {
				a.forget(g)
			}
			close(g.done)
			return g.value, g.err
		}
		select {
		case <-g.done:
		case <-ctx.Done():
			var none V
			return none, ctx.Err()
		}
		if !g.lost {
			return g.value, g.err
		}
	}
}

// limit sets how many answers are held.
func (a *answers[V]) limit(most int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.most = most
}

func (a *answers[V]) take(key string) (g *given[V], mine bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if e, ok := a.byKey[key]; ok {
		a.order.MoveToFront(e)
		return e.Value.(*given[V]), false //nolint:forcetypeassert // nothing else is put in
	}
	if a.byKey == nil {
		a.byKey = make(map[string]*list.Element)
	}
	g = &given[V]{key: key, done: make(chan struct{})}
	a.byKey[key] = a.order.PushFront(g)
	for a.order.Len() > a.most {
		last := a.order.Back()
		delete(a.byKey, last.Value.(*given[V]).key) //nolint:forcetypeassert // nothing else is put in
		a.order.Remove(last)
	}
	return g, true
}

func (a *answers[V]) forget(g *given[V]) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if e, ok := a.byKey[g.key]; ok && e.Value == any(g) {
		a.order.Remove(e)
		delete(a.byKey, g.key)
	}
}
