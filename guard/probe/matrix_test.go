package probe_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/deckhand-engine/deckhand/guard/probe"
)

// column has a verdict for some probes; all others are denied.
func column(user string, verdicts map[string]probe.Verdict) *probe.Column {
	c := &probe.Column{Title: "test", User: user}
	for _, p := range probe.Probes() {
		r := probe.Result{Probe: p.Name, Verdict: probe.Denied, By: probe.ByCapability}
		if v, ok := verdicts[p.Name]; ok {
			r = probe.Result{Probe: p.Name, Verdict: v}
		}
		c.Results = append(c.Results, r)
	}
	return c
}

func TestTally(t *testing.T) {
	n := len(probe.Probes())
	c := column("0:0", map[string]probe.Verdict{
		"setuid-root": probe.Allowed, "setgroups": probe.Allowed, "chroot": probe.Allowed, "so-mark": probe.Allowed,
		"sudo": probe.Absent, "mount": probe.Failed,
	})
	want := probe.Tally{Probes: n, Allowed: 4, High: 1, Medium: 2, Low: 1, Denied: n - 6, Absent: 1, Failed: 1}
	if diff := cmp.Diff(want, c.Tally()); diff != "" {
		t.Error(diff)
	}
	for severity, want := range map[probe.Severity]int{probe.High: 1, probe.Medium: 3, probe.Low: 4, "": 0} {
		if got := c.Tally().Least(severity); got != want {
			t.Errorf("at least %s: %d, want %d", severity, got, want)
		}
	}
	// What a column lacks is not taken for denied.
	c.Results = c.Results[1:]
	want.Failed, want.Allowed, want.High = 2, 3, 0
	if diff := cmp.Diff(want, c.Tally()); diff != "" {
		t.Error(diff)
	}
}

func TestColumnRoot(t *testing.T) {
	for user, want := range map[string]bool{"0:0": true, "0:5": true, "10:0": false, "9000:9000": false, "": false} {
		if got := (&probe.Column{User: user}).Root(); got != want {
			t.Errorf("Root of %q is %v", user, got)
		}
	}
}

func TestCompare(t *testing.T) {
	from := column("0:0", map[string]probe.Verdict{
		"so-mark": probe.Allowed, "setgroups": probe.Allowed, "raw-socket": probe.Allowed, "chroot": probe.Allowed,
		"bpf": probe.Allowed, "unshare": probe.Failed, "sudo": probe.Absent,
	})
	to := column("9000:0", map[string]probe.Verdict{
		"so-mark": probe.Absent, "bpf": probe.Failed, "unshare": probe.Allowed, "chroot": probe.Allowed, "sudo": probe.Allowed,
	})
	names := func(all []probe.Probe) (names []string) {
		for _, p := range all {
			names = append(names, p.Name)
		}
		return names
	}
	got := probe.Compare(from, to)
	if diff := cmp.Diff([]string{"raw-socket", "setgroups", "so-mark"}, names(got.Lost)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"sudo"}, names(got.Gained)); diff != "" {
		t.Error(diff)
	}
	if same := probe.Compare(from, from); len(same.Lost)+len(same.Gained) > 0 {
		t.Errorf("nothing changed, but %+v", same)
	}
}
