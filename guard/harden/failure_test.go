package harden_test

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/deckhand-engine/deckhand/guard/harden"
)

// TestEnd has services that do not end as they did as root.
func TestEnd(t *testing.T) {
	saves := program{stop: []step{writes("/var/lib/x/dump")}}
	t.Run("it saves its data in the end", func(t *testing.T) {
		newHardening(x(saves, "0755 0:0 /var/lib/x/")).prove(t, "volume /var/lib/x")
	})
	t.Run("it has never ended", func(t *testing.T) {
		h := newHardening(x(program{deaf: true}))
		h.prove(t)
		for i, trial := range h.lab.trials[:len(h.lab.trials)-2] { // the last ones are the test's own
			if (trial.StopPatience != 0) != (i > 0) {
				t.Errorf("%s: it may take %v to end", trial.Title, trial.StopPatience)
			}
		}
	})
	t.Run("it ends as root only", func(t *testing.T) {
		p := program{stop: []step{insists(isUnhardened)}}
		_, err := harden.Run(t.Context(), newHardening(x(p)).options)
		if unproven, ok := errors.AsType[*harden.UnprovenError](err); !ok || unproven.Outcome.Stage != harden.StageStop {
			t.Fatalf("%v, want that it does not end", err)
		}
	})
}

// isUnhardened is so where the service runs as docker would run it.
func isUnhardened(p *process) bool { return p.run.profile == nil }

// TestFailures are services that cannot be hardened.
func TestFailures(t *testing.T) {
	tests := map[string]struct {
		service service
		want    func(error) (string, bool)
	}{
		"it does not work": {
			x(starting(reads("/missing"))),
			func(err error) (string, bool) {
				e, ok := errors.AsType[*harden.BaselineError](err)
				return "the service does not work as it is", ok && strings.Contains(e.Outcome.Output, "/missing")
			},
		},
		"it works only if it is not watched": {
			x(starting(insists(func(p *process) bool { return p.run.n != 2 }))),
			func(err error) (string, bool) {
				_, ok := errors.AsType[*harden.BaselineError](err)
				return "the service does not work as it is", ok
			},
		},
		"it does not work with its ports checked": {
			x(starting(when(func(p *process) bool { return p.run.n < 3 }, listens(":80")))),
			func(err error) (string, bool) {
				_, ok := errors.AsType[*harden.BaselineError](err)
				return "nothing listens on port 80", ok
			},
		},
		"nothing helps": {
			x(starting(writes("/run/x"), insists(isUnhardened))),
			func(err error) (string, bool) {
				e, ok := errors.AsType[*harden.UnprovenError](err)
				return "nothing was found", ok && e.Outcome.Exited
			},
		},
		"it cannot be built": {
			service{dockerfile: "RUN make all\nCMD [\"x\"]\n"},
			func(err error) (string, bool) {
				e, ok := errors.AsType[*harden.BuildError](err)
				return "make: not found", ok && strings.Contains(e.Output, "make all")
			},
		},
		"its result works only now and then": {
			x(starting(insists(func(p *process) bool { return p.run.n != 6 }))),
			func(err error) (string, bool) {
				_, ok := errors.AsType[*harden.UnprovenError](err)
				return "does not work every time", ok
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := newHardening(tt.service)
			p, err := harden.Run(t.Context(), h.options)
			if p != nil || err == nil {
				t.Fatalf("%v, %v%s", p, err, h.titles())
			}
			if text, ok := tt.want(err); !ok || !strings.Contains(err.Error(), text) {
				t.Errorf("%T: %v, want %q%s", err, err, text, h.titles())
			}
		})
	}
}

