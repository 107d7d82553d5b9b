package hardencmd

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/deckhand-engine/deckhand/guard/harden"
	"github.com/deckhand-engine/deckhand/guard/observe"
	"github.com/deckhand-engine/deckhand/guard/probe"
	"github.com/deckhand-engine/deckhand/guard/profile"
	"github.com/deckhand-engine/deckhand/guard/proof"
	"github.com/deckhand-engine/deckhand/guard/repair"
)

var update = flag.Bool("update", false, "write the golden files")

// TestHardenProgress has a line for each trial.
func TestHardenProgress(t *testing.T) {
	tree(t, map[string]string{"app/Dockerfile": "FROM base\n"})
	s := newShop(t)
	s.run = func(_ context.Context, o harden.Options) (*proof.Proof, error) {
		passed := &proof.Trial{Passed: true, Took: 1234 * time.Millisecond}
		failed := &proof.Trial{Reason: "the service exited with code 1\x1b[2J", Took: 12 * time.Second}
		s.lab.Progress("#1 building")
		o.Progress(harden.Event{Phase: harden.Baseline, Title: "as it is"})
		s.lab.Progress("#1 building")
		o.Progress(harden.Event{Phase: harden.Baseline, Title: "as it is", Trial: passed})
		o.Progress(harden.Event{Phase: harden.Watching, Note: "it listens on 80/tcp"})
		o.Progress(harden.Event{Phase: harden.Minimising, Title: "without tmpfs /run"})
		o.Progress(harden.Event{Phase: harden.Minimising, Title: "without tmpfs /run", Trial: failed})
		o.Memory.Keep("k", &harden.Outcome{Stage: harden.StageDone})
		o.Memory.Recall("k")
		o.Progress(harden.Event{Phase: harden.Proving, Title: "again", Trial: passed})
		return anyProof(), nil
	}
	const want = `build    ✓   0.0 s  the image as it is
baseline ✓   1.2 s  as it is
watch               it listens on 80/tcp
minimise ✗  12.0 s  without tmpfs /run: the service exited with code 1[2J
prove    ✓ earlier  again
`
	if code, _, errOut := s.harden(t.Context(), "app"); code != 0 || errOut != want {
		t.Errorf("exit code %d, (-want +got):\n%s", code, cmp.Diff(want, errOut))
	}
	if code, out, errOut := s.harden(t.Context(), "-q", "app"); code != 0 || errOut != "" || out == "" {
		t.Errorf("--quiet: exit code %d, %q, %q", code, out, errOut)
	}
}

// TestHardenFailures says what went wrong at which stage, and what to type.
func TestHardenFailures(t *testing.T) {
	ended := harden.Outcome{Stage: harden.StageCheck, Exited: true, Reason: "the service exited with code 1 after 0.2 s", Output: "one\r\nno \x1b[31mconfig\n"}
	deaf := harden.Outcome{Stage: harden.StageCheck, Reason: "the check did not pass within 30.0 s: it failed with code 1"}
	exercise := harden.Outcome{Stage: harden.StageExercise, Reason: "the exercise failed with code 1"}
	again := harden.Outcome{Stage: harden.StageRestart, Reason: "the service exited with code 2"}
	tests := map[string]struct {
		err  error
		args []string
		want string
	}{
		"it ends": {&harden.BaselineError{Outcome: ended}, nil, `deckhand: app/Dockerfile does not work as it is, before its check passed: the service exited with code 1 after 0.2 s
  | one
  | no [31mconfig
  see it by itself:                  deckhand build -t app app && deckhand run --rm -u root app
  what it needs to run (ENV, CMD) must be in the image: harden starts it as it is
`},
		"nothing passes": {&harden.BaselineError{Outcome: deaf}, nil, `deckhand: app/Dockerfile does not work as it is, before its check passed: the check did not pass within 30.0 s: it failed with code 1
  say when it works:                 deckhand harden --check 'COMMAND in the container' app
  or from outside:                   deckhand harden --check-host 'COMMAND with $DECKHAND_HOST and $DECKHAND_PORT_…' app
  give it more time:                 deckhand harden --check-timeout 2m app
`},
		"their check fails": {&harden.BaselineError{Outcome: deaf}, []string{"--check", "x"}, `deckhand: app/Dockerfile does not work as it is, before its check passed: the check did not pass within 30.0 s: it failed with code 1
  what a check is given and when:    docs/harden.md
  give it more time:                 deckhand harden --check-timeout 2m app
`},
		"it was hardened before": {&harden.BaselineError{Outcome: deaf}, []string{"--check", "x", "-f", "app/hardened"}, `deckhand: app/hardened does not work as it is, before its check passed: the check did not pass within 30.0 s: it failed with code 1
  harden has changed this Dockerfile:  name the directory of that proof with --output, or harden the one before
  what a check is given and when:    docs/harden.md
  give it more time:                 deckhand harden --check-timeout 2m app
`},
		"the exercise fails": {&harden.BaselineError{Outcome: exercise}, []string{"--exercise", "x"}, `deckhand: app/Dockerfile does not work as it is, in the exercise: the exercise failed with code 1
  how an exercise is run, and when:  docs/harden.md
  give it more time:                 deckhand harden --check-timeout 2m app
`},
		"no proof": {&harden.UnprovenError{Reason: "no repair helps", Outcome: again}, nil, `deckhand: app/Dockerfile: no repair helps; the last attempt, after a restart: the service exited with code 2
  what is tried, and what is not:    docs/harden.md
  let it keep a capability:          deckhand harden --keep-caps NAME app
  see what will run as root:         deckhand check app
`},
		"no image": {&harden.BuildError{Output: "step 2\nno such package\n", Err: errors.New("the Dockerfile could not be built")}, nil, `deckhand: app/Dockerfile: the Dockerfile could not be built
  | step 2
  | no such package
  see it by itself:  deckhand build app
`},
		"trouble": {errors.New("no space"), nil, "deckhand: no space\n"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tree(t, map[string]string{"app/Dockerfile": "FROM base\n", "app/hardened": "FROM base\n# deckhand: it works without root\nUSER 9000\n"})
			s := newShop(t)
			s.run = func(context.Context, harden.Options) (*proof.Proof, error) { return nil, tt.err }
			code, out, errOut := s.harden(t.Context(), append(tt.args, "--output", "out", "app")...)
			if d := cmp.Diff(tt.want, errOut); d != "" || code != exitFailure || out != "" {
				t.Errorf("exit code %d, %q, (-want +got):\n%s", code, out, d)
			}
			if _, err := os.Stat("out"); err == nil {
				t.Error("it wrote something")
			}
		})
	}
}

