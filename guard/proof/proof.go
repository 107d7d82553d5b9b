// Package proof is what `deckhand harden` found out, and the files it is written as: the proof itself, a seccomp
// profile, a compose fragment, a Kubernetes Deployment, a line for `deckhand run`.
//
// It starts nothing and decides nothing. Files makes the same bytes of the same proof; Write puts them into a
// directory, all or none; Read reads a proof back. Texts from images and services (paths, names of processes,
// output) are quoted as the format that they end up in asks for.
package proof

import (
	"time"

	"github.com/deckhand-engine/deckhand/guard/observe"
	"github.com/deckhand-engine/deckhand/guard/probe"
	"github.com/deckhand-engine/deckhand/guard/profile"
	"github.com/deckhand-engine/deckhand/guard/repair"
)

// Version is that of proof.json's format.
const Version = 1

// Proof is the whole of one hardening.
type Proof struct {
	Version    int                `json:"version"`            // Files writes [Version] where it is 0
	Source     string             `json:"source"`             // what was hardened, as typed: "./Dockerfile"
	Context    string             `json:"context,omitempty"`  // the directory that the Dockerfile is built over, as typed; empty: none, or not known
	Command    []string           `json:"command,omitempty"`  // what was typed: "deckhand", "harden", …
	Name       string             `json:"name"`               // a short name for files and manifests: "redis"
	Dockerfile string             `json:"dockerfile"`         // the new one
	Original   string             `json:"original,omitempty"` // the one that it was made of; empty: not known
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
	Title   string        // "as root, watched", "without tmpfs /run"
	Passed  bool          // it worked, after a restart as well
	Reason  string        // why not
	Denials int           // how many different calls were refused
	Took    time.Duration // in JSON "seconds"
}
