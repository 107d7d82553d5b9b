package engine

import (
	"slices"
	"strconv"
	"strings"

	"github.com/deckhand-engine/deckhand/internal/linux/idrange"
)

// contiguous reads a /proc/pid/uid_map and returns how many ids from 0 upwards are mapped without a gap,
// at most 65,536.
func contiguous(idMap string) uint32 {
	type extent struct{ first, count uint64 }
	var all []extent
	for line := range strings.Lines(idMap) {
		f := strings.Fields(line)
		if len(f) != 3 {
			continue
		}
		first, err1 := strconv.ParseUint(f[0], 10, 32)
		count, err2 := strconv.ParseUint(f[2], 10, 33)
		if err1 == nil && err2 == nil {
			all = append(all, extent{first, count})
		}
	}
	slices.SortFunc(all, func(a, b extent) int { return int(a.first) - int(b.first) }) //nolint:gosec // 32-bit numbers
	var end uint64
	for _, x := range all {
		if x.first > end {
			break
		}
		end = max(end, x.first+x.count)
	}
	return uint32(min(end, idrange.Size))
}
