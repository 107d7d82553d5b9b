package hardencmd

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/deckhand-engine/deckhand/guard/harden"
	"github.com/deckhand-engine/deckhand/internal/ui"
)

// trialView shows the work: a line for each trial when it has ended, and on a terminal what is going on.
type trialView struct {
	std   files
	quiet bool
	clock func() time.Time

	mu    sync.Mutex
	first time.Time // when the first build began, which is no step; zero: it has not
	begun bool      // the steps have
	now   string    // the step that has begun
	known bool      // what it comes to was recalled
}

// recalled says that what the next trial comes to was found out before.
func (v *trialView) recalled() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.known = true
}

// event is harden's progress.
func (v *trialView) event(e harden.Event) {
	if v.quiet {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.begin()
	switch {
	case e.Note != "":
		v.now = "" // a run of the battery ends like that
		v.std.status.Clear()
		v.line(e.Phase, " ", "", ui.Clean(e.Note))
	case e.Trial == nil:
		v.now = fmt.Sprintf("%s: %s", e.Phase, e.Title)
		v.std.status.Set(v.now)
	default:
		took := shortSeconds(e.Trial.Took)
		if v.known {
			took = "earlier"
		}
		v.now, v.known = "", false
		v.std.status.Clear()
		v.ended(&e, took)
	}
}

// begin shows the first build when it has ended.
func (v *trialView) begin() {
	if v.begun {
		return
	}
	v.begun = true
	if !v.first.IsZero() {
		v.std.status.Clear()
		v.line("build", ui.Paint(v.std.err, ui.Green, "✓"), shortSeconds(v.clock().Sub(v.first)), "the image as it is")
	}
}

// ended shows what came of a trial.
func (v *trialView) ended(e *harden.Event, took string) {
	mark, text := ui.Paint(v.std.err, ui.Green, "✓"), ui.Clean(e.Title)
	if !e.Trial.Passed {
		mark = ui.Paint(v.std.err, ui.Red, "✗")
	}
	if e.Trial.Reason != "" {
		text += ": " + ui.Clean(e.Trial.Reason)
	}
	v.line(e.Phase, mark, took, text)
}

// line writes a line of progress, which is best effort.
func (v *trialView) line(phase harden.Phase, mark, took, text string) {
	_, _ = io.WriteString(v.std.status.Around(v.std.err), fmt.Sprintf("%-8s %s %7s  %s\n", phase, mark, took, text))
}

// building tells what a build prints: only a terminal sees it, and only the last line.
func (v *trialView) building(line string) {
	if v.quiet {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	step := v.now
	if !v.begun {
		if v.first.IsZero() {
			v.first = v.clock()
		}
		step = "build"
	}
	if step != "" {
		v.std.status.Set(step + ": " + line)
	}
}

// shortSeconds is a time in progress.
func shortSeconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
