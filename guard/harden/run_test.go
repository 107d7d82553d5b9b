package harden_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/deckhand-engine/deckhand/guard/harden"
	"github.com/deckhand-engine/deckhand/guard/profile"
	"github.com/deckhand-engine/deckhand/guard/proof"
	"github.com/deckhand-engine/deckhand/guard/repair"
)

// service is one to harden.
type service struct {
	dockerfile string // empty: "x" is started
	files      string // besides debian's
	programs   map[string]program
	lacks      []string // commands that the image does not have
	noShell    bool
	options    func(*harden.Options)
}

// x is a service of one program, "x".
func x(p program, files ...string) service {
	return service{files: strings.Join(files, "\n"), programs: map[string]program{"/usr/bin/x": p}}
}

// starting is a program that does something at its start.
func starting(steps ...step) program { return program{start: steps} }

// hardening is one run.
type hardening struct {
	lab     *lab
	options harden.Options
	events  []harden.Event
}

func newHardening(s service) *hardening {
	h := &hardening{lab: newLab(s.files, s.programs)}
	h.lab.lacks = s.lacks
	if s.noShell {
		delete(h.lab.base, "/bin/sh")
	}
	text := s.dockerfile
	if text == "" {
		text = "CMD [\"x\"]\n"
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	h.options = harden.Options{
		Lab: h.lab, Source: "./Dockerfile", Name: "x", Dockerfile: []byte("FROM base\n" + text), UID: 9000, GID: 9000,
		Progress: func(e harden.Event) { h.events = append(h.events, e) },
		Now: func() time.Time {
			now = now.Add(time.Millisecond)
			return now
		},
	}
	if s.options != nil {
		s.options(&h.options)
	}
	return h
}

// TestRun hardens services, and says what each of them needs and why.
func TestRun(t *testing.T) {
	tests := map[string]struct {
		service service
		want    []string // repairs
	}{
		"nothing": {x(starting(reads("/usr/share"), listens(":8080"))), nil},
		"a pid file in /run": {
			x(starting(writes("/run/x.pid"))), []string{"tmpfs /run"},
		},
		"a pid file by the old name of /run": {
			x(starting(writes("/var/run/x.pid"))), []string{"tmpfs /run"},
		},
		"a directory of its own in /run": {
			x(starting(makes("/run/x"), writes("/run/x/x.pid"), listens("unix:/run/x/x.sock"))), []string{"tmpfs /run/x"},
		},
		"a file in /tmp": {x(starting(writes("/tmp/x"), writes("/var/tmp/y"))), []string{"tmpfs /tmp", "tmpfs /var/tmp"}},
		"shared memory":  {x(starting(writes("/dev/shm/x"), writes("/dev/null"))), nil},
		"a log": {
			x(starting(writes("/var/log/x/x.log")), "0755 0:0 /var/log/x/"), []string{"tmpfs /var/log/x"},
		},
		"state": {
			x(program{exercise: []step{writes("/var/lib/x/dump")}}, "0755 0:0 /var/lib/x/"), []string{"volume /var/lib/x"},
		},
		"state in a directory that it makes": {
			x(starting(makes("/var/lib/x"), writes("/var/lib/x/dump"))), []string{"volume /var/lib/x"},
		},
		"state that must be there after a restart": {
			x(starting(when(isRestarted, reads("/var/lib/x/dump")), makes("/var/lib/x"), writes("/var/lib/x/dump")), "0755 0:0 /var/lib/x/"),
			[]string{"volume /var/lib/x"},
		},
		"old state that it changes": {
			x(starting(writes("/var/lib/x/dump"), writes("/var/lib/x/new")), "0644 0:0 /var/lib/x/dump"),
			[]string{"volume -R /var/lib/x"},
		},
		"old state that it only reads": {
			x(starting(reads("/var/lib/x/old"), writes("/var/lib/x/new")), "0644 0:0 /var/lib/x/old"),
			[]string{"volume /var/lib/x"},
		},
		"a volume of the image": {
			service{
				dockerfile: "VOLUME /data\nCMD [\"x\"]\n", files: "0755 0:0 /data/",
				programs: map[string]program{"/usr/bin/x": starting(writes("/data/x"))},
			},
			[]string{"volume /data"},
		},
		"a private configuration file": {
			x(starting(reads("/etc/x.conf")), "0600 0:0 /etc/x.conf"), []string{"chown /etc/x.conf"},
		},
		"a private configuration file in a private directory": {
			x(starting(reads("/etc/x/x.conf")), "0700 0:0 /etc/x/", "0600 0:0 /etc/x/x.conf"),
			[]string{"chown /etc/x/x.conf", "mode /etc/x"},
		},
		"a private program": {
			x(starting(runs("/opt/x/x2")), "0700 0:0 /opt/x/", "0750 0:0 /opt/x/x2"),
			[]string{"mode /opt/x", "mode /opt/x/x2"},
		},
		"a directory that it lists": {x(starting(lists("/opt/x")), "0750 0:0 /opt/x/"), []string{"mode /opt/x"}},
		"what only root should read": {
			x(starting(survives(reads("/etc/shadow")), writes("/run/x"))), []string{"tmpfs /run"},
		},
		"a low port": {
			x(starting(listens(":80"))), []string{"sysctl net.ipv4.ip_unprivileged_port_start=80"},
		},
		"two low ports": {
			x(starting(listens(":443"), listens(":80"), listens(":8080"))),
			[]string{"sysctl net.ipv4.ip_unprivileged_port_start=80"},
		},
		"a home": {
			x(starting(writes("~/.x")), "0755 0:0 /var/lib/x/"), []string{"env HOME=/home/x", "volume /home/x"},
		},
		"a name": {x(starting(insists(hasName))), []string{"passwd line x"}},
		"a name and a port": {
			x(starting(insists(hasName), listens(":80"))),
			[]string{"passwd line x", "sysctl net.ipv4.ip_unprivileged_port_start=80"},
		},
		"file capabilities": {
			x(starting(runs("/usr/bin/y")), "0755 0:0 /usr/bin/y + cap_net_raw"), []string{"strip-caps /usr/bin/y"},
		},
		"a raw socket": {x(starting(socket("inet/raw"))), []string{"capability CAP_NET_RAW"}},
		"a raw socket that it can do without": {
			x(starting(survives(socket("inet/raw")), writes("/run/x"))), []string{"tmpfs /run"},
		},
		"uid 0": {x(starting(insists(isRoot))), []string{"uid 0"}},
		"writes all over": {
			x(starting(writes("/etc/x"), writes("/usr/y")), "0777 0:0 /etc/", "0777 0:0 /usr/"), []string{"writable root"},
		},
		"a move within a place": {
			x(starting(writes("/srv/x/a"), moves("/srv/x/a", "/srv/x/b")), "0755 0:0 /srv/x/"), []string{"volume /srv/x"},
		},
		"a move between two places": {
			x(starting(writes("/srv/in/a"), makes("/srv/out"), moves("/srv/in/a", "/srv/out/a")), "0755 0:0 /srv/in/", "0755 0:0 /srv/out/"),
			[]string{"uid 0", "writable root"},
		},
		"a move between two places of its own": {
			x(starting(writes("/srv/x/in/a"), moves("/srv/x/in/a", "/srv/x/out/a")), "0755 0:0 /srv/x/in/", "0755 0:0 /srv/x/out/"),
			[]string{"volume -R /srv/x"},
		},
		"a directory of the image in a hidden one": {
			x(starting(writes("/var/cache/x/a/b"), writes("/var/cache/x/c")), "0755 0:0 /var/cache/x/a/"),
			[]string{"tmpfs /var/cache/x", "tmpfs /var/cache/x/a"},
		},
		"a file of the image in a hidden place": {
			x(starting(reads("/var/cache/x/seed"), writes("/var/cache/x/c")), "0644 0:0 /var/cache/x/seed"),
			[]string{"volume /var/cache/x"},
		},
		"names that it makes up": {
			x(starting(crowd("/var/lib/x")...), "0755 0:0 /var/lib/x/"), []string{"volume /var/lib/x"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) { newHardening(tt.service).prove(t, tt.want...) })
	}
}

// prove hardens the service, which must come to the repairs.
func (h *hardening) prove(t *testing.T, want ...string) *proof.Proof {
	t.Helper()
	p, err := harden.Run(t.Context(), h.options)
	if err != nil {
		t.Fatal(err, h.titles())
	}
	if diff := cmp.Diff(want, names(p.Repairs)); diff != "" {
		t.Errorf("repairs (-want +got)\n%s%s", diff, h.titles())
	}
	h.examine(t, p)
	return p
}

// crowd makes many directories, and files in each.
func crowd(dir string) []step {
	var steps []step
	for name := range strings.SplitSeq("abcdefghijk", "") {
		steps = append(steps, makes(dir+"/"+name), writes(dir+"/"+name+"/f"))
	}
	return steps
}

func names(repairs []repair.Repair) []string {
	var out []string
	for _, r := range repairs {
		out = append(out, r.String())
	}
	slices.Sort(out)
	return out
}

// titles are the trials, for messages.
func (h *hardening) titles() string {
	var b strings.Builder
	for _, e := range h.events {
		switch {
		case e.Trial != nil && e.Trial.Passed:
			b.WriteString("\n" + string(e.Phase) + ": " + e.Title + ": passed")
		case e.Trial != nil:
			b.WriteString("\n" + string(e.Phase) + ": " + e.Title + ": " + e.Trial.Reason + " " + e.Outcome.Output)
		}
	}
	return b.String()
}

// examine sees that a proof holds: what it says works, and nothing of it can be left out.
func (h *hardening) examine(t *testing.T, p *proof.Proof) {
	t.Helper()
	filter, err := proof.SeccompProfile(p.Syscalls, p.Profile.Capabilities)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if out := h.play(t, []byte(p.Dockerfile), &p.Profile, filter); !out.Passed {
			t.Errorf("the result does not work: %s\n%s", out.Reason, p.Dockerfile)
		}
	}
	for i, r := range p.Repairs {
		if r.Kind == repair.Capability && slices.Contains(h.options.Keep, r.Value) {
			continue
		}
		text, prof, err := h.written(slices.Delete(slices.Clone(p.Repairs), i, i+1))
		if err != nil {
			continue // the Dockerfile cannot say it
		}
		if out := h.play(t, text, prof, nil); out.Passed && out.Killed == "" {
			t.Errorf("it works without %s", r)
		}
		if r.Why == "" {
			t.Errorf("nobody knows what %s is for", r)
		}
	}
	if err := p.Profile.Check(); err != nil {
		t.Errorf("the profile: %v", err)
	}
	h.examineEvents(t, p)
	h.examineReasons(t, p)
}

