package lab

import (
	"context"
	"errors"
	"strings"
	"testing"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"

	"github.com/deckhand-engine/deckhand/guard/probe"
	"github.com/deckhand-engine/deckhand/guard/profile"
)

// TestProbe runs the battery with less and less, and finds less and less allowed.
func TestProbe(t *testing.T) {
	b := newBench(t)
	l := b.lab(Options{})
	image := b.image(func(c *dockerspec.DockerOCIImageConfig) { c.Entrypoint = []string{"busybox", "sh"} })
	const nothing = `{"defaultAction":"SCMP_ACT_ERRNO"}`
	settings := []probe.Setting{
		{Title: "docker", NewPrivileges: true},
		{Title: "root"},
		{Title: "user", User: "app"},
		{Title: "profile", Profile: &profile.Profile{User: "1000:1000"}},
		{Title: "filter", Profile: &profile.Profile{User: "1000:1000"}, Seccomp: []byte(nothing)},
	}
	users := []string{"0:0", "0:0", "1000:1000", "1000:1000", "1000:1000"}
	want := map[string][]probe.Verdict{
		"setuid-root":   {probe.Allowed, probe.Allowed, probe.Denied, probe.Denied, probe.Denied},
		"write-command": {probe.Allowed, probe.Allowed, probe.Denied, probe.Denied, ""}, // no call is left to find it by
		// The battery's own clone is no way past a filter.
		"user-namespace": {probe.Denied, probe.Denied, probe.Denied, probe.Denied, probe.Denied},
		"exec-memfd":     {probe.Allowed, probe.Allowed, probe.Allowed, probe.Allowed, probe.Denied},
	}
	allowed := 1000
	for i, s := range settings {
		c, err := l.Probe(t.Context(), image, s)
		if err != nil {
			t.Fatal(err)
		}
		if c.Title != s.Title || c.User != users[i] || len(c.Results) != len(probe.Probes()) {
			t.Errorf("%s: %q ran as %s with %d results", s.Title, c.Title, c.User, len(c.Results))
		}
		for name, verdicts := range want {
			if r := c.Of(name); verdicts[i] != "" && r.Verdict != verdicts[i] {
				t.Errorf("%s: %+v, want %s", s.Title, r, verdicts[i])
			}
		}
		n := c.Tally()
		if n.Allowed > allowed || n.Failed > 0 {
			t.Errorf("%s: %+v, and before %d were allowed", s.Title, n, allowed)
		}
		allowed = n.Allowed
	}
}

// TestProbeWithoutCommand has nothing to write to.
func TestProbeWithoutCommand(t *testing.T) {
	b := newBench(t)
	c, err := b.lab(Options{}).Probe(t.Context(), b.image(nil), probe.Setting{Title: "it"})
	if err != nil {
		t.Fatal(err)
	}
	if r := c.Of("write-command"); r.Verdict != probe.Absent {
		t.Errorf("%+v", r)
	}
}

func TestProbeErrors(t *testing.T) {
	b := newBench(t)
	l := b.lab(Options{})
	image := b.image(nil)
	tests := map[string]struct {
		image   string
		setting probe.Setting
		cause   error // of an interruption
		want    string
	}{
		"no image":    {image: "nosuch:1", want: "nosuch"},
		"no user":     {image: image, setting: probe.Setting{User: "nosuch"}, want: "unable to find user nosuch"},
		"no filter":   {image: image, setting: probe.Setting{Seccomp: []byte("{")}, want: "profile"},
		"interrupted": {image: image, cause: errors.New("enough of it"), want: "enough of it"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tt.setting.Title = name
			ctx, stop := context.WithCancelCause(t.Context())
			defer stop(nil)
			if tt.cause != nil {
				stop(tt.cause)
			}
			c, err := l.Probe(ctx, tt.image, tt.setting)
			if err == nil || !strings.HasPrefix(err.Error(), "probe "+name+": ") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, %v", c, err)
			}
		})
	}
}
