package flight_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/deckhand-engine/deckhand/internal/flight"
)

func TestTogether(t *testing.T) {
	var g flight.Group[int]
	var calls atomic.Int32
	begin := make(chan struct{})
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			<-begin
			if v, err := g.Do(t.Context(), "k", func() (int, error) { return int(calls.Add(1)), nil }); v != 1 || err != nil {
				t.Errorf("Do = %d, %v", v, err)
			}
		})
	}
	close(begin)
	wg.Wait()
	if calls.Load() != 1 {
		t.Errorf("done %d times", calls.Load())
	}
}

func TestErrors(t *testing.T) {
	for name, tt := range map[string]struct {
		forget bool
		want   int
	}{"remembered": {false, 1}, "forgotten": {true, 3}} {
		t.Run(name, func(t *testing.T) {
			g := flight.Group[int]{ForgetErrors: tt.forget}
			calls := 0
			for range 3 {
				if _, err := g.Do(t.Context(), "k", func() (int, error) { calls++; return 0, errors.ErrUnsupported }); !errors.Is(err, errors.ErrUnsupported) {
					t.Errorf("error %v", err)
				}
			}
			if calls != tt.want {
				t.Errorf("done %d times, want %d", calls, tt.want)
			}
		})
	}
}

// TestLeastRecent: with room for two, the one that was asked for last stays.
func TestLeastRecent(t *testing.T) {
	g := flight.Group[string]{Most: 2}
	calls := map[string]int{}
	for _, key := range []string{"a", "b", "a", "c", "a", "b"} {
		v, err := g.Do(t.Context(), key, func() (string, error) { calls[key]++; return key, nil })
		if v != key || err != nil {
			t.Errorf("Do(%s) = %s, %v", key, v, err)
		}
	}
	if calls["a"] != 1 || calls["b"] != 2 || calls["c"] != 1 {
		t.Errorf("done %v", calls)
	}
}

// TestOwnerGivesUp: who waits takes over.
func TestOwnerGivesUp(t *testing.T) {
	var g flight.Group[int]
	ctx, cancel := context.WithCancel(t.Context())
	started, waiting := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_, err := g.Do(ctx, "k", func() (int, error) {
			close(started)
			<-waiting
			cancel()
			return 0, ctx.Err()
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("the owner got %v", err)
		}
	})
	<-started
	wg.Go(func() {
		if v, err := g.Do(t.Context(), "k", func() (int, error) { return 7, nil }); v != 7 || err != nil {
			t.Errorf("who waited got %d, %v", v, err)
		}
	})
	close(waiting)
	wg.Wait()
	ended, stop := context.WithCancel(t.Context())
	stop()
	hold := make(chan struct{})
	begun := make(chan struct{})
	wg.Go(func() {
		_, _ = g.Do(t.Context(), "slow", func() (int, error) { close(begun); <-hold; return 1, nil })
	})
	<-begun
	if _, err := g.Do(ended, "slow", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("who gave up got %v", err)
	}
	close(hold)
	wg.Wait()
}
