package harden_test

import (
	"slices"
	"testing"
)

// TestRareSyscalls has a system call that was seen as root, and is not made in each run.
func TestRareSyscalls(t *testing.T) {
	for name, in := range map[string][]int{
		"seen as root, and in the proof":            {2, 5},
		"seen when repaired, and in the proof":      {3, 5},
		"seen when learned again, never when asked": {4, 7},
	} {
		t.Run(name, func(t *testing.T) {
			rare := func(p *process) bool { return slices.Contains(in, p.run.n) }
			newHardening(x(starting(when(rare, calls("getrandom"))))).prove(t)
		})
	}
}
