package ui

import (
	"io"
	"sync"
	"time"
)

// Status is one line on a terminal that says what is being done. Where its writer is no terminal it shows
// nothing. Its methods may be called from several goroutines.
type Status struct {
	mu    sync.Mutex
	w     io.Writer
	on    bool
	shown bool
	drawn time.Time
	now   func() time.Time
}

// NewStatus shows its line on w.
func NewStatus(w io.Writer) *Status {
	return &Status{w: w, on: IsTerminal(w), now: time.Now} //nolint:forbidigo // the one clock of the display
}

// Set replaces the line, several times a second at most.
func (s *Status) Set(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.on || s.now().Sub(s.drawn) < tick {
		return
	}
	cols, _ := Size(s.w)
	s.drawn, s.shown = s.now(), true
	_, _ = io.WriteString(s.w, eraseLine+cut(Clean(text), cols-1)) // a display is best effort
}

// Clear takes the line away, until it is set again.
func (s *Status) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clear()
}

func (s *Status) clear() {
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
	a.status.clear()
	return a.w.Write(p)
}

// eraseLine goes to the line's beginning and empties it.
const eraseLine = "\r\x1b[K"
