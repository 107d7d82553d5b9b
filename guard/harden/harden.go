// Package harden takes root away from a service and proves that it still works: it watches the service as it is,
// runs it without privileges, answers each refusal with the smallest repair, and then drops whatever is not needed.
//
// It decides and starts nothing: a Lab builds and runs.
package harden

import (
	"context"
	"time"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/observe"
	"github.com/deckhand-engine/deckhand/guard/probe"
	"github.com/deckhand-engine/deckhand/guard/profile"
)

// Lab builds images and tries them. One lab has one build context, and one check of the service.
type Lab interface {
	// Build builds a Dockerfile (text) over the lab's context and returns the image's id ("sha256:…"). The error
	// is a *BuildError where the Dockerfile is at fault.
	Build(ctx context.Context, dockerfile []byte) (string, error)
	// Image looks into an image that was built.
	Image(ctx context.Context, id string) (*guard.Image, error)
	// Try runs the image and its check. A service that does not work is an Outcome; an error is the lab's own
	// trouble. Nothing of a trial is left behind when it returns.
	Try(ctx context.Context, t Trial) (*Outcome, error)
	// SetPorts replaces the ports ("6379", "53/udp") that are published besides those that the image exposes.
	SetPorts(ports []string) error
	probe.Runner
}

// BuildError is a Dockerfile that could not be built: Output is the end of what the build printed.
type BuildError struct {
	Output string
	Err    error
}

// Error is the cause with the output's end.
func (e *BuildError) Error() string { return e.Err.Error() + "\n" + e.Output }

// Unwrap gives the cause.
func (e *BuildError) Unwrap() error { return e.Err }

// Trial is one run of the service: start, wait until the check passes, exercise, stop, start again with the same
// volumes and fresh tmpfs, wait until the check passes.
type Trial struct {
	Title   string
	Image   string           // id
	Profile *profile.Profile // nil: as docker would run it, root allowed
	Seccomp []byte           // content of the seccomp profile in Docker's format; nil: the default one
	Observe bool             // watch it, all system calls
	// Patience is how long the check may take to pass the first time; 0: the lab's own limit.
	Patience time.Duration
	// StopPatience is how long the service may take to end when it is asked to; 0: the lab's own limit.
	StopPatience time.Duration
	// StartOnly does no more than start the service and wait for the check: no exercise, no restart.
	StartOnly bool
}

// Stage is how far a trial came.
type Stage string

// The stages, in order.
const (
	StageStart    Stage = "start"    // the command could not be started
	StageCheck    Stage = "check"    // the service ended, or the check did not pass in time
	StageExercise Stage = "exercise" // the exercise failed
	StageStop     Stage = "stop"     // it had to be killed: no failure by itself
	StageRestart  Stage = "restart"  // the second start, or the check after it
	StageDone     Stage = "done"
)

// Outcome is what came of a trial.
type Outcome struct {
	Passed bool
	Stage  Stage
	Reason string // why it did not pass, in a line: "the service exited with code 1 after 0.2 s"
	Output string // the end of what the service and the check printed
	Exited bool   // the service ended by itself
	Killed string // why it had to be killed when it was stopped: no failure by itself; empty: it had not
	// Late says that it was killed since it did not end in time, though the signal reached it.
	Late   bool
	Record *observe.Record // of both starts; nil unless it was watched
	Ready  time.Duration   // from the first start to the check's first success
	// Service is the time in which the service ran or its checks did; Took is all of it, cleaning up included.
	Service, Took time.Duration
}
