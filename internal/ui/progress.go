package ui

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"time"
)

// tick is how often a live display is drawn again, and how often held-back lines are looked at.
const tick = 120 * time.Millisecond

// tailLines is how many lines of a step's output are kept to be shown again if it fails.
const tailLines = 40

// Progress shows steps that run at once: BuildKit's look on a terminal, plain `#N` lines elsewhere.
// Its methods may be called from several goroutines.
//
// On a terminal the cursor is hidden only within the single write that draws a frame, so that it is there
// whenever and however the program ends.
type Progress struct {
	mu      sync.Mutex
	w       io.Writer
	now     func() time.Time
	title   string
	start   time.Time
	steps   []*Step
	view    view
	colored bool
	clean   bool // w is a terminal: output of steps must be stripped of controls
	closed  bool
	stop    chan struct{}
	stopped chan struct{}
}

// view draws; its methods are called with Progress.mu held.
type view interface {
	changed(s *Step)
	tick()
	close()
}

// NewProgress writes to w (a terminal is detected for Auto). TTY on something that is no terminal draws 80 cells wide.
func NewProgress(w io.Writer, m Mode) *Progress {
	terminal := IsTerminal(w)
	if m == Auto || m == "" {
		m = Plain
		if terminal {
			m = TTY
		}
	}
	p := newProgress(w, m, time.Now) //nolint:forbidigo // the one clock of the display; tests give another
	p.colored = Colored(w)
	p.clean = terminal || m == TTY
	if m != Quiet {
		go p.run()
	} else {
		close(p.stopped)
	}
	return p
}

func newProgress(w io.Writer, m Mode, now func() time.Time) *Progress {
	p := &Progress{
		w: w, now: now, start: now(), title: "Building",
		stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	switch m {
	case TTY:
		p.view = &ttyView{p: p, size: func() (int, int) { return Size(w) }}
	case Quiet:
		p.view = quietView{}
	default:
		p.view = &plainView{p: p}
	}
	return p
}

// quietView shows nothing but, at the end, what failed.
type quietView struct{}

func (quietView) changed(s *Step) { s.fresh = nil }
func (quietView) tick()           {}
func (quietView) close()          {}

func (p *Progress) run() {
	defer close(p.stopped)
	t := time.NewTicker(tick)
	defer t.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-t.C:
			p.mu.Lock()
			p.view.tick()
			p.mu.Unlock()
		}
	}
}

// Title sets the word in the first line on a terminal: "Building" (the default) is shown as "[+] Building 1.2s (3/4)".
func (p *Progress) Title(s string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.title = Clean(s)
}

// Step begins a step: "[2/3] RUN apt-get update". After Close it shows nothing.
func (p *Progress) Step(name string) *Step {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &Step{p: p, index: len(p.steps) + 1, name: Clean(name), start: p.now()}
	if p.closed {
		return s
	}
	p.steps = append(p.steps, s)
	p.view.changed(s)
	return s
}

// Close finishes the display: what is on the screen stays, the output of failed steps is shown again.
// Steps that nobody ended are shown as canceled. Close may be called more than once.
func (p *Progress) Close() {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	for _, s := range p.steps {
		if s.state == running {
			s.end(context.Canceled)
			p.view.changed(s)
		}
	}
	p.closed = true
	p.view.close()
	p.printErrors()
	p.mu.Unlock()
	close(p.stop)
	<-p.stopped
}

// printErrors repeats the last lines of each failed step.
func (p *Progress) printErrors() {
	for _, s := range p.steps {
		if s.state != failed || len(s.tail) == 0 {
			continue
		}
		const rule = "------\n"
		out := rule + " > " + s.name + ":\n" + strings.Join(s.tail, "\n") + "\n" + rule
		_, _ = io.WriteString(p.w, out) // a display that cannot be written is no error of the work
	}
}

type stepState uint8

const (
	running stepState = iota
	succeeded
	cached
	failed
	canceled
)

// Step is one line of the display, with the lines of its transfers and its output below.
type Step struct {
	p      *Progress
	index  int
	name   string
	start  time.Time
	stop   time.Time
	state  stepState
	err    error
	own    *Transfer // of Step.Bytes
	subs   []*Transfer
	editor lineEditor
	raw    []byte   // an incomplete line where nothing is stripped
	fresh  []string // lines the plain view has not shown
	tail   []string // the last lines, with their time
	recent []string // the last lines, without
}