// play tries a Dockerfile and a profile in the lab.
func (h *hardening) play(t *testing.T, text []byte, p *profile.Profile, filter []byte) *harden.Outcome {
	t.Helper()
	id, err := h.lab.Build(t.Context(), text)
	if err != nil {
		return &harden.Outcome{Reason: err.Error()}
	}
	out, err := h.lab.Try(t.Context(), harden.Trial{Image: id, Profile: p, Seccomp: filter})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// written is what repairs come to: the Dockerfile and the profile.
func (h *hardening) written(repairs []repair.Repair) ([]byte, *profile.Profile, error) {
	p := &profile.Profile{Version: profile.Version, User: "9000:9000"}
	for _, r := range repairs {
		switch r.Kind {
		case repair.Tmpfs:
			p.Tmpfs = append(p.Tmpfs, profile.Tmpfs{Path: r.Path, Mode: r.Mode})
		case repair.Volume:
			p.Volumes = append(p.Volumes, profile.Volume{Path: r.Path})
		case repair.Port:
			name, value, _ := strings.Cut(r.Value, "=")
			p.Sysctls = map[string]string{name: value}
		case repair.Capability:
			p.Capabilities = append(p.Capabilities, r.Value)
		case repair.ReadWrite:
			p.ReadWrite = true
		case repair.Root:
			p.User = "0:0"
		default:
		}
	}
	text, err := repair.Dockerfile(h.options.Dockerfile, repair.Options{
		User: p.User, NoShell: h.lab.base["/bin/sh"] == nil, NoEntrypoint: true,
	}, repairs)
	return text, p, err
}

// examineEvents sees that each trial that is told of begins before it ends, and that the proof lists them all.
func (h *hardening) examineEvents(t *testing.T, p *proof.Proof) {
	t.Helper()
	var phases []harden.Phase
	var ended []proof.Trial
	begun := ""
	for _, e := range h.events {
		if !slices.Contains(phases, e.Phase) {
			phases = append(phases, e.Phase)
		}
		switch {
		case e.Note != "" && (e.Trial != nil || e.Title != ""):
			t.Errorf("%+v is a note and a step", e)
		case e.Trial != nil:
			ended = append(ended, *e.Trial)
			if begun != "" && begun != e.Title {
				t.Errorf("%q ended, %q had begun", e.Title, begun)
			}
			begun = ""
		case e.Note == "" && e.Phase != harden.Probing:
			begun = e.Title
		}
	}
	order := []harden.Phase{
		harden.Baseline, harden.Watching, harden.Repairing, harden.Minimising, harden.Learning, harden.Proving, harden.Probing,
	}
	if !slices.Contains(phases, harden.Minimising) {
		order = slices.Delete(order, 3, 4)
	}
	if diff := cmp.Diff(order, phases); diff != "" {
		t.Errorf("phases (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(ended, p.Trials); diff != "" {
		t.Errorf("trials (-told +in the proof)\n%s", diff)
	}
}

// examineReasons sees that a privilege that is kept has a reason in the profile, and nothing else has.
func (h *hardening) examineReasons(t *testing.T, p *proof.Proof) {
	t.Helper()
	var got []string
	want := slices.Concat(p.Profile.Capabilities)
	if strings.HasPrefix(p.Profile.User, "0:") {
		want = append(want, "uid 0")
	}
	if p.Profile.ReadWrite {
		want = append(want, "a writable root")
	}
	for _, reason := range p.Profile.Irreducible {
		what, why, _ := strings.Cut(reason, ":")
		got = append(got, strings.TrimSuffix(what, " (as good as root in the container)"))
		if strings.TrimSpace(why) == "" {
			t.Errorf("%q says no reason", reason)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("privileges (-kept +explained)\n%s", diff)
	}
}
