package lab

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"

	"github.com/deckhand-engine/deckhand/guard/harden"
	"github.com/deckhand-engine/deckhand/guard/profile"
)

// served is a service on port 8080 that notes its starts in /srv/starts, and ends when it is asked to.
const served = `mkdir -p /srv && echo start >>/srv/starts; trap 'exit 0' TERM; httpd -f -p 8080 -h /srv & wait`

// brief is how long a check that is to fail may take.
const brief = 300 * time.Millisecond

func bare() *profile.Profile {
	return &profile.Profile{Version: profile.Version, User: "9000:9000", Capabilities: []string{}}
}

// with changes the bare profile.
func with(change func(*profile.Profile)) *profile.Profile {
	p := bare()
	change(p)
	return p
}

// tryCase is one trial; want is its outcome without what cannot be known before, Reason and Output being parts.
type tryCase struct {
	script  string
	image   func(*dockerspec.DockerOCIImageConfig)
	options Options
	trial   harden.Trial
	want    harden.Outcome
}

func (tt *tryCase) run(t *testing.T, b *bench) {
	t.Helper()
	tt.trial.Image = b.image(func(c *dockerspec.DockerOCIImageConfig) {
		c.Cmd = []string{"/bin/sh", "-c", tt.script}
		if tt.image != nil {
			tt.image(c)
		}
	})
	got, err := b.lab(tt.options).Try(t.Context(), tt.trial)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(got.Reason, tt.want.Reason) || !strings.Contains(got.Output, tt.want.Output) || !strings.Contains(got.Killed, tt.want.Killed) {
		t.Errorf("got %+v", got)
	}
	if (tt.want.Reason == "") != (got.Reason == "") || (tt.want.Killed == "") != (got.Killed == "") {
		t.Errorf("got %+v", got)
	}
	partly := cmpopts.IgnoreFields(harden.Outcome{}, "Reason", "Output", "Killed", "Ready", "Service", "Took", "Record")
	if diff := cmp.Diff(&tt.want, got, partly); diff != "" {
		t.Errorf("%+v\n%s", got, diff)
	}
	if got.Took < got.Service || got.Passed && (got.Ready <= 0 || got.Service <= 0) {
		t.Errorf("times: %+v", got)
	}
}

var done = harden.Outcome{Passed: true, Stage: harden.StageDone}