// TestHardenInterrupted says that it goes on, and cleans up.
func TestHardenInterrupted(t *testing.T) {
	tree(t, map[string]string{"app/Dockerfile": "FROM base\n"})
	ctx, cancel := context.WithCancel(t.Context())
	s := newShop(t)
	s.run = func(ctx context.Context, o harden.Options) (*proof.Proof, error) {
		o.Memory.Keep("k", &harden.Outcome{Stage: harden.StageCheck})
		cancel()
		return nil, ctx.Err()
	}
	code, _, errOut := s.harden(ctx, "app")
	const want = "deckhand: interrupted\n  what was found out is kept: the same command goes on where it was interrupted\n"
	if code != exitInterrupted || errOut != want || !s.closed {
		t.Errorf("exit code %d, %q, closed: %v", code, errOut, s.closed)
	}
	s.run = func(_ context.Context, o harden.Options) (*proof.Proof, error) {
		if o.Memory.Recall("k") == nil {
			t.Error("it was not kept")
		}
		return anyProof(), nil
	}
	if _, out, _ := s.harden(t.Context(), "app"); !strings.Contains(out, "; 1 of an earlier run\n") {
		t.Errorf("it prints %q", out)
	}
}

// TestHardenSummary has a golden file: all there is to say.
func TestHardenSummary(t *testing.T) {
	golden, err := filepath.Abs("testdata/harden-summary.golden")
	if err != nil {
		t.Fatal(err)
	}
	tree(t, map[string]string{"redis/Dockerfile": "FROM debian:12\n"})
	s := newShop(t)
	s.run = func(context.Context, harden.Options) (*proof.Proof, error) { return wholeProof(), nil }
	_, got, errOut := s.harden(t.Context(), "--output", "out", "redis")
	if errOut != "" {
		t.Error(errOut)
	}
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if d := cmp.Diff(read(t, golden), got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// wholeProof is a proof with all that there may be in it.
func wholeProof() *proof.Proof {
	p := anyProof()
	p.Name = "redis"
	p.Profile = profile.Profile{
		Version: profile.Version, User: "9000:9000", Capabilities: []string{"CAP_NET_RAW"},
		Tmpfs: []profile.Tmpfs{{Path: "/run/redis"}}, Volumes: []profile.Volume{{Path: "/var/lib/redis", Name: "redis-data"}},
		Sysctls: map[string]string{"net.ipv4.ip_unprivileged_port_start": "80"}, Ports: []string{"80/tcp"},
		Irreducible: []string{"CAP_NET_RAW: it asks for raw sockets"},
	}
	p.Repairs = []repair.Repair{
		{Kind: repair.Chown, Path: "/var/lib/redis", Why: "redis-server writes temp-12.rdb here (openat, EACCES)"},
		{Kind: repair.Tmpfs, Path: "/run/redis", Why: "redis-server makes redis.pid here (openat, EROFS)"},
	}
	p.Syscalls = []string{"openat", "read", "write"}
	call := observe.Call{Syscall: "openat", Errno: syscall.EACCES, Path: "/proc/sys/vm/x", Process: observe.Process{Comm: "redis-server", PID: 1}}
	p.Tolerated = []observe.Call{call, call, {Syscall: "setrlimit", Errno: syscall.EPERM, Process: call.Process}}
	p.CheckFrom, p.Check, p.Exercise = "--check", "redis-cli ping", "redis-cli save"
	p.Trials = []proof.Trial{{Title: "as it is", Passed: true}, {Title: "as 9000"}}
	p.Times = map[string]float64{"total": 50, "service": 31, "build": 10}
	allowed := probe.Result{Probe: "raw-socket", Verdict: probe.Allowed}
	p.Before = &probe.Column{Title: "as it is", User: "0:0", Results: []probe.Result{allowed, {Probe: "chroot", Verdict: probe.Allowed}}}
	p.After = &probe.Column{Title: "hardened", User: "9000:9000", Results: []probe.Result{allowed}}
	return p
}