// TestUnbuildable has repairs that the image cannot be given: others are found, or more is given away.
func TestUnbuildable(t *testing.T) {
	private := "0700 0:0 /opt/x/\n0644 0:0 /opt/x/f"
	tests := map[string]struct {
		service service
		want    []string
	}{
		"no chmod": {
			service{files: private, programs: map[string]program{"/usr/bin/x": starting(reads("/opt/x/f"))}, lacks: []string{"chmod"}},
			[]string{"capability CAP_DAC_OVERRIDE"},
		},
		"no shell, a directory of its own": {
			service{noShell: true, programs: map[string]program{"/usr/bin/x": starting(makes("/data"), writes("/data/f"))}},
			[]string{"volume /data"},
		},
		"no shell, and no need for one": {
			service{noShell: true, programs: map[string]program{"/usr/bin/x": starting(listens(":80"), writes("/run/x"), writes("~/.x"))}},
			[]string{"env HOME=/home/x", "sysctl net.ipv4.ip_unprivileged_port_start=80", "tmpfs /run", "volume /home/x"},
		},
		"no shell, and an account that need not be changed": {
			service{
				noShell: true, files: account + "\n0777 0:0 /etc/",
				programs: map[string]program{"/usr/bin/x": starting(writes("/etc/x"), when(isRoot, becomes(999)))},
			},
			[]string{"writable root"},
		},
		"no shell, and a private file that is not needed": {
			service{
				noShell: true, files: "0600 0:0 /etc/x.key",
				programs: map[string]program{"/usr/bin/x": starting(survives(reads("/etc/x.key")), writes("/run/x"))},
			},
			[]string{"tmpfs /run"},
		},
		"no chmod, and no need for it": {
			service{
				files: private, programs: map[string]program{"/usr/bin/x": starting(survives(reads("/opt/x/f")), writes("/run/x"))},
				lacks: []string{"chmod"},
			},
			[]string{"tmpfs /run"},
		},
		"no shell, a directory of the image": {
			service{noShell: true, files: "0755 0:0 /data/", programs: map[string]program{"/usr/bin/x": starting(writes("/data/f"))}},
			[]string{"uid 0", "volume /data"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { newHardening(tt.service).prove(t, tt.want...) })
	}
}

// memory is a harden.Memory.
type memory map[string]harden.Outcome

// Recall is that of harden.Memory.
func (m memory) Recall(key string) *harden.Outcome {
	if out, ok := m[key]; ok {
		return &out
	}
	return nil
}

// Keep is that of harden.Memory.
func (m memory) Keep(key string, o *harden.Outcome) { m[key] = *o }

// busy is a service that takes many trials.
func busy() service {
	return x(program{
		start: []step{
			writes("/run/x.pid"), listens(":80"), reads("/etc/x/x.conf"), survives(calls("unshare")), insists(hasName),
			makes("/var/lib/x"), writes("/var/lib/x/f"),
		},
		exercise: []step{writes("/var/lib/x/dump")},
	}, "0750 0:0 /etc/x/", "0600 0:0 /etc/x/x.conf")
}

// TestMemory makes each trial once, whatever is run again, but for those that confirm the result.
func TestMemory(t *testing.T) {
	m := memory{}
	run := func(change func(*hardening)) (trials, repairs []string) {
		h := newHardening(busy())
		h.options.Memory = m
		change(h)
		p, err := harden.Run(t.Context(), h.options)
		if err != nil {
			t.Fatal(err, h.titles())
		}
		for _, trial := range h.lab.trials {
			trials = append(trials, trial.Title)
		}
		return trials, names(p.Repairs)
	}
	first, repairs := run(func(*hardening) {})
	kept := maps.Clone(m)
	again, same := run(func(*hardening) {})
	if diff := cmp.Diff([]string{"the result, 1 of 2", "the result, 2 of 2"}, again); diff != "" {
		t.Errorf("the second run's trials (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(repairs, same); diff != "" {
		t.Errorf("the second run's repairs (-first +second)\n%s", diff)
	}
	if diff := cmp.Diff(kept, m); diff != "" {
		t.Errorf("the second run kept something else (-first +second)\n%s", diff)
	}
	others := map[string]func(*hardening){
		"another Dockerfile": func(h *hardening) { h.options.Dockerfile = append(h.options.Dockerfile, "ENV A=b\n"...) },
		"another check":      func(h *hardening) { h.options.Checks.Exercise = "x-cli save" },
	}
	for name, change := range others {
		trials, _ := run(change)
		if diff := cmp.Diff(first, trials); diff != "" {
			t.Errorf("%s (-first +now)\n%s", name, diff)
		}
	}
	if trials, _ := run(func(h *hardening) { h.options.UID = 7000 }); len(trials) <= len(again) {
		t.Errorf("another user: what is remembered was taken for his, only %v were tried", trials)
	}
}

// TestCancel cancels a run in each of its trials: it ends at once, and nothing else is started.
func TestCancel(t *testing.T) {
	whole := newHardening(busy())
	whole.options.Memory = memory{}
	if _, err := harden.Run(t.Context(), whole.options); err != nil {
		t.Fatal(err)
	}
	for n := range whole.lab.trials {
		ctx, cancel := context.WithCancel(t.Context())
		h := newHardening(busy())
		h.options.Memory = memory{}
		builds := 0
		h.lab.before = func(_ context.Context, trial int) error {
			if trial == n+1 {
				cancel()
				builds = h.lab.builds
			}
			return nil
		}
		p, err := harden.Run(ctx, h.options)
		if p != nil || !errors.Is(err, context.Canceled) {
			t.Errorf("canceled in trial %d: %v", n+1, err)
		}
		if len(h.lab.trials) != n+1 || h.lab.builds != builds {
			t.Errorf("canceled in trial %d: %d trials were begun, %d images built after it", n+1, len(h.lab.trials), h.lab.builds-builds)
		}
		cancel()
	}
}

// TestTrouble has the lab fail in each trial: that is no failure of the service.
func TestTrouble(t *testing.T) {
	errDisk := errors.New("the disk is full")
	for n := 1; ; n++ {
		h := newHardening(busy())
		h.lab.before = func(_ context.Context, trial int) error {
			if trial == n {
				return errDisk
			}
			return nil
		}
		_, err := harden.Run(t.Context(), h.options)
		if len(h.lab.trials) < n {
			break
		}
		if !errors.Is(err, errDisk) || len(h.lab.trials) != n {
			t.Errorf("trouble in trial %d of %d: %v", n, len(h.lab.trials), err)
		}
	}
}
