package tracer

import "github.com/deckhand-engine/deckhand/guard/observe"

type recorder struct{}

func (*recorder) snapshot() *observe.Record { return &observe.Record{Syscalls: map[string]uint64{}} }