// Log shows output of the step. Chunks may end anywhere, also within a line or a character.
func (s *Step) Log(b []byte) {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	if s.state != running || s.p.closed {
		return
	}
	if s.p.clean {
		s.editor.write(b, s.line)
	} else {
		s.rawLines(b)
	}
	s.p.view.changed(s)
}

// Write is Log as an io.Writer; it never fails.
func (s *Step) Write(b []byte) (int, error) {
	s.Log(b)
	return len(b), nil
}

// Bytes shows how far a transfer is (total 0: unknown).
func (s *Step) Bytes(done, total int64) {
	s.p.mu.Lock()
	if s.own == nil {
		s.own = &Transfer{step: s, start: s.start}
	}
	s.p.mu.Unlock()
	s.own.Bytes(done, total)
}

// Transfer begins a transfer that has a line of its own below the step's: "sha256:…", "transferring context".
func (s *Step) Transfer(name string) *Transfer {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	t := &Transfer{step: s, name: Clean(name), start: s.p.now()}
	if s.state != running || s.p.closed {
		t.ended = true
		return t
	}
	s.subs = append(s.subs, t)
	s.p.view.changed(s)
	return t
}

// Cached marks it as taken from the cache and ends it.
func (s *Step) Cached() {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	if s.state != running || s.p.closed {
		return
	}
	s.end(nil)
	s.state = cached
	s.p.view.changed(s)
}

// Done ends it. The step is shown as canceled where err is context.Canceled. Only the first end counts.
func (s *Step) Done(err error) {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	if s.state != running || s.p.closed {
		return
	}
	s.end(err)
	s.p.view.changed(s)
}

// end sets the final state; mu is held.
func (s *Step) end(err error) {
	if s.state != running {
		return
	}
	if l := s.editor.take(); l != "" {
		s.line(l)
	}
	if len(s.raw) > 0 {
		s.line(string(s.raw))
		s.raw = nil
	}
	s.stop, s.err = s.p.now(), err
	switch {
	case err == nil:
		s.state = succeeded
	case errors.Is(err, context.Canceled):
		s.state = canceled
	default:
		s.state = failed
	}
	for _, t := range s.transfers() {
		t.end()
	}
}

// transfers are all of the step's, its own first.
func (s *Step) transfers() []*Transfer {
	if s.own == nil {
		return s.subs
	}
	return append([]*Transfer{s.own}, s.subs...)
}

// line takes a whole line of output.
func (s *Step) line(l string) {
	stamped := logTime(s.p.now().Sub(s.start)) + " " + l
	s.fresh = append(s.fresh, stamped)
	s.tail = keepLast(append(s.tail, stamped), tailLines)
	if l != "" {
		s.recent = keepLast(append(s.recent, l), recentLines)
	}
}

// elapsed is the time the step took or has taken.
func (s *Step) elapsed() time.Duration {
	if s.state == running {
		return s.p.now().Sub(s.start)
	}
	return s.stop.Sub(s.start)
}

func keepLast(lines []string, n int) []string {
	if len(lines) <= n {
		return lines
	}
	copy(lines, lines[len(lines)-n:])
	clear(lines[n:])
	return lines[:n]
}

// Transfer shows how far one of a step's transfers is.
type Transfer struct {
	step        *Step
	name        string // empty for the step's own
	start, stop time.Time
	done, total int64
	ended       bool
	shown       time.Time // when the plain view showed it last
	shownEnd    bool
}

// Bytes sets how far it is (total 0: unknown).
func (t *Transfer) Bytes(done, total int64) {
	p := t.step.p
	p.mu.Lock()
	defer p.mu.Unlock()
	if t.ended || p.closed {
		return
	}
	t.done, t.total = done, total
	p.view.changed(t.step)
}

// Done ends it; Step.Done ends all.
func (t *Transfer) Done() {
	p := t.step.p
	p.mu.Lock()
	defer p.mu.Unlock()
	if t.ended || p.closed {
		return
	}
	t.end()
	p.view.changed(t.step)
}

func (t *Transfer) end() {
	if !t.ended {
		t.ended, t.stop = true, t.step.p.now()
	}
}

// amount is "1.05MB / 29.13MB", "1.05MB" or nothing.
func (t *Transfer) amount() string {
	switch {
	case t.total > 0:
		return transferSize(t.done) + " / " + transferSize(t.total)
	case t.done > 0:
		return transferSize(t.done)
	}
	return ""
}