func TestTry(t *testing.T) {
	b := newBench(t)
	tests := map[string]tryCase{
		"ports that are listened on": {
			script: served, options: Options{Ports: []string{"8080"}}, want: done,
		},
		"ports the image exposes": {
			script: served, want: done,
			image: func(c *dockerspec.DockerOCIImageConfig) { c.ExposedPorts = map[string]struct{}{"8080/tcp": {}} },
		},
		"files outlive the restart": {
			script:  served,
			options: Options{CheckHost: `test "$(wget -q -O - http://$DECKHAND_HOST:$DECKHAND_PORT_8080/starts | wc -l)" = $DECKHAND_ROUND`},
			want:    done,
		},
		"a check in the container": {
			script: served, options: Options{Check: "test -s /srv/starts", Exercise: `["touch","/srv/exercised"]`}, want: done,
		},
		"both checks": {
			script: served, options: Options{Check: "test -s /srv/starts", CheckHost: "test -n \"$DECKHAND_CONTAINER\""}, want: done,
		},
		"the image's HEALTHCHECK": {
			script: served, want: done,
			image: func(c *dockerspec.DockerOCIImageConfig) {
				c.Healthcheck = &dockerspec.HealthcheckConfig{Test: []string{"CMD-SHELL", "test -s /srv/starts"}}
			},
		},
		"nothing but to go on": {
			script: served, options: Options{Settle: brief}, want: done,
		},
		"no restart": {
			script: `test ! -e /srv && ` + served, trial: harden.Trial{StartOnly: true}, options: Options{Check: "test -s /srv/starts"}, want: done,
		},
		"exits": {
			script: "echo no such luck; exit 3", options: Options{Ports: []string{"8080"}},
			want: harden.Outcome{Stage: harden.StageCheck, Exited: true, Reason: "the service exited with code 3 after 0.", Output: "no such luck\n"},
		},
		"listens, and then fails": {
			script:  "mkdir -p /srv && httpd -f -p 8080 -h /srv & sleep 1; kill $!; exit 3",
			options: Options{Ports: []string{"8080"}, Settle: time.Minute},
			want:    harden.Outcome{Stage: harden.StageCheck, Exited: true, Reason: "the service exited with code 3 after 1."},
		},
		"is killed": {
			script: "kill -9 $$ & sh -c 'kill -ABRT $$'; exit 134", options: Options{Settle: time.Minute},
			want: harden.Outcome{Stage: harden.StageCheck, Exited: true, Reason: "the service exited with code 134 after 0."},
		},
		"never works, and is asked until the end": {
			script: served, options: Options{Check: "sleep 0.5; echo not yet; exit 4"}, trial: harden.Trial{Patience: 900 * time.Millisecond},
			want: harden.Outcome{Stage: harden.StageCheck, Reason: "the check did not pass within 0.9 s: it failed with code 4: not yet", Output: "not yet\n"},
		},
		"never works": {
			script: served, options: Options{Check: "echo not yet; exit 4"}, trial: harden.Trial{Patience: brief},
			want: harden.Outcome{Stage: harden.StageCheck, Reason: "the check did not pass within 0.3 s: it failed with code 4: not yet", Output: "not yet\n"},
		},
		"never listens": {
			script: served, options: Options{Ports: []string{"8081"}}, trial: harden.Trial{Patience: brief},
			want: harden.Outcome{Stage: harden.StageCheck, Reason: "found that port 8081 does not accept connections"},
		},
		"the check hangs": {
			script: served, options: Options{Check: "sleep 1000"}, trial: harden.Trial{Patience: brief},
			want: harden.Outcome{Stage: harden.StageCheck, Reason: "did not end within"},
		},
		"the check hangs on the host": {
			script: served, options: Options{CheckHost: "sleep 1000 & sleep 1000"}, trial: harden.Trial{Patience: brief},
			want: harden.Outcome{Stage: harden.StageCheck, Reason: "did not end within"},
		},
		"the check is not there": {
			script: served, options: Options{Check: `["/nosuch"]`},
			want: harden.Outcome{Stage: harden.StageCheck, Reason: "the check could not be started: "},
		},
		"the command is not there": {
			image: func(c *dockerspec.DockerOCIImageConfig) { c.Cmd = []string{"/nosuch"} },
			want:  harden.Outcome{Stage: harden.StageStart, Reason: "the service could not be started: "},
		},
		"ends after the check": {
			script: "touch /ready; sleep 0.01; exit 5", options: Options{Check: "test -e /ready"},
			want: harden.Outcome{Stage: harden.StageCheck, Exited: true, Reason: "the service exited with code 5 after 0."},
		},
		"the exercise fails": {
			script: served, options: Options{Ports: []string{"8080"}, Exercise: "echo cannot save >&2; false"},
			want: harden.Outcome{Stage: harden.StageExercise, Reason: "the exercise failed with code 1: cannot save", Output: "cannot save\n"},
		},
		"ends in the exercise": {
			script: served, options: Options{Ports: []string{"8080"}, Exercise: "kill 1; sleep 1000"},
			want: harden.Outcome{Stage: harden.StageExercise, Exited: true, Reason: "in the exercise"},
		},
		"the restart fails": {
			script: `test -e /srv && exit 6; ` + served, options: Options{Ports: []string{"8080"}},
			want: harden.Outcome{Stage: harden.StageRestart, Exited: true, Reason: "the service exited with code 6 after 0."},
		},
		"ignores the signal": {
			script: "httpd -f -p 8080", image: func(c *dockerspec.DockerOCIImageConfig) { c.Cmd = []string{"sleep", "1000"} },
			options: Options{Settle: brief, StopTimeout: time.Hour},
			want:    harden.Outcome{Passed: true, Stage: harden.StageDone, Killed: "it ignores SIGTERM"},
		},
		"ignores the signal, with something in hand": {
			script:  "test -e /srv && test ! -e /late && exit 7; mkdir -p /srv; (sleep 1.5; touch /late) & exec sleep 1000",
			options: Options{Settle: brief},
			want:    harden.Outcome{Passed: true, Stage: harden.StageDone, Killed: "it ignores SIGTERM"},
		},
		"does not heed the signal": {
			script: "trap : TERM; while :; do sleep 1000 & wait; done", options: Options{Settle: brief, StopTimeout: brief},
			want: harden.Outcome{Passed: true, Stage: harden.StageDone, Killed: "it did not end within 0 s of SIGTERM", Late: true},
		},
		"the image's own signal": {
			script: `trap 'touch /stopped; exit 0' USR1; test -e /srv && test ! -e /stopped && exit 7; mkdir -p /srv; while :; do sleep 1000 & wait; done`,
			image:  func(c *dockerspec.DockerOCIImageConfig) { c.StopSignal = "SIGUSR1" }, options: Options{Settle: brief}, want: done,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { tt.run(t, b) })
	}
}

