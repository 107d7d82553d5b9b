package proof_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/deckhand-engine/deckhand/guard/observe"
	"github.com/deckhand-engine/deckhand/guard/probe"
	"github.com/deckhand-engine/deckhand/guard/profile"
	"github.com/deckhand-engine/deckhand/guard/proof"
	"github.com/deckhand-engine/deckhand/guard/repair"
)

// sample is a proof with something of everything.
func sample() *proof.Proof {
	rename := observe.Call{
		Syscall: "openat", Errno: syscall.EACCES, Path: "/var/lib/redis/temp-12.rdb", Writes: true, Creates: true,
		Process: observe.Process{PID: 12, Parent: 1, Comm: "redis-server", Exe: "/usr/bin/redis-server", UID: 9000}, Count: 3,
	}
	pid := observe.Call{
		Syscall: "openat", Errno: syscall.EROFS, Path: "/run/redis/redis.pid", Writes: true, Creates: true,
		Process: observe.Process{PID: 1, Comm: "redis-server", UID: 9000}, Count: 1,
	}
	return &proof.Proof{
		Version: proof.Version, Source: "./Dockerfile", Context: ".", Name: "redis",
		Command:    []string{"deckhand", "harden", "--exercise", "redis-cli save", "--output", "hardened", "./Dockerfile"},
		Dockerfile: "FROM debian:12\nRUN apt-get install -y redis-server\nUSER 9000:9000\nCMD [\"redis-server\"]\n",
		Profile: profile.Profile{
			Version: profile.Version, User: "9000:9000", Capabilities: []string{},
			Tmpfs:   []profile.Tmpfs{{Path: "/run/redis"}, {Path: "/tmp", Mode: "1777"}},
			Volumes: []profile.Volume{{Path: "/var/lib/redis", Name: "redis-data", Content: true}},
			Ports:   []string{"6379/tcp"}, Seccomp: proof.SeccompName,
		},
		Repairs: []repair.Repair{
			{Kind: repair.Chown, Path: "/var/lib/redis", For: []observe.Call{rename}, Why: "redis-server writes temp-12.rdb here (openat, EACCES)"},
			{Kind: repair.Tmpfs, Path: "/run/redis", For: []observe.Call{pid}, Why: "redis-server creates redis.pid here (openat, EROFS)"},
			{Kind: repair.Tmpfs, Path: "/tmp", Mode: "1777", Why: "redis-server creates files here"},
		},
		Syscalls: []string{"accept4", "clone", "close", "epoll_wait", "execve", "exit_group", "futex", "openat", "read", "write"},
		Refused:  []string{"rseq", "sysinfo"},
		Tolerated: []observe.Call{{
			Syscall: "prlimit64", Errno: syscall.EPERM, ID: -1, Group: -1, Args: [6]int64{0, 7, 140000000, 0},
			Process: observe.Process{PID: 1, Comm: "redis-server", UID: 9000}, Count: 2,
		}},
		Check: "redis-cli ping", CheckFrom: "--check", Exercise: "redis-cli save",
		Trials: []proof.Trial{
			{Title: "as root, watched", Passed: true, Took: 1532 * time.Millisecond},
			{Title: "as 9000:9000, read-only", Reason: "the service exited with code 1 after 0.2 s", Denials: 4, Took: 410*time.Millisecond + 7},
			{Title: "with 3 repairs", Passed: true, Denials: 1, Took: 1200 * time.Millisecond},
			{Title: "without tmpfs /tmp", Reason: "the exercise failed", Denials: 2, Took: 900 * time.Millisecond},
		},
		Before: column("as it is (root)", "0:0", 3), After: column("hardened", "9000:9000", 29),
		Times:    map[string]float64{"total": 21.5, "service": 16.25, "engine": 3.5, "build": 1.75, "observe": 0.6, "unobserved": 0.4},
		Finished: time.Date(2026, 11, 25, 10, 30, 15, 0, time.UTC),
	}
}

// column has every third probe absent, and of the others one of n allowed.
func column(title, user string, n int) *probe.Column {
	c := &probe.Column{Title: title, User: user}
	for i, p := range probe.Probes() {
		r := probe.Result{Probe: p.Name, Verdict: probe.Denied, Errno: syscall.EPERM, By: probe.ByCapability}
		switch {
		case i%7 == 5:
			r = probe.Result{Probe: p.Name, Verdict: probe.Absent}
		case i%n != 1:
		default:
			r = probe.Result{Probe: p.Name, Verdict: probe.Allowed}
		}
		c.Results = append(c.Results, r)
	}
	return c
}

// files are the files of a proof that can be written.
func files(t testing.TB, p *proof.Proof) map[string][]byte {
	t.Helper()
	all, err := proof.Files(p)
	if err != nil {
		t.Fatal(err)
	}
	return all
}
