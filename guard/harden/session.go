package harden

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/observe"
	"github.com/deckhand-engine/deckhand/guard/proof"
	"github.com/deckhand-engine/deckhand/guard/repair"
)

// deafPatience is how long a service may take to end that did not when it was asked as root: it will not now.
const deafPatience = 3 * time.Second

// session is one hardening.
type session struct {
	o        *Options
	original string       // the id of the image as it is
	image    *guard.Image // the same
	files    *tree        // of the same
	edit     repair.Options
	ports    []string // published besides those that the image exposes

	plain  *Outcome            // of the service as it is
	asRoot *Outcome            // of the same, watched
	built  map[string]string   // images by the text of their Dockerfile
	asked  []string            // system calls of watched trials that passed, as the user
	made   map[string]*Outcome // by this run, by key
	// unsayable are repairs that no Dockerfile of this image can make.
	unsayable []repair.Repair
	// deciding are capabilities by system call.
	deciding map[string]string
	trials   []proof.Trial
	// without says, by a repair's String, how the service fails when only that is missing.
	without map[string]string
	times   times
}

// times are how long things took.
type times struct {
	began                         time.Time
	build, service, trials, probe time.Duration
}

// user is whom the service is to run as.
func (o *Options) user() string { return fmt.Sprintf("%d:%d", o.UID, o.GID) }

// note tells the user something.
func (s *session) note(phase Phase, format string, args ...any) {
	s.tell(Event{Phase: phase, Note: fmt.Sprintf(format, args...)})
}

func (s *session) tell(e Event) {
	if s.o.Progress != nil {
		s.o.Progress(e)
	}
}

// test is one trial of a candidate.
type test struct {
	phase     Phase
	title     string
	candidate candidate
	observe   bool
	fresh     bool // what is remembered does not count
}

// try builds and runs a candidate. A Dockerfile that cannot be written or built is a trial that failed.
func (s *session) try(ctx context.Context, t test) (*Outcome, error) {
	text, err := s.dockerfile(t.candidate, false)
	if _, ok := unsayable(err); ok {
		out := &Outcome{Stage: StageStart, Reason: err.Error(), Record: &observe.Record{}}
		s.ended(t, out)
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	filter, err := s.filterOf(t.candidate)
	if err != nil {
		return nil, err
	}
	trial := Trial{
		Title: t.title, Profile: s.profile(t.candidate), Seccomp: filter, Observe: t.observe,
		Patience: s.patience(t.observe),
	}
	return s.remembered(ctx, t, string(text), trial)
}

// filterOf is the candidate's seccomp profile; nil for the default one.
func (s *session) filterOf(c candidate) ([]byte, error) {
	if c.syscalls == nil {
		return nil, nil
	}
	return proof.SeccompProfile(c.syscalls, s.profile(c).Capabilities)
}

// unsayable is the repair that a Dockerfile cannot make, for want of a shell or because of a name, where that is the
// error.
func unsayable(err error) (repair.Repair, bool) {
	if noShell, ok := errors.AsType[*repair.NoShellError](err); ok {
		return noShell.Repair, true
	}
	if badPath, ok := errors.AsType[*repair.PathError](err); ok {
		return badPath.Repair, true
	}
	return repair.Repair{}, false
}

// patience is how long the check may take to pass: as root it did within plain.Ready.
func (s *session) patience(watched bool) time.Duration {
	const grace = 2 * time.Second
	ready := s.plain.Ready
	if watched {
		ready = max(2*ready, s.asRoot.Ready)
	}
	return 2*ready + grace
}

// remembered asks the memory first, and the lab then.
func (s *session) remembered(ctx context.Context, t test, text string, trial Trial) (*Outcome, error) {
	key, err := digestOf(s.original, text, trial.Profile, trial.Seccomp, trial.Observe, s.o.Checks, s.ports)
	if err != nil {
		return nil, err
	}
	if !t.fresh {
		if out := s.recall(key); out != nil {
			s.ended(t, out)
			return out, nil
		}
	}
	s.tell(Event{Phase: t.phase, Title: t.title})
	trial.Image, err = s.build(ctx, text)
	if failure, ok := errors.AsType[*BuildError](err); ok {
		out := &Outcome{Stage: StageStart, Reason: "the image could not be built", Output: failure.Error(), Record: &observe.Record{}}
		s.ended(t, out)
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	out, err := s.run(ctx, trial)
	if err != nil {
		return nil, err
	}
	s.compare(out)
	s.keep(key, out)
	s.ended(t, out)
	return out, nil
}

// recall is what a trial came to that this run or an earlier one made; nil: none did.
func (s *session) recall(key string) *Outcome {
	if out := s.made[key]; out != nil || s.o.Memory == nil {
		return out
	}
	return s.o.Memory.Recall(key)
}

func (s *session) keep(key string, out *Outcome) {
	s.made[key] = out
	if s.o.Memory != nil {
		s.o.Memory.Keep(key, out)
	}
}

// compare fails a service that does not end any more when it is asked to, though it did as root: what it does in the
// end, such as to save its data, is a part of its work.
func (s *session) compare(out *Outcome) {
	if out.Passed && out.Late && s.plain.Killed == "" {
		out.Passed, out.Stage, out.Reason = false, StageStop, "it ended when it was asked to as root, but not like this: "+out.Killed
	}
}

// run makes a trial.
func (s *session) run(ctx context.Context, trial Trial) (*Outcome, error) {
	if s.plain != nil && s.plain.Late {
		trial.StopPatience = deafPatience
	}
	out, err := s.o.Lab.Try(ctx, trial)
	if err != nil {
		return nil, err
	}
	s.times.service += out.Service
	s.times.trials += out.Took
	return out, nil
}

// build builds a Dockerfile, unless it was built before.
func (s *session) build(ctx context.Context, text string) (string, error) {
	if id, ok := s.built[text]; ok {
		return id, nil
	}
	began := s.o.Now()
	id, err := s.o.Lab.Build(ctx, []byte(text))
	s.times.build += s.o.Now().Sub(began)
	if err != nil {
		return "", err
	}
	s.built[text] = id
	return id, nil
}

// ended notes what came of a trial.
func (s *session) ended(t test, out *Outcome) {
	if out.Passed && out.Record != nil && t.phase == Repairing {
		s.asked = union(s.asked, names(out.Record))
	}
	line := proof.Trial{Title: t.title, Passed: out.Passed, Reason: out.Reason, Took: out.Took}
	if out.Record != nil {
		line.Denials = len(denials(out.Record))
	}
	s.trials = append(s.trials, line)
	s.tell(Event{Phase: t.phase, Title: t.title, Trial: &line, Outcome: out})
}

// denials are the calls of a record that were refused, on paths that a service could be given.
func denials(r *observe.Record) []observe.Call {
	var out []observe.Call
	for _, c := range r.Calls {
		if c.Denied() { // by the filter too: that of containers allows some calls only with their capability
			out = append(out, c)
		}
	}
	return out
}

// allowed are the calls of the run as root that succeeded.
func (s *session) allowed() iter.Seq[*observe.Call] {
	return func(yield func(*observe.Call) bool) {
		for i := range s.asRoot.Record.Calls {
			if c := &s.asRoot.Record.Calls[i]; c.Errno == 0 && !yield(c) {
				return
			}
		}
	}
}

// union joins sorted names.
func union(a, b []string) []string {
	out := slices.Concat(a, b)
	slices.Sort(out)
	return slices.Compact(out)
}
