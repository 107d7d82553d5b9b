package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/deckhand-engine/deckhand/guard/probe"
	"github.com/deckhand-engine/deckhand/guard/proof"
)

// exitNotProven is harden's answer for a service that cannot do without some privilege.
const exitNotProven = 3

// row is what came of one service.
type row struct {
	service string
	proof   *proof.Proof  // nil: there is none
	took    time.Duration // of harden, the first build not included
	failure error         // of the build, of harden, or of the verification
}

// measure hardens one service and verifies what was written.
func (l *lab) measure(ctx context.Context, s *service, timeout time.Duration) *row {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	r := &row{service: s.name}
	r.failure = l.fillRow(ctx, s, r)
	if r.failure != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		r.failure = fmt.Errorf("not done after %s\n%w", timeout, r.failure)
	}
	return r
}

// fillRow does the work of measure.
func (l *lab) fillRow(ctx context.Context, s *service, r *row) error {
	l.say("%s: build", s.name)
	if err := l.buildImage(ctx, s, s.dir+"/Dockerfile", s.image()); err != nil {
		return err
	}
	l.say("%s: harden", s.name)
	dir, err := l.harden(ctx, s, r)
	if err != nil {
		return err
	}
	l.say("%s: verify", s.name)
	if err := l.verify(ctx, s, dir, r.proof); err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	return nil
}

// harden runs the command, fills the row and returns the directory that was written.
func (l *lab) harden(ctx context.Context, s *service, r *row) (dir string, err error) {
	dir, err = filepath.Abs(filepath.Join(l.proofs, s.name))
	if err != nil {
		return "", err
	}
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	check, err := filepath.Abs(s.check())
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil { //nolint:gosec // like any other directory of output
		return "", err
	}
	args := []string{"deckhand", "harden", "--check-host", check, "--check-timeout", longPatience.String(), "--output", dir}
	if s.exercise != "" {
		args = append(args, "--exercise", s.exercise)
	}
	began := now()
	_, err = l.do(ctx, append(args, s.dir)...)
	r.took = since(began)
	if ended, ok := errors.AsType[*commandError](err); err != nil && (!ok || ended.code != exitNotProven) {
		return "", err
	}
	notProven := err
	if r.proof, err = proof.Read(dir); err != nil {
		return "", errors.Join(notProven, err)
	}
	return dir, nil
}

// verify builds the Dockerfile that was written, plays it with the profile that was written, and looks at all its
// processes from outside.
func (l *lab) verify(ctx context.Context, s *service, dir string, p *proof.Proof) error {
	image := s.image() + "-hardened"
	if err := l.buildImage(ctx, s, filepath.Join(dir, "Dockerfile"), image); err != nil {
		return err
	}
	_, err := l.play(ctx, s, image, []string{"--profile", dir}, func(pid int) error {
		return audit(proc(), pid, &p.Profile)
	})
	return err
}

// hardened reports whether the service runs as an ordinary user without any privilege.
func (r *row) hardened() bool {
	if r.failure != nil || r.proof == nil {
		return false
	}
	p := &r.proof.Profile
	uid, _, _ := strings.Cut(p.User, ":")
	return uid != "0" && len(p.Capabilities) == 0 && !p.ReadWrite && !p.Escalates && len(p.Irreducible) == 0
}

// result is the row's answer in words.
func (r *row) result() string {
	switch {
	case r.failure != nil:
		return "**failed**: " + why(r.failure)
	case r.hardened():
		return "hardened"
	case len(r.proof.Profile.Irreducible) == 0:
		return "**irreducible**, without a reason"
	}
	return "irreducible: " + strings.Join(r.proof.Profile.Irreducible, "; ")
}

// why is a failure in a line.
func why(err error) string {
	first, _, _ := strings.Cut(err.Error(), "\n")
	ended, ok := errors.AsType[*commandError](err)
	if !ok || errors.Is(err, context.DeadlineExceeded) {
		return first
	}
	if before, _, ok := strings.Cut(first, "run "+strings.Join(ended.args, " ")); ok {
		return before + ended.reason()
	}
	return first
}

// line is the row as progress.
func (r *row) line() string {
	line := fmt.Sprintf("%s: %s, %.1f s", r.service, r.result(), r.took.Seconds())
	if r.failure != nil {
		line += "\n" + r.failure.Error()
	}
	return line
}

// allowed counts the probes of a column that were allowed; nil is not known: -1.
func allowed(c *probe.Column) int {
	if c == nil {
		return -1
	}
	n := 0
	for _, result := range c.Results {
		if result.Verdict == probe.Allowed {
			n++
		}
	}
	return n
}
