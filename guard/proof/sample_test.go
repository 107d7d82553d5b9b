package proof_test

import (
	"strings"
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
		Original:   "FROM debian:12\nRUN apt-get install -y redis-server\nCMD [\"redis-server\"]\n",
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

// nasty is a text that every format has a meaning for.
const nasty = "a|b `c` $HOME ${X:-y} <script>alert(1)</script> ]]> --> *d* [e](f) 'g' \"h\" \\ # i: j\n- k\x00\x1b[2J\u2028\u202e%s"

// hostile is a proof of a service that chose all its names to do harm.
func hostile() *proof.Proof {
	call := observe.Call{
		Syscall: nasty, Errno: 4095, Path: nasty, Address: nasty, Argv: []string{nasty}, Filtered: true,
		Process: observe.Process{Comm: nasty}, Count: 2,
	}
	p := sample()
	p.Original = "````\n" + nasty
	p.Source, p.Context, p.Name, p.Command = nasty, nasty, nasty, []string{"deckhand", "harden", nasty}
	p.Check, p.CheckHost, p.CheckFrom, p.Exercise = nasty, nasty, nasty, nasty
	p.Profile.Image = "--privileged"
	p.Profile.Capabilities = []string{"CAP_NET_RAW", "CAP_NET_BIND_SERVICE"}
	p.Profile.Tmpfs = []profile.Tmpfs{{Path: `/run/$HOME '"#{} &*!|>%@` + "`", Mode: "0700"}, {Path: "/a:b"}, {Path: "/~"}, {Path: "/-"}}
	p.Profile.Volumes = []profile.Volume{
		{Path: `/v/${X} 'y' # z`, Content: true},
		{Path: "/data", Name: "null"},
		{Path: "/other", Name: "null"},
		{Path: "/c:d", Content: true},
		{Path: "/" + strings.Repeat("long/", 40) + "way"},
		{Path: "/" + strings.Repeat("long/", 40) + "path"},
	}
	p.Profile.Sysctls = map[string]string{"net.ipv4.x$y": "$1 'a'\t#\u0085", "net.ipv4.ip_unprivileged_port_start": "80"}
	p.Profile.Ports = []string{"080/tcp", "80/tcp", "80/udp", "443/sctp"}
	p.Profile.Irreducible = []string{nasty}
	p.Repairs = []repair.Repair{{Kind: repair.Kind(nasty), Path: nasty, Why: nasty, For: []observe.Call{call}}}
	p.Refused, p.Tolerated = []string{nasty}, []observe.Call{call}
	p.Trials = []proof.Trial{{Title: nasty, Reason: nasty}}
	p.Before.Title, p.After.Title = nasty, nasty
	p.Times = map[string]float64{nasty: 1}
	return p
}

// irreducible is a proof of a service that has to be root.
func irreducible() *proof.Proof {
	p := sample()
	p.Name, p.Source, p.Command, p.Exercise = "cron", "debian-cron:latest", nil, ""
	p.Check, p.CheckHost, p.CheckFrom = "", "test -s log/ran", "--check-host"
	p.Profile = profile.Profile{
		Version: profile.Version, User: "0:0", Capabilities: []string{"CAP_SETGID", "CAP_SETUID"}, ReadWrite: true, Escalates: true,
		Volumes:     []profile.Volume{{Path: "/var/spool/cron", Content: true}},
		Sysctls:     map[string]string{"net.core.somaxconn": "1024"},
		Irreducible: []string{"it runs jobs as other users: setgroups and setuid"},
	}
	p.Syscalls, p.Refused, p.Tolerated, p.Before = nil, nil, nil, nil
	p.Repairs = []repair.Repair{
		{Kind: repair.Root, Why: "it runs jobs as other users"},
		{Kind: repair.Config, Path: "/etc/cron.conf", Old: "user=root", Why: "it would drop to a user that is none"},
	}
	return p
}
