package cgroup

import (
	"strconv"
	"strings"
)

// list is a kernel's list of numbers, as 0-2,5.
type list [][2]uint64

// parseList reads one; ok unless it is none, or of a form that only kernels know.
func parseList(s string) (l list, ok bool) {
	for part := range strings.SplitSeq(s, ",") {
		if part == "" {
			continue
		}
		first, last, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			last = first
		}
		a, errFirst := strconv.ParseUint(first, 10, 32)
		b, errLast := strconv.ParseUint(last, 10, 32)
		if errFirst != nil || errLast != nil || a > b {
			return nil, false
		}
		l = append(l, [2]uint64{a, b})
	}
	return l, true
}

// within reports whether all has every number of l. The kernel's own lists are sorted and merged.
func (l list) within(all list) bool {
	for _, r := range l {
		inside := false
		for _, o := range all {
			inside = inside || o[0] <= r[0] && r[1] <= o[1]
		}
		if !inside {
			return false
		}
	}
	return true
}
