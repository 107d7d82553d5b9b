package harden

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// numbers are 0 to n-1.
func numbers(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// alternatives passes where one of a few sets is there in full: more never hurts.
func alternatives(r *rand.Rand, n int) func([]int) bool {
	var sets [][]int
	for range 1 + r.IntN(3) {
		share := r.Float64()
		sets = append(sets, slices.DeleteFunc(numbers(n), func(int) bool { return r.Float64() > share }))
	}
	return func(items []int) bool {
		return slices.ContainsFunc(sets, func(set []int) bool {
			return !slices.ContainsFunc(set, func(i int) bool { return !slices.Contains(items, i) })
		})
	}
}

// whims passes with all there are, and now and then with less: more may hurt.
func whims(r *rand.Rand, n int) func([]int) bool {
	known := map[string]bool{fmt.Sprint(numbers(n)): true}
	odds := r.Float64()
	return func(items []int) bool {
		key := fmt.Sprint(items)
		if _, ok := known[key]; !ok {
			known[key] = r.Float64() < odds
		}
		return known[key]
	}
}

// checkMinimal sees that what minimal finds passes, that nothing can be left out of it, and that it asks no more often
// than it has to.
func checkMinimal(t *testing.T, n, most int, passes func([]int) bool) {
	t.Helper()
	tests := 0
	items := numbers(n)
	got, err := minimal(t.Context(), items, func(_ context.Context, items []int) (bool, error) {
		tests++
		return passes(items), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.IsSorted(got) {
		t.Errorf("%v: the order changed", got)
	}
	if diff := cmp.Diff(numbers(n), items); diff != "" {
		t.Errorf("the list that was given changed (-before +after)\n%s", diff)
	}
	if !passes(got) {
		t.Errorf("it does not pass with %v", got)
	}
	for i := range got {
		if rest := slices.Concat(got[:i], got[i+1:]); passes(rest) {
			t.Errorf("%v can do without %d", got, got[i])
		}
	}
	if tests > most {
		t.Errorf("%d tests of %d items, want at most %d", tests, n, most)
	}
}

func TestMinimal(t *testing.T) {
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 1))
		n := r.IntN(40)
		// Each is tried once, and once more after the last that could go; halves, quarters and so on come on top.
		checkMinimal(t, n, 5*n, alternatives(r, n))
		checkMinimal(t, n, n*(n+7)/2, whims(r, n))
	}
}

func FuzzMinimal(f *testing.F) {
	f.Add(uint64(1), uint8(0), true)
	f.Add(uint64(2), uint8(13), true)
	f.Add(uint64(3), uint8(24), false)
	f.Fuzz(func(t *testing.T, seed uint64, n uint8, isMonotone bool) {
		r := rand.New(rand.NewPCG(seed, 2))
		size := int(n % 64)
		if isMonotone {
			checkMinimal(t, size, 5*size, alternatives(r, size))
		} else {
			checkMinimal(t, size, size*(size+7)/2, whims(r, size))
		}
	})
}

// TestMinimalCost is what is asked of services: few items, nearly all of them needed, or many and nearly none.
func TestMinimalCost(t *testing.T) {
	tests := map[string]struct {
		n      int
		needed []int
		most   int
	}{
		"none":                    {0, nil, 0},
		"one, needed":             {1, []int{0}, 1},
		"one, not needed":         {1, nil, 1},
		"few, all needed":         {8, numbers(8), 8},
		"few, one of them not":    {8, []int{0, 1, 2, 4, 5, 6, 7}, 11},
		"many, none needed":       {32, nil, 2},
		"many, one of them":       {32, []int{17}, 13},
		"many, all of them":       {32, numbers(32), 64},
		"capabilities, no of use": {15, []int{0}, 12},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			checkMinimal(t, tt.n, tt.most, func(items []int) bool {
				return !slices.ContainsFunc(tt.needed, func(i int) bool { return !slices.Contains(items, i) })
			})
		})
	}
}

// TestMinimalError ends at the first error.
func TestMinimalError(t *testing.T) {
	errDisk := errors.New("the disk is full")
	for at := 1; at <= 5; at++ {
		tests := 0
		_, err := minimal(t.Context(), numbers(20), func(context.Context, []int) (bool, error) {
			if tests++; tests == at {
				return true, errDisk
			}
			return tests%2 == 0, nil
		})
		if !errors.Is(err, errDisk) || tests != at {
			t.Errorf("%v after %d tests, want the error after %d", err, tests, at)
		}
	}
}