// What a profile does not name is not given.
func TestTryProfile(t *testing.T) {
	b := newBench(t)
	forever := "; while :; do sleep 1000 & wait; done"
	o := Options{Settle: brief}
	tests := map[string]tryCase{
		"user, no capability": {
			script: `test "$(id -u):$(id -g)" = 9000:9000 && grep -q 'CapBnd:.*0000000000000000' /proc/self/status && grep -q 'NoNewPrivs:.*1' /proc/self/status || exit 9` + forever,
			trial:  harden.Trial{Profile: bare()}, want: done,
		},
		"as docker would": {
			script: `test "$(id -u)" = 0 && grep -q 'CapEff:.*00000000a80425fb' /proc/self/status && grep -q 'NoNewPrivs:.*0' /proc/self/status && touch /here || exit 9` + forever,
			want:   done,
		},
		"a capability that is kept": {
			script: `grep -q 'CapAmb:.*0000000000002000' /proc/self/status || exit 9` + forever,
			trial:  harden.Trial{Profile: with(func(p *profile.Profile) { p.Capabilities = []string{"CAP_NET_RAW"} })}, want: done,
		},
		"a root that cannot be written": {
			script: `touch /tmp/x` + forever[1:], trial: harden.Trial{Profile: bare()},
			want: harden.Outcome{Stage: harden.StageCheck, Exited: true, Reason: "the service exited with code", Output: ""},
		},
		"a root that can": {
			script: `touch /tmp/x || exit 9` + forever,
			trial:  harden.Trial{Profile: with(func(p *profile.Profile) { p.ReadWrite = true })}, want: done,
		},
		"tmpfs is the user's, and empty after the restart": {
			script: `test "$(stat -c %u:%g:%a /run/app)" = 9000:9000:755 && test "$(stat -c %a /data)" = 1777 && mkdir /run/app/once || exit 9` + forever,
			trial: harden.Trial{Profile: with(func(p *profile.Profile) {
				p.Tmpfs = []profile.Tmpfs{{Path: "/run/app"}, {Path: "/data", Mode: "1777"}}
			})}, want: done,
		},
		"volumes have the image's content, and keep theirs": {
			script: `test "$(stat -c %u:%a /home/app)" = 1000:755 && test -e /etc/apk/../passwd; echo >>/tmp/starts; test $(wc -l </tmp/starts) -le 2 || exit 9; test -e /tmp/again && exec sleep 1000; touch /tmp/again` + forever,
			trial:  harden.Trial{Profile: with(func(p *profile.Profile) { p.Volumes = []profile.Volume{{Path: "/tmp"}} })},
			want:   harden.Outcome{Passed: true, Stage: harden.StageDone, Killed: "it ignores SIGTERM"},
		},
		"low ports are for the privileged": {
			script: `exec httpd -f -p 80`, trial: harden.Trial{Profile: bare()},
			want: harden.Outcome{Stage: harden.StageCheck, Exited: true, Reason: "the service exited with code 1", Output: "Permission denied"},
		},
		"low ports by a sysctl": {
			script: `httpd -f -p 80 & trap 'exit 0' TERM; wait`,
			trial: harden.Trial{Profile: with(func(p *profile.Profile) {
				p.Sysctls = map[string]string{"net.ipv4.ip_unprivileged_port_start": "80"}
			})}, want: done,
		},
		"a filter": {
			script: `chmod 700 /dev/shm/x 2>&1; trap 'exit 0' TERM` + forever,
			trial:  harden.Trial{Seccomp: []byte(`{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO"}]}`)},
			want:   done,
		},
	}
	for name, tt := range tests {
		if tt.options.Settle == 0 {
			tt.options.Settle = o.Settle
		}
		if tt.want.Passed && tt.want.Killed == "" {
			tt.script = "trap 'exit 0' TERM; " + tt.script
		}
		t.Run(name, func(t *testing.T) { tt.run(t, b) })
	}
}

