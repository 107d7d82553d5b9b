package tracer

import (
	"encoding/binary"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/guard/observe"
)

// What a record may grow to. Half of it is kept for what matters more than a file that was read or is not there.
const (
	maxCalls     = 32 << 10
	maxCallBytes = 32 << 20
)

// recorder makes one record of what all watches see.
type recorder struct {
	mu     sync.Mutex
	counts []uint64 // by number
	others uint64   // numbers that have no name
	calls  []observe.Call
	index  map[string]int // of calls, by what makes them alike
	key    []byte
	bytes  int
	lost   uint64
}

// seen is a call that has ended.
type seen struct {
	observe.Call
	keyArgs uint8 // which of Args tell calls apart
	each    bool  // is kept each
	partial bool  // could not be read in full
}

// add takes the call up. The caller holds mu.
func (r *recorder) add(s *seen) {
	if s.partial {
		r.lost++
	}
	if !s.each {
		r.makeKey(s)
		if i, ok := r.index[string(r.key)]; ok {
			r.calls[i].Count++
			return
		}
	}
	size := sizeOf(&s.Call)
	if !r.room(s, size) {
		if !s.partial {
			r.lost++
		}
		return
	}
	r.bytes += size
	s.Count = 1
	if !s.each {
		r.index[string(r.key)] = len(r.calls)
	}
	r.calls = append(r.calls, s.Call)
}

func (r *recorder) room(s *seen, size int) bool {
	calls, bytes := maxCalls, maxCallBytes
	if !s.Writes && !s.each && (s.Errno == 0 || s.Errno == unix.ENOENT) {
		calls, bytes = calls/2, bytes/2
	}
	return len(r.calls) < calls && r.bytes+size <= bytes
}

func sizeOf(c *observe.Call) int {
	const fixed = 512 // the Call, and its place in the index
	n := fixed + 2*(len(c.Path)+len(c.To)+len(c.Address)+len(c.Process.Comm)+len(c.Process.Exe))
	for _, a := range c.Argv {
		n += len(a) + 16
	}
	return n
}

// makeKey writes down all that two calls must share to be one.
func (r *recorder) makeKey(s *seen) {
	k := r.key[:0]
	for _, text := range [...]string{s.Syscall, s.Path, s.To, s.Socket, s.Address, s.Process.Comm, s.Process.Exe} {
		k = append(binary.AppendUvarint(k, uint64(len(text))), text...)
	}
	for _, n := range [...]int64{int64(s.Errno), s.ID, s.Group, int64(s.Process.UID)} { //nolint:gosec // small
		k = binary.AppendVarint(k, n)
	}
	for i, a := range s.Args {
		if s.keyArgs&(1<<i) != 0 {
			k = binary.AppendVarint(k, a)
		}
	}
	for _, b := range [...]bool{s.Writes, s.Creates, s.Filtered} {
		if b {
			k = append(k, 1)
		} else {
			k = append(k, 0)
		}
	}
	r.key = k
}

// snapshot copies the record.
func (r *recorder) snapshot(names []string) *observe.Record {
	r.mu.Lock()
	defer r.mu.Unlock()
	rec := &observe.Record{Syscalls: map[string]uint64{}, Calls: slices.Clone(r.calls), Lost: r.lost + r.others}
	for n, count := range r.counts {
		if count > 0 {
			rec.Syscalls[names[n]] = count
		}
	}
	return rec
}
