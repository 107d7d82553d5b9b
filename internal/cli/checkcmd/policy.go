package checkcmd

import (
	"cmp"
	"os"
	"path/filepath"
	"time"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/policy"
	"github.com/deckhand-engine/deckhand/internal/hint"
)

// findPolicy is the policy that holds at a check's first argument, changed by the flags.
func (o *options) findPolicy(first string) (*policy.Policy, error) {
	p, err := o.readPolicy(first)
	if err != nil {
		return nil, err
	}
	if o.failOn != "" {
		if p.FailOn, err = guard.ParseSeverity(o.failOn); err != nil {
			return nil, &usageError{err}
		}
		if p.FailOn == guard.Off {
			p.FailOn = policy.Never
		}
	}
	p.Settings.LeastUID = cmp.Or(o.leastUID, p.Settings.LeastUID)
	p.PodSecurity = cmp.Or(o.podSecurity, p.PodSecurity)
	return p, o.readBaseline(p)
}

func (o *options) readPolicy(first string) (*policy.Policy, error) {
	po := policy.Options{Now: time.Now} //nolint:forbidigo // the program's clock
	if o.policy != "" {
		return policy.Load(o.policy, po)
	}
	file, dir := "", policyDir(first)
	if !o.noPolicy {
		var err error
		if file, err = policy.Find(dir); err != nil {
			return nil, err
		}
	}
	if file == "" {
		p := policy.New(po)
		p.Dir = policy.WorkTree(dir) // a baseline holds wherever in the work tree the check is run
		return p, nil
	}
	return policy.Load(file, po)
}

// policyDir is where the search for a policy starts: the first argument's directory, or where we are.
func policyDir(first string) string {
	info, err := os.Stat(first)
	switch {
	case err != nil || guard.IsImageAddress(first):
		return "."
	case info.IsDir():
		return first
	}
	return filepath.Dir(first)
}

// readBaseline reads --baseline, or what the policy names. The one that is about to be written need not be there.
func (o *options) readBaseline(p *policy.Policy) error {
	file := o.baseline
	if file == "" {
		if p.BaselineFile == "" || o.writeBaseline != "" {
			return nil
		}
		file = p.BaselineFile
	}
	b, err := policy.ReadBaseline(file)
	if err != nil {
		return hint.With(err, "write it:  deckhand check --write-baseline "+file)
	}
	p.Baseline = b
	return nil
}
