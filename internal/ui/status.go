package ui

import (
	"io"
	"os"
	"sync"
	"time"
)

// Status is one line on a terminal that says what is being done. It appears once that takes a moment, and comes back
// after what is written meanwhile. Where its writer is no terminal, or a dumb one, it shows nothing. Its methods may be
// called from several goroutines.
type Status struct {
	mu    sync.Mutex
	w     io.Writer
	on    bool
	shown bool
	text  string // empty: there is nothing to show
	due   bool   // it will be drawn
	after func(time.Duration, func()) *time.Timer
}

// NewStatus shows its line on w.
func NewStatus(w io.Writer) *Status {
	return &Status{w: w, on: IsTerminal(w) && os.Getenv("TERM") != "dumb", after: time.AfterFunc}
}

// Set replaces the line, in a moment: of texts that follow each other closely, the last one is seen.
func (s *Status) Set(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.on {
		s.text = text
		s.schedule()
	}
}

// schedule has the line drawn. The caller holds the lock.
func (s *Status) schedule() {
	if s.text != "" && !s.due {
		s.due = true
		s.after(tick, s.draw)
	}
}

func (s *Status) draw() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.due = false
	if s.text == "" { // cleared meanwhile
		return
	}
	cols, _ := Size(s.w)
	s.shown = true
	_, _ = io.WriteString(s.w, eraseLine+cut(Clean(s.text), cols-1)) // a display is best effort
}

// Clear takes the line away, until it is set again.
func (s *Status) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.text = ""
	s.erase()
}

// erase takes the line from the terminal. The caller holds the lock.
func (s *Status) erase() {
	if s.shown {
		s.shown = false
		_, _ = io.WriteString(s.w, eraseLine) // a display is best effort
	}
}

// Around is a writer to w before whose every write the line is taken away: both may be the same terminal.
func (s *Status) Around(w io.Writer) io.Writer { return &around{s, w} }

type around struct {
	status *Status
	w      io.Writer
}

// Write implements io.Writer.
func (a *around) Write(p []byte) (int, error) {
	a.status.mu.Lock()
	defer a.status.mu.Unlock()
	a.status.erase()
	a.status.schedule()
	return a.w.Write(p)
}

// eraseLine goes to the line's beginning and empties it.
const eraseLine = "\r\x1b[K"
