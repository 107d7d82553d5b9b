package main

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/deckhand-engine/deckhand/guard/profile"
	"github.com/deckhand-engine/deckhand/guard/proof"
	"github.com/deckhand-engine/deckhand/guard/repair"
	"github.com/deckhand-engine/deckhand/internal/need"
	"github.com/deckhand-engine/deckhand/internal/transcript"
)

// The programs are built, and what is left behind on the machine is noticed.
func TestMain(m *testing.M) { transcript.Main(m) }

// TestMinimal hardens real services: each works with what was proven, and with nothing of it left out.
func TestMinimal(t *testing.T) {
	if testing.Short() {
		t.Skip("installs packages over the network")
	}
	need.Root(t)
	need.Program(t, "redis-cli", "curl")
	l := newTestLab(t)
	for service, about := range map[string]string{
		"redis":   "a configuration that only root can read, and state",
		"nginx":   "a low port, a pid file, and directories of its own",
		"setpriv": "a start-up script that gives up root",
	} {
		t.Run(service, func(t *testing.T) {
			t.Log(about)
			newMinimality(t, l, service).try(t)
		})
	}
}

// newTestLab is a lab with a store of its own, in the repository's root.
func newTestLab(t *testing.T) *lab {
	t.Chdir("../..")
	dir := t.TempDir()
	t.Setenv("DECKHAND_DATA_ROOT", filepath.Join(dir, "data"))
	l := &lab{dir: dir, proofs: filepath.Join(dir, "proofs"), progress: t.Output()}
	if _, err := l.do(t.Context(), "deckhand", "import", transcript.Base(t, "debian"), "debian:12"); err != nil {
		t.Fatal(err)
	}
	return l
}

// minimality is a service that was hardened, and what it takes to build it again with less.
type minimality struct {
	lab      *lab
	service  *service
	proof    *proof.Proof
	original []byte
	edit     repair.Options
	filter   []byte // content of the proof's seccomp profile
}

// newMinimality hardens a service. That what was written works is seen on the way.
func newMinimality(t *testing.T, l *lab, name string) *minimality {
	t.Helper()
	s, err := loadService(os.DirFS("."), name)
	if err != nil {
		t.Fatal(err)
	}
	const limit = 5 * time.Minute
	r := l.measure(t.Context(), s, limit)
	if !r.hardened() {
		t.Fatalf("%s", r.line())
	}
	m := &minimality{lab: l, service: s, proof: r.proof}
	if m.original, err = os.ReadFile(s.dir + "/Dockerfile"); err != nil {
		t.Fatal(err)
	}
	if m.filter, err = os.ReadFile(filepath.Join(l.proofs, name, r.proof.Profile.Seccomp)); err != nil {
		t.Fatal(err)
	}
	image, err := l.inspect(t.Context(), s.image())
	if err != nil {
		t.Fatal(err)
	}
	m.edit = repair.Options{
		User: r.proof.Profile.User, BaseUser: image.Config.User, NoEntrypoint: len(image.Config.Entrypoint) == 0, Comments: true,
	}
	return m
}

// variant is a way to build and run the service.
type variant struct {
	title      string
	dockerfile string
	profile    string
}

// try requires that nothing can be left out.
func (m *minimality) try(t *testing.T) {
	all := m.variant(t, "nothing left out", m.proof.Repairs, m.proof.Profile)
	if diff := cmp.Diff(m.proof.Dockerfile, all.dockerfile); diff != "" {
		t.Fatalf("the proof's repairs do not make its Dockerfile (-proof +made):\n%s", diff)
	}
	// Longer than the service has ever taken; one that does not come up is known not to only after that.
	l := *m.lab
	l.patience = 2*time.Second + time.Duration(10*m.proof.Times["unobserved"]*float64(time.Second))
	if err := m.play(t, &l, all); err != nil {
		t.Fatalf("with all that was proven: %v", err)
	}
	seen := []variant{all}
	for _, v := range m.variants(t) {
		i := slices.IndexFunc(seen, func(o variant) bool { return o.dockerfile == v.dockerfile && o.profile == v.profile })
		switch {
		case i == 0:
			t.Errorf("%s: that is nothing: the Dockerfile and the profile are the same", v.title)
			continue
		case i > 0:
			continue // what says it in the Dockerfile and what says it in the profile are one
		}
		seen = append(seen, v)
		err := m.play(t, &l, v)
		if _, ok := errors.AsType[*unwell](err); err != nil && !ok {
			t.Fatalf("%s: %v", v.title, err)
		}
		if err == nil {
			t.Errorf("it works %s", v.title)
			continue
		}
		t.Logf("%s: %s", v.title, why(err))
	}
}

