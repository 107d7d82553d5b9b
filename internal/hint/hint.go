// Package hint adds to errors what to type next. Libraries that know it say it, and whoever owns the command line
// prints it below the message.
package hint

import "errors"

// Error is an error with lines that say what to type.
type Error struct {
	Err   error
	Lines []string
}

// Error is the message without the lines.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the error.
func (e *Error) Unwrap() error { return e.Err }

// With adds lines to an error; nil stays nil.
func With(err error, lines ...string) error {
	if err == nil {
		return nil
	}
	return &Error{err, lines}
}

// Of are the lines of the outermost error that has been given some.
func Of(err error) []string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Lines
	}
	return nil
}
