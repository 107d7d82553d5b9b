package harden_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/deckhand-engine/deckhand/guard/harden"
)

// account is a user that the image has for its service.
const account = `0644 0:0 /etc/passwd = root:x:0:0:root:/root:/bin/sh\nx:x:999:998:x:/var/lib/x:/bin/false
	0644 0:0 /etc/group = root:x:0:\nx:x:998:
`

// scripted is a service that a script starts.
func scripted(script, p program, files string) service {
	return service{
		dockerfile: "ENTRYPOINT [\"/entrypoint.sh\"]\nCMD [\"x\", \"--serve\"]\n", files: files,
		programs: map[string]program{"/entrypoint.sh": script, "/usr/bin/x": p},
	}
}

// TestIdentity hardens services that give up root themselves, or do not.
func TestIdentity(t *testing.T) {
	const state = "0755 0:0 /var/lib/x/"
	tests := map[string]struct {
		service service
		want    []string // repairs
	}{
		"a script that gives up root": {
			scripted(starting(owns("/var/lib/x", 33), becomes(33), runs("x", "--serve")), starting(writes("/var/lib/x/dump")), state),
			[]string{"entrypoint x --serve", "volume /var/lib/x"},
		},
		"a script that gives up root if it is root": {
			scripted(starting(when(isRoot, owns("/var/lib/x", 33), becomes(33)), runs("x", "--serve")), starting(writes("/var/lib/x/dump")), state),
			[]string{"volume /var/lib/x"},
		},
		"a script that makes a directory and starts the service there": {
			scripted(starting(makes("/run/x"), owns("/run/x", 34), enters("/run/x"), becomes(34), runs("x", "--serve")),
				starting(writes("x.pid")), ""),
			[]string{"entrypoint x --serve", "tmpfs /run/x", "workdir /run/x"},
		},
		"a script that adds arguments": {
			scripted(starting(becomes(33), runs("/usr/bin/x", "--foreground", "--serve")), starting(), ""),
			[]string{"entrypoint /usr/bin/x --foreground --serve"},
		},
		"its own user's name": {
			x(starting(becomesNamed("x")), account),
			[]string{"config /etc/passwd with x:x:9000:9000:x:/var/lib/x:/bin/false"},
		},
		"its own user's name, seen by no call": {
			x(starting(when(isRoot, becomes(999)), insists(isCalled("x")), writes("/var/lib/x/f")), account, "0755 999:998 /var/lib/x/"),
			[]string{"config /etc/passwd with x:x:9000:9000:x:/var/lib/x:/bin/false", "volume /var/lib/x"},
		},
		"an argument that asks for another user": {
			service{
				dockerfile: "CMD [\"x\", \"--user\", \"x\", \"-u=x\", \"-n\", \"3\"]\n", files: account,
				programs: map[string]program{"/usr/bin/x": starting(when(given("--user"), becomes(999)))},
			},
			[]string{"entrypoint x -n 3"},
		},
		"a line that asks for another user": {
			x(starting(when(configured("/etc/x/x.conf", "user"), becomes(33))), "0644 0:0 /etc/x/x.conf = port 80\\nuser www-data\\nlog all"),
			[]string{"config /etc/x/x.conf without user www-data"},
		},
		"a line that asks for another root": {
			x(starting(when(configured("/etc/x.conf", "chroot"), chroots("/var/lib/x"))), "0644 0:0 /etc/x.conf = chroot /var/lib/x\\nuser_agent = y"),
			[]string{"config /etc/x.conf without chroot /var/lib/x"},
		},
		"parts that run as different users": {
			x(starting(forks(becomes(33)), forks(becomes(34)))), []string{"capability CAP_SETGID", "capability CAP_SETUID"},
		},
		"a file for somebody else": {
			x(starting(owns("/var/lib/x/f", 33)), "0644 0:0 /var/lib/x/f"), []string{"capability CAP_CHOWN", "volume /var/lib/x"},
		},
		"a file of the image for somebody else": {
			x(starting(owns("/etc/x", 33)), "0644 0:0 /etc/x"), []string{"capability CAP_CHOWN", "writable root"},
		},
		"uid 0 with a capability": {
			x(starting(insists(isRoot), socket("packet/raw"))), []string{"capability CAP_NET_RAW", "uid 0"},
		},
		"uid 0 that moves files": {
			x(starting(insists(isRoot), makes("/srv/x/out"), writes("/srv/x/in/a"), moves("/srv/x/in/a", "/srv/x/out/a")), "0755 0:0 /srv/x/in/"),
			[]string{"uid 0", "volume /srv/x"},
		},
		"uid 0 with state": {
			x(starting(insists(isRoot), writes("/var/lib/x/f"), writes("/run/x.pid")), state), []string{"tmpfs /run", "uid 0", "volume /var/lib/x"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { newHardening(tt.service).prove(t, tt.want...) })
	}
}

// given is whether the process has the argument.
func given(arg string) func(*process) bool {
	return func(p *process) bool { return slices.Contains(p.argv, arg) }
}

// TestKeep leaves a capability that the user wants where it is, though the service does without.
func TestKeep(t *testing.T) {
	s := x(starting(writes("/run/x")))
	s.options = func(o *harden.Options) { o.Keep = []string{"CAP_NET_RAW"} }
	h := newHardening(s)
	p := h.prove(t, "capability CAP_NET_RAW", "tmpfs /run")
	if diff := cmp.Diff([]string{"CAP_NET_RAW"}, p.Profile.Capabilities); diff != "" {
		t.Errorf("capabilities (-want +got)\n%s", diff)
	}
}

// TestPorts checks what the service listens on, where nobody says how to check it.
func TestPorts(t *testing.T) {
	tests := map[string]struct {
		service          service
		repairs          []string
		published, ports []string
	}{
		"seen": {
			x(starting(listens(":6379"), listens("127.0.0.1:9999"), listens(":40000"))), nil, []string{"6379/tcp"}, []string{"6379/tcp"},
		},
		"exposed": {
			service{dockerfile: "EXPOSE 8080\nCMD [\"x\"]\n", programs: map[string]program{"/usr/bin/x": starting(listens(":8080"), listens(":8081"))}},
			nil, nil,
			[]string{"8080/tcp"},
		},
		"seen, and refused in silence": {
			x(starting(survives(listens(":80")))), []string{"sysctl net.ipv4.ip_unprivileged_port_start=80"}, []string{"80/tcp"}, []string{"80/tcp"},
		},
		"checked by a command": {
			service{
				programs: map[string]program{"/usr/bin/x": starting(listens(":8080"))},
				options:  func(o *harden.Options) { o.Checks = harden.Checks{Check: "x-cli ping", From: "--check"} },
			}, nil, nil, nil,
		},
		"checked by the image": {
			service{
				dockerfile: "HEALTHCHECK CMD x-cli ping\nCMD [\"x\"]\n",
				programs:   map[string]program{"/usr/bin/x": starting(listens(":8080"))},
			}, nil, nil, nil,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := newHardening(tt.service)
			p := h.prove(t, tt.repairs...)
			if diff := cmp.Diff(tt.published, h.lab.ports); diff != "" {
				t.Errorf("published (-want +got)\n%s", diff)
			}
			if diff := cmp.Diff(tt.ports, p.Profile.Ports); diff != "" {
				t.Errorf("the profile's ports (-want +got)\n%s", diff)
			}
			if p.CheckFrom == "" {
				t.Error("the proof does not say how the service was checked")
			}
		})
	}
}

