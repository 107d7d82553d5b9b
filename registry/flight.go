package registry

import (
	"context"
	"sync"
)

// flights does what several goroutines want to have done, once for each key. The zero value is ready.
type flights[V any] struct {
	mu    sync.Mutex
	byKey map[string]*flight[V]
}

type flight[V any] struct {
	done  chan struct{}
	value V
	err   error
	lost  bool // its owner gave up
}

// do returns what fn returned, to whoever asked first or to the others. A value is remembered; so is an error where
// lasting says so. Where fn fails because ctx has ended, the next in line does it again.
func (f *flights[V]) do(ctx context.Context, key string, lasting bool, fn func() (V, error)) (V, error) {
	for {
		f.mu.Lock()
		x := f.byKey[key]
		mine := x == nil
		if mine {
			if f.byKey == nil {
				f.byKey = make(map[string]*flight[V])
			}
			x = &flight[V]{done: make(chan struct{})}
			f.byKey[key] = x
		}
		f.mu.Unlock()
		if mine {
			x.value, x.err = fn()
			x.lost = x.err != nil && ctx.Err() != nil
			f.land(key, x, lasting)
			return x.value, x.err
		}
		select {
		case <-x.done:
		case <-ctx.Done():
			var none V
			return none, ctx.Err()
		}
		if !x.lost {
			return x.value, x.err
		}
	}
}

func (f *flights[V]) land(key string, x *flight[V], lasting bool) {
	if x.lost || x.err != nil && !lasting {
		f.mu.Lock()
		delete(f.byKey, key)
		f.mu.Unlock()
	}
	close(x.done)
}
