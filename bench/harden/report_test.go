package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/deckhand-engine/deckhand/guard/probe"
	"github.com/deckhand-engine/deckhand/guard/profile"
	"github.com/deckhand-engine/deckhand/guard/proof"
	"github.com/deckhand-engine/deckhand/guard/repair"
)

func column(verdicts ...probe.Verdict) *probe.Column {
	var c probe.Column
	for _, v := range verdicts {
		c.Results = append(c.Results, probe.Result{Verdict: v})
	}
	return &c
}

// hardenedRow is a row with nothing to complain about.
func hardenedRow(service string, took time.Duration) *row {
	return &row{service: service, took: took, proof: &proof.Proof{
		Profile: profile.Profile{
			User:    "9000:9000",
			Tmpfs:   []profile.Tmpfs{{Path: "/run"}},
			Volumes: []profile.Volume{{Path: "/var/lib/redis"}},
		},
		Repairs: []repair.Repair{
			{Kind: repair.Tmpfs, Path: "/run"},
			{Kind: repair.Volume, Path: "/var/lib/redis"},
			{Kind: repair.Entrypoint, Argv: []string{"redis-server", "a|b"}},
		},
		Syscalls: []string{"read", "write"},
		Before:   column(probe.Allowed, probe.Allowed, probe.Denied),
		After:    column(probe.Denied, probe.Allowed, probe.Absent),
		Trials:   make([]proof.Trial, 12),
		Times:    map[string]float64{"total": 20, "service": 15, "observe": 0.3, "unobserved": 0.2},
	}}
}

func TestReport(t *testing.T) {
	irreducible := &row{service: "cron", took: 40 * time.Second, proof: &proof.Proof{Profile: profile.Profile{
		User: "0:0", Capabilities: []string{"CAP_SETUID", "CAP_SETGID"}, ReadWrite: true, Irreducible: []string{"it becomes other users"},
	}}}
	failed := &row{service: "odd", failure: fmt.Errorf("verify: %w", &commandError{
		args: []string{"deckhand", "build", "dir"}, output: "#1 building\ndeckhand: no such file\n  make it\n", err: errors.New("exit status 1"),
	})}
	got := report([]*row{hardenedRow("redis", 20*time.Second), irreducible, failed})
	for _, want := range []string{
		"\n| redis | hardened | tmpfs /run<br>volume /var/lib/redis<br>entrypoint redis-server a\\|b | none | /run<br>/var/lib/redis (kept) | 2 | 2 → 1 | 12 | 20.0 | 75 % | 1.50 |\n",
		"\n| cron | irreducible: it becomes other users | none | CAP_SETUID<br>CAP_SETGID | / | 0 | -1 → -1 | 0 | 40.0 | ? | ? |\n",
		"\n| odd | **failed**: verify: no such file |  |  |  |  |  |  |  |  |  |\n",
		"\n1 of 3 services are hardened",
		"\n| seconds | 30.0 | at most 60 | ok |\n",
		"\n| share of the time in the service and its checks | 0.75 | at least 0.7 | ok |\n",
		"\n| start, watched : start | 1.50 | at most 2 | ok |\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the report lacks %q:\n%s", want, got)
		}
	}
}

