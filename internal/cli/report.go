package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/deckhand-engine/deckhand/internal/hint"
	"github.com/deckhand-engine/deckhand/internal/runtime"
)

// Exit codes of the engine itself, as docker's.
const (
	exitFailure   = 1
	exitEngine    = 125 // run, exec: the engine's error
	exitCannotRun = 126 // exec: the command could not be started
)

// codeError ends the program with an exit code. A nil err prints nothing: the code is the container's.
type codeError struct {
	code int
	err  error
}

// Error is the message, empty without one.
func (e *codeError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.code)
	}
	return e.err.Error()
}

// Unwrap returns the error behind the code.
func (e *codeError) Unwrap() error { return e.err }

// exitWith is the error for a plain exit code; nil for 0.
func exitWith(code int) error {
	if code == 0 {
		return nil
	}
	return &codeError{code: code}
}

// engineError gives err the exit code 125 unless it has one already.
func engineError(err error) error {
	var ce *codeError
	var cmd *runtime.CommandError
	if err == nil || errors.As(err, &ce) || errors.As(err, &cmd) {
		return err
	}
	return &codeError{code: exitEngine, err: limitError(err)}
}

// exitCode is the exit code of an error.
func exitCode(err error) int {
	var ce *codeError
	var cmd *runtime.CommandError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &ce):
		return ce.code
	case errors.As(err, &cmd):
		return cmd.Code
	}
	return exitFailure
}

// report prints err and returns the exit code: the only place that maps one to the other.
func (a *app) report(err error) int {
	code := exitCode(err)
	var ce *codeError
	if err == nil || errors.As(err, &ce) && ce.err == nil {
		return code
	}
	a.note("deckhand: %s", strings.TrimRight(err.Error(), "\n"))
	for _, l := range hint.Of(err) {
		a.note("  %s", l)
	}
	return code
}