// The filter of a trial is the service's, not its check's.
func TestTryFilter(t *testing.T) {
	b := newBench(t)
	filter := []byte(`{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO"}]}`)
	script := "trap 'exit 0' TERM; mkdir /made && exit 8; while :; do sleep 1000 & wait; done"
	tests := map[string]tryCase{
		"a check": {script: script, options: Options{Check: "mkdir -p /checked"}, trial: harden.Trial{Seccomp: filter}, want: done},
		"watched": {script: script, options: Options{Check: "mkdir -p /checked"}, trial: harden.Trial{Seccomp: filter, Observe: true}, want: done},
		"a HEALTHCHECK": {
			script: script, trial: harden.Trial{Seccomp: filter, Patience: brief},
			image: func(c *dockerspec.DockerOCIImageConfig) {
				c.Healthcheck = &dockerspec.HealthcheckConfig{Test: []string{"CMD", "mkdir", "-p", "/checked"}}
			},
			want: harden.Outcome{Stage: harden.StageCheck, Reason: "Operation not permitted", Output: "Operation not permitted"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { tt.run(t, b) })
	}
}

func TestTryObserves(t *testing.T) {
	b := newBench(t)
	script := "trap ': >/tmp/ended; exit 0' TERM; : >/tmp/started; while :; do sleep 1000 & wait; done"
	l := b.lab(Options{Settle: brief, Check: "touch /tmp/checked"})
	got, err := l.Try(t.Context(), harden.Trial{Image: b.shell(script), Observe: true})
	if err != nil {
		t.Fatal(err)
	}
	if !got.Passed || got.Record == nil || got.Record.Syscalls["execve"] == 0 {
		t.Fatalf("got %+v", got)
	}
	seen := map[string]int{}
	for _, c := range got.Record.Calls {
		if strings.HasPrefix(c.Path, "/tmp/") && c.Creates {
			seen[c.Path] += c.Count
		}
	}
	if diff := cmp.Diff(map[string]int{"/tmp/started": 2, "/tmp/ended": 1}, seen); diff != "" {
		t.Error(diff)
	}
}

// A trial that is given up leaves nothing; the bench looks.
func TestTryCancelled(t *testing.T) {
	b := newBench(t)
	tests := map[string]struct {
		options Options
		trial   harden.Trial
	}{
		"in the check":           {options: Options{Check: "false"}},
		"in a check that hangs":  {options: Options{Check: "sleep 1000"}},
		"in a check on the host": {options: Options{CheckHost: "sleep 1000 & wait"}},
		"watched":                {options: Options{Check: "false"}, trial: harden.Trial{Observe: true}},
		"in the exercise":        {options: Options{Ports: []string{"8080"}, Exercise: "sleep 1000"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tt.trial.Image = b.shell(served)
			ctx, cancel := context.WithTimeoutCause(t.Context(), brief, errors.New("enough"))
			defer cancel()
			got, err := b.lab(tt.options).Try(ctx, tt.trial)
			if err == nil || !strings.Contains(err.Error(), "enough") {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}

// Labs do not get into each other's way, watched or not.
func TestTwoLabs(t *testing.T) {
	b := newBench(t)
	image := b.shell(served)
	var wg sync.WaitGroup
	for i := range 6 {
		l := b.lab(Options{CheckHost: `wget -q -O /dev/null http://$DECKHAND_HOST:$DECKHAND_PORT_8080/starts`, Ports: []string{"8080"}})
		wg.Go(func() {
			for range 3 {
				got, err := l.Try(t.Context(), harden.Trial{Image: image, Observe: i%2 == 0})
				if err != nil || !got.Passed {
					t.Errorf("got %+v, %v", got, err)
				}
			}
		})
	}
	wg.Wait()
}

// A check on the host finds deckhand, the store and the container.
func TestHostCheck(t *testing.T) {
	b := newBench(t)
	tests := map[string]tryCase{
		"its environment": {
			script: served, want: done, options: Options{
				Ports: []string{"8080", "53/udp", "53"}, Env: []string{"PATH=/usr/bin:/bin", "DECKHAND_PORT_1=1", "KEPT=yes"},
				CheckHost: `set -e; test "$KEPT" = yes; ! env | grep -q _PORT_1=; test "$DECKHAND_PORT_53" = "$DECKHAND_PORT_53_TCP"; test -n "$DECKHAND_PORT_53_UDP"; test -n "$DECKHAND_IP"`,
			},
		},
		"deckhand exec": {
			script: served, want: done,
			options: Options{CheckHost: `deckhand exec "$DECKHAND_CONTAINER" test -s /srv/starts`},
		},
		"deckhand exec into a watched container": {
			script: served, want: done, trial: harden.Trial{Observe: true},
			options: Options{CheckHost: `deckhand exec "$DECKHAND_CONTAINER" test -s /srv/starts`},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { tt.run(t, b) })
	}
	t.Run("what it leaves ends with it", func(t *testing.T) {
		pids := filepath.Join(t.TempDir(), "pids")
		tt := tryCase{script: served, want: done, options: Options{CheckHost: `sleep 1000 & echo $! >>` + pids}}
		tt.run(t, b)
		content, err := os.ReadFile(pids)
		if err != nil {
			t.Fatal(err)
		}
		for pid := range strings.FieldsSeq(string(content)) {
			line, _ := os.ReadFile("/proc/" + pid + "/cmdline") // gone, or a zombie without one
			if strings.Contains(string(line), "sleep") {
				t.Errorf("process %s is left: %q", pid, line)
			}
		}
	})
}
