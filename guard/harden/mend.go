package harden

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/deckhand-engine/deckhand/guard/observe"
	"github.com/deckhand-engine/deckhand/guard/repair"
)

// mostRounds is how often refusals are answered before it is given up.
const mostRounds = 24

// attempt is a candidate and what it came to.
type attempt struct {
	c   candidate
	out *Outcome
}

// mending is the search for a candidate that works.
type mending struct {
	s *session
	attempt
	answered attempt // what the answers to refusals alone came to
	rounds   int
}

// mend finds repairs with which the service works as the user. They are more than it needs.
func (s *session) mend(ctx context.Context) (candidate, error) {
	m := &mending{s: s, attempt: attempt{c: s.given()}}
	if err := m.try(ctx, m.c, "as "+s.o.user()+", nothing else"); err != nil {
		return m.c, err
	}
	if err := m.answerAll(ctx); err != nil {
		return m.c, err
	}
	m.answered = m.attempt
	for _, l := range s.levels() {
		if m.out.Passed {
			break
		}
		if err := m.climb(ctx, l); err != nil {
			return m.c, err
		}
	}
	if !m.out.Passed {
		return m.c, &UnprovenError{Reason: "nothing was found with which the service works", Outcome: *m.out}
	}
	return m.c, nil
}

// given is the candidate that has what is to be kept in any case.
func (s *session) given() candidate {
	c := candidate{}
	for _, name := range s.o.Keep {
		c = c.with(repair.Repair{Kind: repair.Capability, Value: name, Why: "it was to be kept"})
	}
	return c
}

// try makes a watched trial of a candidate, which becomes the present one. Repairs that no Dockerfile can say are left
// out of it.
func (m *mending) try(ctx context.Context, c candidate, title string) error {
	c = m.s.sayable(c)
	out, err := m.s.try(ctx, test{phase: Repairing, title: title, candidate: c, observe: true})
	if err != nil {
		return err
	}
	m.rounds++
	if out.Record == nil {
		out.Record = &observe.Record{}
	}
	m.attempt = attempt{c, out}
	return nil
}

// sayable is a candidate without the repairs that its Dockerfile cannot make.
func (s *session) sayable(c candidate) candidate {
	for {
		_, err := s.dockerfile(c, false)
		r, ok := unsayable(err)
		left := missing(c.repairs, []repair.Repair{r})
		if !ok || len(left) == len(c.repairs) {
			return c
		}
		s.note(Repairing, "left out: %s", err)
		s.unsayable = append(s.unsayable, r)
		c = c.only(left)
	}
}

// answerAll answers refusals until there are none that have an answer, or the service works.
func (m *mending) answerAll(ctx context.Context) error {
	for !m.out.Passed && m.rounds < mostRounds {
		repairs := missing(m.s.answer(m.c, m.out.Record), m.s.unsayable)
		if len(repairs) == 0 {
			return nil
		}
		if err := m.try(ctx, m.c.with(repairs...), "with "+list(repairs)); err != nil {
			return err
		}
	}
	return nil
}

// list names repairs in a line.
func list(repairs []repair.Repair) string {
	const most = 3
	var names []string
	for _, r := range repairs[:min(most, len(repairs))] {
		names = append(names, r.String())
	}
	text := strings.Join(names, ", ")
	if n := len(repairs) - most; n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	return text
}

// climb goes one level up, and back where that led nowhere.
func (m *mending) climb(ctx context.Context, l level) error {
	const most = 5 // times that a level is asked
	before := m.attempt
	if l.from != nil {
		m.attempt = l.from(m)
	}
	for range most {
		more, err := m.step(ctx, l)
		if err != nil || m.out.Passed {
			return err
		}
		if !more || !l.again {
			break
		}
	}
	if !l.keep && (l.from != nil || !better(m.out, before.out)) {
		m.attempt = before
	}
	return nil
}

// step tries what a level proposes. It reports whether that was anything.
func (m *mending) step(ctx context.Context, l level) (bool, error) {
	repairs, err := l.propose(ctx, m.c, m.out.Record)
	if err != nil {
		return false, err
	}
	if repairs = missing(slices.DeleteFunc(repairs, m.c.has), m.s.unsayable); len(repairs) == 0 {
		return false, nil
	}
	if err := m.try(ctx, m.c.with(repairs...), l.title+": "+list(repairs)); err != nil {
		return false, err
	}
	return true, m.answerAll(ctx)
}

// answers begin again with nothing but the answers to refusals.
func (m *mending) answers() attempt { return m.answered }

// places begin again with the writable places and the ports only, and those that root needs.
func (m *mending) places() attempt {
	as := &answers{s: m.s, asRoot: true}
	for call := range m.s.allowed() {
		as.succeeded(call)
	}
	out := m.s.given()
	for _, r := range slices.Concat(m.c.repairs, as.proposals()) {
		if isMount(r) || r.Kind == repair.Port {
			out = out.with(r)
		}
	}
	return attempt{out, m.answered.out}
}

// bare begins again with nothing but what is to be kept.
func (m *mending) bare() attempt { return attempt{m.s.given(), m.answered.out} }

// better reports whether a trial came further than another: to a later stage, or with the service still running, or
// with fewer privileges refused.
func better(a, b *Outcome) bool {
	if x, y := rank(a), rank(b); x != y {
		return x > y
	}
	return privileged(a) < privileged(b)
}

func rank(o *Outcome) int {
	stages := []Stage{StageStart, StageCheck, StageExercise, StageStop, StageRestart, StageDone}
	n := 2 * slices.Index(stages, o.Stage)
	if !o.Exited {
		n++
	}
	return n
}

// privileged counts the refusals that no file's owner decides.
func privileged(o *Outcome) int {
	n := 0
	for _, c := range denials(o.Record) {
		if isIdentity(c.Syscall) || changesOthers(&c) {
			n++
		}
	}
	return n
}
