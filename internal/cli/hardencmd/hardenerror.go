package hardencmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/deckhand-engine/deckhand/guard/harden"
	"github.com/deckhand-engine/deckhand/guard/repair"
	"github.com/deckhand-engine/deckhand/internal/hint"
	"github.com/deckhand-engine/deckhand/internal/ui"
)

// explainHarden says what stood in the way, and what to type.
func explainHarden(ctx context.Context, err error, o *hardenOptions, s *subject) error {
	if ctx.Err() != nil {
		again := "the same command"
		if o.fresh {
			again += " without --fresh"
		}
		return hint.With(err, "what was found out is kept: "+again+" goes on where it was interrupted")
	}
	if e, ok := errors.AsType[*harden.BaselineError](err); ok {
		text := fmt.Sprintf("%s does not work as it is, %s: %s", s.source, stageWords(e.Outcome.Stage), e.Outcome.Reason)
		return hint.With(errors.New(withOutput(text, e.Outcome.Output)), o.baselineHints(s, &e.Outcome)...)
	}
	if e, ok := errors.AsType[*harden.UnprovenError](err); ok {
		text := fmt.Sprintf("%s: %s", s.source, e.Reason)
		if e.Outcome.Reason != "" {
			text += fmt.Sprintf("; the last attempt, %s: %s", stageWords(e.Outcome.Stage), e.Outcome.Reason)
		}
		return hint.With(
			errors.New(withOutput(text, e.Outcome.Output)),
			"what is tried, and what is not:    docs/harden.md",
			"let it keep a capability:          deckhand harden --keep-caps NAME "+s.arg,
			"see what will run as root:         deckhand check "+s.arg,
		)
	}
	if e, ok := errors.AsType[*harden.BuildError](err); ok {
		err := errors.New(withOutput(s.source+": "+e.Err.Error(), e.Output))
		if s.isImage() {
			return err
		}
		return hint.With(err, "see it by itself:  "+s.buildCommand(""))
	}
	return err
}

// stageWords is when something happened.
func stageWords(s harden.Stage) string {
	switch s {
	case harden.StageStart:
		return "at its start"
	case harden.StageCheck:
		return "before its check passed"
	case harden.StageExercise:
		return "in the exercise"
	case harden.StageRestart:
		return "after a restart"
	case harden.StageStop, harden.StageDone:
	}
	return "in the end"
}

// baselineHints are what to try with a service that does not work as it is.
func (o *hardenOptions) baselineHints(s *subject, out *harden.Outcome) []string {
	var hints []string
	if bytes.Contains(s.dockerfile, []byte(repair.Mark)) {
		hints = append(hints, "harden has changed this Dockerfile:  name the directory of that proof with --output, or harden the one before")
	}
	if out.Exited || out.Stage == harden.StageStart {
		hints = append(hints, "see it by itself:                  "+s.tryCommand())
		return append(hints, "what it needs to run (ENV, CMD) must be in the image: harden starts it as it is")
	}
	switch {
	case out.Stage == harden.StageExercise:
		hints = append(hints, "how an exercise is run, and when:  docs/harden.md")
	case o.check == "" && o.checkHost == "":
		hints = append(
			hints,
			"say when it works:                 deckhand harden --check 'COMMAND in the container' "+s.arg,
			"or from outside:                   deckhand harden --check-host 'COMMAND with $DECKHAND_HOST and $DECKHAND_PORT_…' "+s.arg,
		)
	default:
		hints = append(hints, "what a check is given and when:    docs/harden.md")
	}
	return append(hints, "give it more time:                 deckhand harden --check-timeout 2m "+s.arg)
}

// maxOutputLines is how much is shown of what a service printed.
const maxOutputLines = 20

// withOutput adds the end of what a service printed to a message.
func withOutput(text, output string) string {
	lines := strings.Split(strings.TrimSpace(output), "\n")
	if len(lines) == 1 && lines[0] == "" {
		return text
	}
	for _, l := range lines[max(0, len(lines)-maxOutputLines):] {
		text += "\n  | " + ui.Clean(strings.TrimRight(l, "\r"))
	}
	return text
}
