package buildcmd

import (
	"sync"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/deckhand-engine/deckhand/internal/build"
)

// pullProgress adds up the blobs of a pull for one step's line.
type pullProgress struct {
	step build.Step

	mu    sync.Mutex
	done  map[digest.Digest]int64
	total map[digest.Digest]int64
}

// Blob is told how much of a blob is there.
func (p *pullProgress) Blob(d v1.Descriptor, done int64, _ string) {
	p.mu.Lock()
	if p.done == nil {
		p.done, p.total = map[digest.Digest]int64{}, map[digest.Digest]int64{}
	}
	p.done[d.Digest], p.total[d.Digest] = done, d.Size
	var sumDone, sumTotal int64
	for k, v := range p.done {
		sumDone += v
		sumTotal += p.total[k]
	}
	p.mu.Unlock()
	p.step.Bytes(sumDone, sumTotal)
}