func TestVerdict(t *testing.T) {
	slow, idle := hardenedRow("slow", 61*time.Second), hardenedRow("idle", time.Second)
	idle.proof.Times["service"] = 1
	failed := hardenedRow("odd", time.Second)
	failed.failure = errors.New("no")
	for name, tt := range map[string]struct {
		rows []*row
		want string // empty: none
	}{
		"all well": {[]*row{hardenedRow("redis", time.Second)}, ""},
		"slow":     {[]*row{slow}, "missed:\n  seconds: 61.0, the bar is 60"},
		"idle":     {[]*row{idle}, "missed:\n  share of the time in the service and its checks: 0.05, the bar is 0.7"},
		"failed":   {[]*row{failed}, "missed:\n  odd failed"},
		"nothing known": {[]*row{{service: "odd"}}, "missed:\n  seconds: ?, the bar is 60\n" +
			"  share of the time in the service and its checks: ?, the bar is 0.7\n  start, watched : start: ?, the bar is 2"},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			if err := verdict(tt.rows); err != nil {
				got = err.Error()
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestHardened(t *testing.T) {
	for name, spoil := range map[string]func(*row){
		"failed":      func(r *row) { r.failure = errors.New("no") },
		"no proof":    func(r *row) { r.proof = nil },
		"root":        func(r *row) { r.proof.Profile.User = "0:0" },
		"capability":  func(r *row) { r.proof.Profile.Capabilities = []string{"CAP_CHOWN"} },
		"read-write":  func(r *row) { r.proof.Profile.ReadWrite = true },
		"escalates":   func(r *row) { r.proof.Profile.Escalates = true },
		"irreducible": func(r *row) { r.proof.Profile.Irreducible = []string{"why"} },
	} {
		t.Run(name, func(t *testing.T) {
			r := hardenedRow("redis", time.Second)
			if !r.hardened() {
				t.Fatal("it is not hardened to begin with")
			}
			if spoil(r); r.hardened() {
				t.Error("it counts as hardened")
			}
		})
	}
}

func TestWhy(t *testing.T) {
	ended := &commandError{args: []string{"deckhand", "harden"}, output: "one\ntwo\n", err: errors.New("exit status 1")}
	for name, tt := range map[string]struct {
		err  error
		want string
	}{
		"the last line":      {ended, "two"},
		"nothing printed":    {&commandError{args: []string{"x"}, err: errors.New("exit status 1")}, "exit status 1"},
		"words of its own":   {fmt.Errorf("round 1: the check did not pass: %w", ended), "round 1: the check did not pass: two"},
		"out of time":        {fmt.Errorf("not done after 2s\n%w", errors.Join(ended, context.DeadlineExceeded)), "not done after 2s"},
		"not from a command": {errors.New("the root is writable\nand more"), "the root is writable"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := why(tt.err); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestServices(t *testing.T) {
	services, err := loadServices(os.DirFS("../.."), "")
	if err != nil {
		t.Fatal(err)
	}
	if len(services) < 20 {
		t.Errorf("%d services", len(services))
	}
}

func TestLoadServices(t *testing.T) {
	file := func(mode os.FileMode) *fstest.MapFile { return &fstest.MapFile{Mode: mode, Data: []byte("x\n")} }
	repository := fstest.MapFS{
		root + "/main.go":      file(0o644),
		root + "/b/Dockerfile": file(0o644), root + "/b/check": file(0o755), root + "/b/exercise": file(0o644),
		root + "/a/Dockerfile": file(0o644), root + "/a/check": file(0o755),
	}
	broken := fstest.MapFS{root + "/c/Dockerfile": file(0o644), root + "/c/check": file(0o644)}
	checkless := fstest.MapFS{root + "/d/Dockerfile": file(0o644)}
	for name, tt := range map[string]struct {
		repository fstest.MapFS
		only       string
		want       string // names and exercises, or what the error has
	}{
		"all":            {repository, "", "a() b(x)"},
		"in that order":  {repository, "b,a", "b(x) a()"},
		"no such":        {repository, "b,e", `no service "e" in bench/harden: there are a, b`},
		"not executable": {broken, "", "chmod +x"},
		"no check":       {checkless, "", "d/check"},
		"elsewhere":      {fstest.MapFS{}, "", "run this in the repository's root"},
	} {
		t.Run(name, func(t *testing.T) {
			services, err := loadServices(tt.repository, tt.only)
			if err != nil {
				if !strings.Contains(err.Error(), tt.want) {
					t.Errorf("error %v, want %q", err, tt.want)
				}
				return
			}
			var got []string
			for _, s := range services {
				got = append(got, s.name+"("+s.exercise+")")
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
