// Package proof is what `deckhand harden` found out, and the files it is written as: the proof itself, a seccomp
// profile, a compose fragment, a Kubernetes Deployment, a line for `deckhand run`.
package proof

import (
	"time"

	"github.com/deckhand-engine/deckhand/guard/observe"
	"github.com/deckhand-engine/deckhand/guard/probe"
	"github.com/deckhand-engine/deckhand/guard/profile"
	"github.com/deckhand-engine/deckhand/guard/repair"
)

// Proof is the whole of one hardening.
type Proof struct {
	Version    int                `json:"version"`
	Source     string             `json:"source"`     // what was hardened, as typed: "./Dockerfile"
	Name       string             `json:"name"`       // a short name for files and manifests: "redis"
	Dockerfile string             `json:"dockerfile"` // the new one
	Profile    profile.Profile    `json:"profile"`
	Repairs    []repair.Repair    `json:"repairs"`
	Syscalls   []string           `json:"syscalls"`  // allowed, sorted
	Refused    []string           `json:"refused"`   // syscalls it asks for and lives without
	Tolerated  []observe.Call     `json:"tolerated"` // refusals in the final run that the service survives
	Check      string             `json:"check"`     // in the container
	CheckHost  string             `json:"checkHost"` // on the host
	CheckFrom  string             `json:"checkFrom"` // "--check", "HEALTHCHECK", "a connection to port 6379"
	Exercise   string             `json:"exercise,omitempty"`
	Trials     []Trial            `json:"trials"`
	Before     *probe.Column      `json:"before"`
	After      *probe.Column      `json:"after"`
	Times      map[string]float64 `json:"seconds"` // "total", "service", "engine", "build", "observe", "unobserved"
	Finished   time.Time          `json:"finished"`
}

// Trial is one run, in a line.
type Trial struct {
	Title   string        `json:"title"` // "as root, watched", "without tmpfs /run"
	Passed  bool          `json:"passed"`
	Reason  string        `json:"reason,omitempty"` // why not
	Denials int           `json:"denials,omitempty"`
	Took    time.Duration `json:"took"`
}
