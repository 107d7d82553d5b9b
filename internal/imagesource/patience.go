package imagesource

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/deckhand-engine/deckhand/registry"
)

// A registry's answers are small. Whoever waits for many images is not to wait for each where the registry is down.
const (
	answerTime = 30 * time.Second // for one image or one list of tags, however many requests that takes
	maxInVain  = 3                // questions in a row without an answer, after which a registry is given up
)

// patience remembers which registries do not answer.
type patience struct {
	mu     sync.Mutex
	inVain map[string]int   // by host
	last   map[string]error // likewise
}

// ask asks a registry something, in bounded time, unless it was given up.
func (s *Source) ask(ctx context.Context, host string, question func(context.Context) error) error {
	if err := s.patience.givenUp(host); err != nil {
		return err
	}
	most := s.AnswerTime
	if most == 0 {
		most = answerTime
	}
	limited, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	err := question(limited)
	switch {
	case ctx.Err() != nil:
		return err
	case err != nil && limited.Err() != nil:
		err = fmt.Errorf("registry %s has not answered for %s: %w", host, most, registry.ErrUnreachable)
	}
	s.patience.note(host, err)
	return err
}

// givenUp says why a registry is not asked any more; nil: it is.
func (p *patience) givenUp(host string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.inVain[host] < maxInVain {
		return nil
	}
	return fmt.Errorf("registry %s was given up after %d questions in vain, the last: %w", host, p.inVain[host], p.last[host])
}

// note takes notice of an answer. That something is not there, or not for us, is one.
func (p *patience) note(host string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !errors.Is(err, registry.ErrUnreachable) && !errors.Is(err, registry.ErrBusy) {
		delete(p.inVain, host)
		return
	}
	if p.inVain == nil {
		p.inVain, p.last = map[string]int{}, map[string]error{}
	}
	p.inVain[host]++
	p.last[host] = err
}
