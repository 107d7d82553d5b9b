package harden

import (
	"fmt"
	"time"

	"github.com/deckhand-engine/deckhand/guard/proof"
)

// Options say what to harden, and how. The zero values of the fields behind UID and GID will do.
type Options struct {
	Lab        Lab
	Source     string // as it was typed: "./Dockerfile"
	Name       string // a short name for volumes and manifests: "redis"
	Dockerfile []byte
	Target     string            // the stage that is built; empty: the last
	BuildArgs  map[string]string // those that name base images
	UID, GID   uint32            // whom the service is to run as

	Keep     []string // capabilities that it keeps without being asked: "CAP_NET_RAW"
	Checks   Checks   // for the proof: it is the lab that runs them
	Memory   Memory   // of trials of earlier runs; nil: none
	Progress func(Event)
	Now      func() time.Time // nil: the clock
}

// Checks are how the lab sees whether the service works, in words.
type Checks struct {
	Check, CheckHost, Exercise string
	From                       string // "--check", "HEALTHCHECK", "a connection to port 6379"
}

// Event is a step of the work: a trial (or a build, or a run of the battery) that begins, then the same one ended.
type Event struct {
	Phase Phase
	Title string       // "as root, watched", "without tmpfs /run"
	Trial *proof.Trial // what came of it; nil: it begins
	// Outcome is the same in full, with the service's output. It is not to be changed.
	Outcome *Outcome
	// Note is something to say besides: what was found, or decided. Then there is no Trial.
	Note string
}

// Phase is what a step is for.
type Phase string

// The phases, in order.
const (
	Baseline   Phase = "baseline" // does it work as it is
	Watching   Phase = "watch"    // what it does as root
	Repairing  Phase = "repair"   // what it is refused, and what mends that
	Minimising Phase = "minimise" // what can be left out
	Learning   Phase = "learn"    // its system calls
	Proving    Phase = "prove"    // the result, once more
	Probing    Phase = "probe"    // what an attacker could do, before and after
)

// Memory keeps what trials came to, from one run to the next. A key names the original image, the repairs, the
// filter and the checks.
type Memory interface {
	// Recall returns what a trial came to; nil: it was never made, or what is kept cannot be read.
	Recall(key string) *Outcome
	// Keep is best effort.
	Keep(key string, o *Outcome)
}

// BaselineError is a service that does not even work as it is.
type BaselineError struct{ Outcome Outcome }

// Error says how it failed, with the end of what it printed.
func (e *BaselineError) Error() string {
	return fmt.Sprintf("the service does not work as it is: %s\n%s", e.Outcome.Reason, e.Outcome.Output)
}

// UnprovenError is a service that works as it is, and for which no smaller way to run it was found.
type UnprovenError struct {
	Reason  string
	Outcome Outcome // of the last attempt
}

// Error says why.
func (e *UnprovenError) Error() string {
	return e.Reason + ": " + e.Outcome.Reason + "\n" + e.Outcome.Output
}
