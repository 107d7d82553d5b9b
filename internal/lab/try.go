package lab

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/guard/harden"
	"github.com/deckhand-engine/deckhand/internal/engine"
	"github.com/deckhand-engine/deckhand/internal/network"
	"github.com/deckhand-engine/deckhand/internal/runtime/stage"
	"github.com/deckhand-engine/deckhand/internal/store"
	"github.com/deckhand-engine/deckhand/internal/tracer"
)

const (
	// aliveTime is how long a service must live on after its check has passed.
	aliveTime = 100 * time.Millisecond
	// leastRestart is the least time that the check has after the restart, however quick the first start was to be.
	leastRestart = 5 * time.Second
)

// trial is one run of a service: two starts of one container.
type trial struct {
	lab       *Lab
	order     harden.Trial
	image     *store.Image
	settings  *settings
	ports     []network.Port
	patience  time.Duration
	checks    []check
	container *engine.Container
	tracer    *tracer.Tracer // nil: nobody watches
	output    tail           // of the service, both times
	said      string         // by the check that failed
	outcome   harden.Outcome
}

// Try implements harden.Lab.
func (l *Lab) Try(ctx context.Context, order harden.Trial) (*harden.Outcome, error) {
	// Containers and checks die with the thread that started them: it is ours until they have ended.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	began := l.now()
	t := &trial{lab: l, order: order, patience: order.Patience, output: tail{limit: serviceTail}}
	setDefault(&t.patience, l.o.CheckTimeout)
	err := t.run(ctx)
	if ctx.Err() != nil {
		return nil, fmt.Errorf("try %s: %w", order.Title, context.Cause(ctx))
	}
	if err != nil {
		return nil, fmt.Errorf("try %s: %w", order.Title, err)
	}
	t.outcome.Took = l.now().Sub(began)
	return &t.outcome, nil
}

// run makes the container, plays both rounds and removes it.
func (t *trial) run(ctx context.Context) (err error) {
	if err := t.prepare(ctx); err != nil {
		return err
	}
	if t.order.Observe {
		if t.tracer, err = tracer.New(); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, t.tracer.Close()) }()
	}
	t.container, err = t.lab.create(ctx, t.image, t.settings)
	if err != nil {
		return err
	}
	if t.tracer != nil {
		// Others may enter the container, as a check on the host does: whom nobody traces needs the plain filter.
		t.container.Attach, t.container.Filter = t.tracer.Attach, tracer.Filter(t.settings.filter)
	}
	err = errors.Join(t.play(ctx), t.container.Discard())
	if t.tracer != nil {
		t.outcome.Record = t.tracer.Record()
	}
	return err
}

// prepare finds the image, and decides how it is run and checked.
func (t *trial) prepare(ctx context.Context) error {
	img, err := t.lab.o.Engine.Store.Image(ctx, t.order.Image)
	if err != nil {
		return err
	}
	s := t.lab.imageSettings(img)
	if p := t.order.Profile; p == nil {
		s.addVolumes(img)
	} else if err := s.config.Obey(p, nil); err != nil { // the filter is restrict's
		return err
	}
	if err := s.restrict(t.order.Seccomp); err != nil {
		return err
	}
	t.ports = t.lab.published(img)
	s.connect(t.lab.o.Engine.Rootless, t.toPublish())
	t.settings, t.image = s, img
	t.checks = t.checksFor(img)
	return nil
}

// toPublish are the ports that somebody will ask for: publishing them takes longer than the rest of a start.
func (t *trial) toPublish() []network.Port {
	if t.lab.o.CheckHost == "" {
		return nil
	}
	return t.ports
}

// play is the first start, and the second if that is asked for.
func (t *trial) play(ctx context.Context) error {
	for round := 1; ; round++ {
		s, err := t.start(ctx, round)
		if s == nil {
			return err
		}
		again, err := t.examine(ctx, s, round)
		if s.hasExited() {
			t.outcome.Service += s.ended.Sub(s.started)
		}
		t.outcome.Output = t.text()
		if err != nil || !again {
			return err
		}
	}
}