// TestSyscalls finds the system calls of services.
func TestSyscalls(t *testing.T) {
	in := func(trials ...int) func(*process) bool {
		return func(p *process) bool { return slices.Contains(trials, p.run.n) }
	}
	tests := map[string]struct {
		service       service
		has, lacks    []string
		refused       []string
		leastOfTrials int
	}{
		"always the same": {
			x(starting(calls("getrandom", "fsync"))), []string{"brk", "execve", "fsync", "getrandom", "rt_sigreturn"}, []string{"mount", "openat"}, nil, 6,
		},
		"other ones than when it was watched": {
			x(starting(when(in(5, 6, 7, 8), calls("getrandom")))), []string{"getrandom"}, nil, nil, 9,
		},
		"other ones than when it was watched, but for the first time": {
			x(starting(when(in(2, 5, 7, 8), calls("getrandom")))), []string{"getrandom"}, nil, nil, 9,
		},
		"what it can do without": {
			x(starting(survives(calls("unshare")), calls("setpriority"), survives(calls("keyctl", "bpf")), survives(calls("fsync")))),
			[]string{"fsync", "setpriority"},
			[]string{"bpf", "keyctl", "unshare"},
			[]string{"bpf", "keyctl", "unshare"},
			7,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := newHardening(tt.service)
			p := h.prove(t)
			for _, name := range tt.has {
				if !slices.Contains(p.Syscalls, name) {
					t.Errorf("%s is not allowed: %v", name, p.Syscalls)
				}
			}
			for _, name := range tt.lacks {
				if slices.Contains(p.Syscalls, name) {
					t.Errorf("%s is allowed: %v", name, p.Syscalls)
				}
			}
			if diff := cmp.Diff(tt.refused, p.Refused, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("refused (-want +got)\n%s", diff)
			}
			if !slices.IsSorted(p.Syscalls) || p.Profile.Seccomp == "" {
				t.Errorf("the list %v in the file %q", p.Syscalls, p.Profile.Seccomp)
			}
			if len(p.Trials) < tt.leastOfTrials {
				t.Errorf("%d trials, want %d and more%s", len(p.Trials), tt.leastOfTrials, h.titles())
			}
		})
	}
}
