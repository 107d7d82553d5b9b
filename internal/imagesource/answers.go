package imagesource

import (
	"context"
	"sync"
)

// answers remembers what was found, errors as well, and has several who ask for the same wait for one. It holds at
// most most answers and forgets the one that was asked for least recently.
type answers[V any] struct {
	most int

	mu    sync.Mutex
	byKey map[string]*given[V]
	asked uint64
}

type given[V any] struct {
	done  chan struct{}
	value V
	err   error
	lost  bool   // whoever looked gave up
	asked uint64 // when it was asked for, counted
}

// do returns what find found, now or before. Where find fails because ctx has ended, the next in line looks again.
func (a *answers[V]) do(ctx context.Context, key string, find func() (V, error)) (V, error) {
	for {
		g, mine := a.take(key)
		if mine {
			g.value, g.err = find()
			if g.lost = g.err != nil && ctx.Err() != nil; g.lost {
				a.forget(key, g)
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
	a.asked++
	if g, ok := a.byKey[key]; ok {
		g.asked = a.asked
		return g, false
	}
	if a.byKey == nil {
		a.byKey = make(map[string]*given[V])
	}
	if len(a.byKey) >= a.most {
		a.forgetOldest()
	}
	g = &given[V]{done: make(chan struct{}), asked: a.asked}
	a.byKey[key] = g
	return g, true
}

func (a *answers[V]) forgetOldest() {
	oldest := ""
	for key, g := range a.byKey {
		if old, ok := a.byKey[oldest]; !ok || g.asked < old.asked {
			oldest = key
		}
	}
	delete(a.byKey, oldest)
}

func (a *answers[V]) forget(key string, g *given[V]) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.byKey[key] == g {
		delete(a.byKey, key)
	}
}