// start starts the service. What the container's own side refused is the outcome; then there is no service.
func (t *trial) start(ctx context.Context, round int) (*service, error) {
	s, err := startService(ctx, t.container, audience{out: &t.output}, t.lab.now)
	var refused *stage.Failure
	if err == nil || ctx.Err() != nil || !errors.As(err, &refused) {
		return s, err
	}
	at := harden.StageStart
	if round > 1 {
		at = harden.StageRestart
	}
	t.fail(at, result{reason: "the service could not be started: " + refused.Error()})
	t.outcome.Output = t.text()
	return nil, nil
}

// examine looks at the service and ends it. It reports whether it is to be started again.
func (t *trial) examine(ctx context.Context, s *service, round int) (again bool, err error) {
	passed, err := t.judge(ctx, s, round)
	if ctx.Err() != nil || !passed {
		return false, errors.Join(err, s.kill())
	}
	if round > 1 || t.order.StartOnly {
		t.outcome.Passed, t.outcome.Stage = true, harden.StageDone
		return false, s.kill()
	}
	sig, err := engine.ParseSignal(stopSignal(t.settings))
	if err != nil {
		sig = unix.SIGTERM // as docker does where the image's is none
	}
	stop := t.order.StopPatience
	setDefault(&stop, t.lab.o.StopTimeout)
	t.outcome.Killed, t.outcome.Late, err = s.stop(ctx, sig, stop)
	return true, err
}

func stopSignal(s *settings) string {
	if s.config.StopSignal != "" {
		return s.config.StopSignal
	}
	return "SIGTERM"
}

// judge reports whether the service works; if not, the outcome says why. An error is the lab's.
func (t *trial) judge(ctx context.Context, s *service, round int) (bool, error) {
	at := harden.StageCheck
	if round > 1 {
		at = harden.StageRestart
	}
	if res := t.await(ctx, s, round); !res.passed {
		t.outcome.Exited = s.hasExited()
		t.fail(at, res)
		return false, res.err
	}
	if round == 1 {
		t.outcome.Ready = t.lab.now().Sub(s.started)
	}
	if !survives(ctx, s, aliveTime) {
		t.diedAfter(at, s, "after its check had passed")
		return false, nil
	}
	if round > 1 || t.order.StartOnly || t.lab.o.Exercise == "" {
		return true, nil
	}
	return t.exercise(ctx, s)
}

// exercise runs the exercise, once.
func (t *trial) exercise(ctx context.Context, s *service) (bool, error) {
	res := t.execute(ctx, s, t.lab.o.Exercise, t.lab.o.CheckTimeout)
	switch {
	case res.passed && !s.hasExited():
		return true, nil
	case !survives(ctx, s, deathTime): // its death kills the exercise, and is seen a moment later
		t.diedAfter(harden.StageExercise, s, "in the exercise")
		return false, nil
	}
	res.reason = "the exercise " + res.reason
	t.fail(harden.StageExercise, res)
	return false, res.err
}

// diedAfter is the outcome of a service that ended when it should not.
func (t *trial) diedAfter(at harden.Stage, s *service, when string) {
	if !s.hasExited() {
		return // interrupted
	}
	t.outcome.Exited = true
	t.fail(at, result{reason: s.epitaph() + ", " + when})
}

// fail is the outcome of a service that does not work.
func (t *trial) fail(at harden.Stage, res result) {
	t.outcome.Stage, t.outcome.Reason = at, res.reason
	t.said = res.output
}

// text is the end of what the service printed, and then what the failed check did.
func (t *trial) text() string {
	text := t.output.String()
	if t.said == "" {
		return text
	}
	if text != "" && text[len(text)-1] != '\n' {
		text += "\n"
	}
	return text + t.said
}

// patienceOf is how long the check may take to pass. After the restart there may be something to recover.
func (t *trial) patienceOf(round int) time.Duration {
	if round == 1 || t.order.Patience == 0 {
		return t.patience
	}
	return max(2*t.patience, leastRestart)
}
