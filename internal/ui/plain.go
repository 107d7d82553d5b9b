package ui

import (
	"bytes"
	"io"
	"strconv"
	"strings"
	"time"
)

// How long one step may have the plain display while others have something to say, and how often a
// transfer that runs is reported.
const (
	maxTurn       = 5 * time.Second
	maxIdle       = time.Second
	transferEvery = 2 * time.Second
)

// plainView writes BuildKit's plain lines. One step has the display at a time; what others say is held
// back until it ends, falls silent or has had its turn.
type plainView struct {
	p       *Progress
	current *Step
	began   time.Time // of the current step's turn
	last    time.Time // when the current step said something
	waiting []*Step   // those with something held back, oldest first
	written bool
}

func (v *plainView) changed(s *Step) {
	switch {
	case s.state != running:
		v.drop(s)
		v.flush(s)
		if len(v.waiting) > 0 {
			v.next()
		}
	case v.current == nil || v.current == s:
		v.flush(s)
	default:
		v.drop(s)
		v.waiting = append(v.waiting, s)
	}
}

func (v *plainView) tick() {
	now := v.p.now()
	if len(v.waiting) > 0 && (v.current == nil || now.Sub(v.began) > maxTurn || now.Sub(v.last) > maxIdle) {
		v.next()
	}
}

// close has nothing to do: Progress.Close ends every step, and an ended step is written at once.
func (v *plainView) close() {}

// next gives the turn to the step that has waited longest.
func (v *plainView) next() {
	s := v.waiting[0]
	v.waiting = v.waiting[1:]
	v.flush(s)
}

func (v *plainView) drop(s *Step) {
	for i, w := range v.waiting {
		if w == s {
			v.waiting = append(v.waiting[:i], v.waiting[i+1:]...)
			return
		}
	}
}

// flush writes what s has to say and makes it the current step.
func (v *plainView) flush(s *Step) {
	var b strings.Builder
	v.last = v.p.now()
	if v.current != s {
		v.began = v.last
		v.header(&b, s)
	}
	prefix := "#" + strconv.Itoa(s.index) + " "
	v.transfers(&b, prefix, s)
	for _, l := range s.fresh {
		b.WriteString(prefix + l + "\n")
	}
	s.fresh = nil
	if s.state != running {
		v.current = nil
		b.WriteString(prefix + outcome(s) + "\n")
	}
	_, _ = io.WriteString(v.p.w, b.String()) // a display that cannot be written is no error of the work
}

func (v *plainView) header(b *strings.Builder, s *Step) {
	if v.current != nil {
		b.WriteString("#" + strconv.Itoa(v.current.index) + " ...\n")
	}
	if v.written {
		b.WriteByte('\n')
	}
	v.written = true
	v.current = s
	b.WriteString("#" + strconv.Itoa(s.index) + " " + s.name + "\n")
}

func (v *plainView) transfers(b *strings.Builder, prefix string, s *Step) {
	now := v.p.now()
	for _, t := range s.transfers() {
		due := !t.ended && t.done > 0 && now.Sub(latest(t.start, t.shown)) >= transferEvery
		if t.shownEnd || !due && !t.ended {
			continue
		}
		t.shown, t.shownEnd = now, t.ended
		b.WriteString(prefix + transferLine(t, now) + "\n")
	}
}

// transferLine is "sha256:… 1.05MB / 29.13MB 0.2s done", with only those parts that say something.
func transferLine(t *Transfer, now time.Time) string {
	parts := make([]string, 0, 4)
	if t.name != "" {
		parts = append(parts, t.name)
	}
	if a := t.amount(); a != "" {
		parts = append(parts, a)
	}
	end := now
	if t.ended {
		end = t.stop
	}
	if d := end.Sub(t.start); d > 10*time.Millisecond {
		parts = append(parts, seconds(d))
	}
	if t.ended {
		parts = append(parts, "done")
	}
	return strings.Join(parts, " ")
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// outcome is the last line of a step.
func outcome(s *Step) string {
	switch s.state {
	case cached:
		return "CACHED"
	case canceled:
		return "CANCELED"
	case failed:
		if s.p.clean {
			return "ERROR: " + Clean(s.err.Error())
		}
		return "ERROR: " + s.err.Error()
	default:
		return "DONE " + seconds(s.elapsed())
	}
}

// seconds is "1.2s".
func seconds(d time.Duration) string {
	return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + "s"
}

// logTime is the time stamp of a line of output: seconds, with fewer digits the longer it takes.
func logTime(d time.Duration) string {
	prec := 1
	switch {
	case d < 100*time.Second:
		prec = 3
	case d < 1000*time.Second:
		prec = 2
	}
	return strconv.FormatFloat(d.Seconds(), 'f', prec, 64)
}

// rawLines splits output into lines without touching it otherwise: a file or pipe gets what was written.
func (s *Step) rawLines(b []byte) {
	for {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			break
		}
		s.line(string(bytes.TrimSuffix(append(s.raw, b[:i]...), []byte("\r"))))
		s.raw = s.raw[:0]
		b = b[i+1:]
	}
	s.raw = append(s.raw, b...)
	if len(s.raw) >= maxLine {
		s.line(string(s.raw))
		s.raw = s.raw[:0]
	}
}
