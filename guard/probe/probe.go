// Package probe is the attacker's battery: what somebody who can execute code in a container could do next.
//
// It holds what the probes are, what they mean and how results are compared and shown. The system calls
// themselves are in battery, which only the program that runs inside the container links.
package probe

import (
	"context"
	"syscall"

	"github.com/deckhand-engine/deckhand/guard/profile"
)

// Verdict is how a probe ended.
type Verdict string

// The verdicts.
const (
	Allowed Verdict = "allowed"
	Denied  Verdict = "denied"
	Absent  Verdict = "absent" // there is nothing to try it on: no setuid file, no docker.sock, no such syscall in this kernel
	Failed  Verdict = "failed" // the probe itself could not be carried out; Detail says why
)

// By says what decided a denial, as far as the probe can tell.
type By string

// What decides.
const (
	ByCapability By = "capability"
	ByOwner      By = "owner"     // the file's owner and mode
	ByReadOnly   By = "read-only" // a read-only root or mount
	BySeccomp    By = "seccomp"
	ByNamespace  By = "namespace"
	ByNoNewPrivs By = "no-new-privs"
	ByMasked     By = "masked" // a masked or missing path
	ByKernel     By = "kernel" // a setting of the machine
	ByMount      By = "mount"  // a mount's flags: nosuid, noexec, nodev
)

// Result is what one probe found. The program inside the container writes one as a line of JSON each.
type Result struct {
	Probe   string        `json:"probe"`
	Verdict Verdict       `json:"verdict"`
	Errno   syscall.Errno `json:"errno,omitempty"`
	By      By            `json:"by,omitempty"`
	Detail  string        `json:"detail,omitempty"`
}

// Column is one run of the battery.
type Column struct {
	Title   string   `json:"title"` // "as it is (root)", "uid 9000", "hardened"
	User    string   `json:"user"`  // "0:0"
	Results []Result `json:"results"`
}

// Setting is how a column's container is run.
type Setting struct {
	Title   string
	User    string           // docker's syntax; empty: the image's
	Profile *profile.Profile // what else it is run with; nil: docker's capabilities and seccomp profile, as deckhand runs root
	// Seccomp is the content of the profile's file; nil: the default.
	Seccomp []byte
	// NewPrivileges leaves no_new_privs off, as docker does.
	NewPrivileges bool
}

// Runner runs the battery inside an image.
type Runner interface {
	Probe(ctx context.Context, image string, s Setting) (*Column, error)
}