// variants leave one thing out each: a repair with what the profile has of it, or something of the profile alone.
func (m *minimality) variants(t *testing.T) []variant {
	t.Helper()
	var out []variant
	all, p := m.proof.Repairs, m.proof.Profile
	for i, r := range all {
		rest := slices.Concat(all[:i], all[i+1:])
		out = append(out, m.variant(t, "without the repair "+r.String(), rest, without(p, func(kind repair.Kind, value string) bool {
			return kind == r.Kind && (value == r.Path || value == r.Value)
		})))
	}
	for _, item := range items(p) {
		rest := without(p, func(kind repair.Kind, value string) bool { return kind == item.Kind && value == item.Value })
		out = append(out, m.variant(t, "without the profile's "+string(item.Kind)+" "+item.Value, all, rest))
	}
	return out
}

// items are what a profile gives, each named by the repair that asks for it, with its value.
func items(p profile.Profile) []repair.Repair {
	var out []repair.Repair
	without(p, func(kind repair.Kind, value string) bool {
		out = append(out, repair.Repair{Kind: kind, Value: value})
		return false
	})
	return out
}

// without is a profile without the items that are named.
func without(p profile.Profile, gone func(kind repair.Kind, value string) bool) profile.Profile {
	p.Tmpfs = slices.DeleteFunc(slices.Clone(p.Tmpfs), func(m profile.Tmpfs) bool { return gone(repair.Tmpfs, m.Path) })
	p.Volumes = slices.DeleteFunc(slices.Clone(p.Volumes), func(v profile.Volume) bool { return gone(repair.Volume, v.Path) })
	p.Capabilities = slices.DeleteFunc(slices.Clone(p.Capabilities), func(c string) bool { return gone(repair.Capability, c) })
	p.Sysctls = maps.Clone(p.Sysctls)
	maps.DeleteFunc(p.Sysctls, func(name, value string) bool { return gone(repair.Port, name+"="+value) })
	return p
}

func (m *minimality) variant(t *testing.T, title string, repairs []repair.Repair, p profile.Profile) variant {
	t.Helper()
	text, err := repair.Dockerfile(m.original, m.edit, repairs)
	if err != nil {
		t.Fatalf("%s: %v", title, err)
	}
	encoded, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return variant{title, string(text), string(encoded)}
}

// play builds a variant and plays it. A variant that cannot be built is the end of the test.
func (m *minimality) play(t *testing.T, l *lab, v variant) error {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"Dockerfile": v.dockerfile, profile.FileName: v.profile, m.proof.Profile.Seccomp: string(m.filter),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	image := m.service.image() + "-variant"
	if err := l.buildImage(t.Context(), m.service, filepath.Join(dir, "Dockerfile"), image); err != nil {
		t.Fatalf("%s: %v", v.title, err)
	}
	_, err := l.play(t.Context(), m.service, image, []string{"--profile", dir}, nil)
	return err
}

// TestItems has something of each kind, since three services do not.
func TestItems(t *testing.T) {
	p := profile.Profile{
		Tmpfs: []profile.Tmpfs{{Path: "/run"}, {Path: "/tmp"}}, Volumes: []profile.Volume{{Path: "/data"}},
		Capabilities: []string{"CAP_NET_RAW"}, Sysctls: map[string]string{"net.x": "80"},
	}
	var names []string
	for _, item := range items(p) {
		names = append(names, item.String())
		rest := without(p, func(kind repair.Kind, value string) bool { return kind == item.Kind && value == item.Value })
		if len(items(rest)) != len(items(p))-1 {
			t.Errorf("without %s there is %v", item, items(rest))
		}
	}
	if got := strings.Join(names, ","); got != "tmpfs ,tmpfs ,volume ,capability CAP_NET_RAW,sysctl net.x=80" {
		t.Errorf("got %s", got)
	}
	if len(items(p)) != len(names) {
		t.Error("the profile was changed")
	}
}
