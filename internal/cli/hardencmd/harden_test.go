package hardencmd

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/spf13/cobra"

	"github.com/deckhand-engine/deckhand/guard/harden"
	"github.com/deckhand-engine/deckhand/guard/profile"
	"github.com/deckhand-engine/deckhand/guard/proof"
	"github.com/deckhand-engine/deckhand/internal/engine"
	"github.com/deckhand-engine/deckhand/internal/lab"
	"github.com/deckhand-engine/deckhand/internal/store"
	"github.com/deckhand-engine/deckhand/internal/ui"
	"github.com/deckhand-engine/deckhand/ref"
)

// noLab is a laboratory in which nothing can be done.
type noLab struct {
	harden.Lab
	closed *bool
}

// Close implements laboratory.
func (l noLab) Close(context.Context) error {
	*l.closed = true
	return nil
}

// shop is a workshop without containers.
type shop struct {
	t      *testing.T
	store  *store.Store
	run    func(context.Context, harden.Options) (*proof.Proof, error)
	lab    lab.Options    // of the last call
	asked  harden.Options // likewise
	closed bool
}

func newShop(t *testing.T) *shop {
	t.Helper()
	s, err := store.Open(filepath.Join(t.TempDir(), "data"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &shop{t: t, store: s, run: func(context.Context, harden.Options) (*proof.Proof, error) { return anyProof(), nil }}
}

// harden runs the command.
func (s *shop) harden(ctx context.Context, args ...string) (code int, out, errOut string) {
	var stdout, stderr bytes.Buffer
	std := files{out: &stdout, err: &stderr, status: ui.NewStatus(&stderr)}
	o := &hardenOptions{workshop: &workshop{
		engine: func(files) (*engine.Engine, error) { return &engine.Engine{Store: s.store}, nil },
		lab: func(o lab.Options) (laboratory, error) {
			s.lab = o
			return noLab{closed: &s.closed}, nil
		},
		harden: func(ctx context.Context, o harden.Options) (*proof.Proof, error) {
			s.asked = o
			return s.run(ctx, o)
		},
		now:  func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) },
		argv: append([]string{"deckhand", "harden"}, args...),
	}}
	root := &cobra.Command{Use: "deckhand", SilenceErrors: true, SilenceUsage: true}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	root.AddCommand(o.command(std)) //nolint:contextcheck // it is given when it runs
	root.SetArgs(append([]string{"harden"}, args...))
	root.SetOut(&stdout)
	code = finish(ctx, &stderr, root.ExecuteContext(ctx))
	return code, stdout.String(), stderr.String()
}

// anyProof is a proof of a service that needs nothing.
func anyProof() *proof.Proof {
	return &proof.Proof{
		Source: "Dockerfile", Name: "any", Dockerfile: "FROM base\nUSER 9000:9000\n", CheckFrom: "--check", Check: "true",
		Profile: profile.Profile{Version: profile.Version, User: "9000:9000"},
	}
}

// tree makes files below a new working directory.
func tree(t *testing.T, texts map[string]string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, text := range texts {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestHardenUsage(t *testing.T) {
	tests := map[string]struct {
		args string
		want string
	}{
		"nothing":             {"", "one directory, Dockerfile or image, not 0"},
		"too much":            {"a b", "not 2"},
		"no such flag":        {"--nosuch app", "unknown flag: --nosuch"},
		"root":                {"--uid 0 app", "uid 0 is root"},
		"root by user":        {"--user 0:5 app", "uid 0 is root"},
		"root's group":        {"--user 9000:0 app", "gid 0 is root's group"},
		"a name":              {"--user redis app", "it must be numbers"},
		"uid and user":        {"--uid 1 --user 2 app", "contradict each other"},
		"a large uid":         {"--uid 4294967295 app", "uids up to 2147483647"},
		"no capability":       {"--keep-caps NET_RAW,NOSUCH app", `unknown capability "NOSUCH"`},
		"no port":             {"-p x app", "--port: invalid port"},
		"no format":           {"--format yaml app", "--format yaml: there are text, json"},
		"no network":          {"--network mine app", "there are default, host, none"},
		"no time":             {"--check-timeout soon app", "it must be a time"},
		"no time at all":      {"--stop-timeout 0 app", "it must be a time"},
		"no name":             {"--build-arg =x app", "has no name"},
		"a Dockerfile twice":  {"-f app/Dockerfile app/Dockerfile", "name the directory that app/Dockerfile is built over"},
		"a Dockerfile for no": {"-f app/Dockerfile image", "name the directory that app/Dockerfile is built over: image is none"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tree(t, map[string]string{"app/Dockerfile": "FROM base\n"})
			code, _, errOut := newShop(t).harden(t.Context(), strings.Fields(tt.args)...)
			if code != exitUsage || !strings.Contains(errOut, tt.want) {
				t.Errorf("exit code %d, %q, want %q", code, errOut, tt.want)
			}
		})
	}
}

// TestHardenSubject finds what an argument names.
func TestHardenSubject(t *testing.T) {
	type found struct{ Source, Name, File, Context, Dockerfile string }
	const text = "FROM base\n"
	tests := map[string]struct {
		args []string
		want found
	}{
		"a directory":            {[]string{"My_App"}, found{"My_App/Dockerfile", "my-app", "My_App/Dockerfile", "My_App", text}},
		"a lower case name":      {[]string{"./lower"}, found{"lower/dockerfile", "lower", "lower/dockerfile", "./lower", text}},
		"a Dockerfile":           {[]string{"My_App/Dockerfile"}, found{"My_App/Dockerfile", "my-app", "My_App/Dockerfile", "My_App", text}},
		"of another name":        {[]string{"./9/web"}, found{"./9/web", "s9", "./9/web", "9", text}},
		"a Dockerfile elsewhere": {[]string{"-f", "9/web", "My_App"}, found{"9/web", "my-app", "9/web", "My_App", text}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tree(t, map[string]string{"My_App/Dockerfile": text, "lower/dockerfile": text, "9/web": text})
			s := newShop(t)
			if code, _, errOut := s.harden(t.Context(), tt.args...); code != 0 {
				t.Fatalf("exit code %d: %s", code, errOut)
			}
			got := found{s.asked.Source, s.asked.Name, s.lab.Dockerfile, s.lab.Context, string(s.asked.Dockerfile)}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			if !s.closed {
				t.Error("the laboratory was not closed")
			}
		})
	}
}

// TestHardenNoSubject says what else may have been meant.
func TestHardenNoSubject(t *testing.T) {
	tests := map[string]struct {
		arg  string
		want []string
	}{
		"nothing":      {"./none", []string{"deckhand: ./none: no such file or directory"}},
		"no image":     {"redis:7", []string{"redis:7 is no file, no directory, and no image that is here", "deckhand pull redis:7"}},
		"empty":        {"empty", []string{"empty is a directory without a Dockerfile", "deckhand harden --file FILE empty"}},
		"no FROM":      {"text", []string{"text is no Dockerfile"}},
		"no text":      {"compose.yaml", []string{"compose.yaml is no Dockerfile", "deckhand harden --help"}},
		"an image, by": {"empty", []string{"the image of that name:             deckhand harden docker.io/library/empty:latest"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tree(t, map[string]string{"empty/x": "", "text": "# FROM\n", "compose.yaml": "services:\n  web:\n    image: x\n"})
			s := newShop(t)
			if strings.HasPrefix(name, "an image") {
				s.image("empty")
			}
			code, _, errOut := s.harden(t.Context(), tt.arg)
			if code != exitFailure {
				t.Errorf("exit code %d", code)
			}
			for _, want := range tt.want {
				if !strings.Contains(errOut, want) {
					t.Errorf("it says %q, not %q", errOut, want)
				}
			}
		})
	}
}

// image makes an image of a file in the store, and returns its id.
func (s *shop) image(name string) string {
	s.t.Helper()
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	if err := errors.Join(w.WriteHeader(&tar.Header{Name: "x", Mode: 0o644, Uid: os.Getuid(), Gid: os.Getgid()}), w.Close()); err != nil {
		s.t.Fatal(err)
	}
	img, err := s.store.Import(s.t.Context(), &layer, dockerspec.DockerOCIImage{})
	if err != nil {
		s.t.Fatal(err)
	}
	if name == "" {
		err = s.store.KeepUntagged(s.t.Context(), img.Target)
	} else {
		var r ref.Reference
		if r, err = ref.Parse(name); err == nil {
			err = s.store.Tag(s.t.Context(), r, img.Target)
		}
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return img.ID.Encoded()
}

// TestHardenImage begins a Dockerfile with an image, over an empty context that is gone afterwards.
func TestHardenImage(t *testing.T) {
	tree(t, nil)
	s := newShop(t)
	id := s.image("registry.example/team/my.app:1")
	s.run = func(context.Context, harden.Options) (*proof.Proof, error) {
		if entries, err := os.ReadDir(s.lab.Context); err != nil || len(entries) > 0 {
			t.Errorf("the context holds %v, %v", entries, err)
		}
		return anyProof(), nil
	}
	for _, arg := range []string{"registry.example/team/my.app:1", id[:12]} {
		if code, _, errOut := s.harden(t.Context(), arg); code != 0 {
			t.Fatalf("exit code %d: %s", code, errOut)
		}
		want := harden.Options{
			Source: arg, Name: "my-app", Dockerfile: []byte("FROM registry.example/team/my.app:1\n"),
			BuildArgs: map[string]string{}, UID: 9000, GID: 9000,
		}
		ignore := cmpopts.IgnoreFields(harden.Options{}, "Lab", "Memory", "Progress", "Now")
		if d := cmp.Diff(want, s.asked, ignore); d != "" {
			t.Errorf("(-want +got):\n%s", d)
		}
		if _, err := os.Stat(s.lab.Context); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the context is still there: %v", err)
		}
	}
	code, _, errOut := s.harden(t.Context(), "--write", id[:12])
	if code != exitUsage || !strings.Contains(errOut, "deckhand harden --output DIR "+id[:12]) {
		t.Errorf("--write: exit code %d, %q", code, errOut)
	}
	if code, _, errOut := s.harden(t.Context(), "--target", "x", id[:12]); code != exitUsage || !strings.Contains(errOut, "is an image") {
		t.Errorf("--target: exit code %d, %q", code, errOut)
	}
}

func TestHardenImageWithoutName(t *testing.T) {
	tree(t, nil)
	s := newShop(t)
	id := s.image("")[:12]
	code, _, errOut := s.harden(t.Context(), id)
	if code != exitFailure || !strings.Contains(errOut, "deckhand tag "+id+" NAME") {
		t.Errorf("exit code %d, %q", code, errOut)
	}
}

// TestHardenOptions passes the flags on.
func TestHardenOptions(t *testing.T) {
	tree(t, map[string]string{"app/Dockerfile": "FROM base\n"})
	t.Setenv("FROM_ENV", "1")
	s := newShop(t)
	code, _, errOut := s.harden(
		t.Context(), "--target", "final", "--build-arg", "A=b=c", "--build-arg", "FROM_ENV", "--network", "none", "--build-context", "x=y",
		"--user", "7:8", "--keep-caps", "net_raw,CAP_CHOWN", "--keep-caps", "NET_RAW", "-p", "6379", "-p", "53/udp,80",
		"--check", "c", "--check-host", "h", "--exercise", "e", "--check-timeout", "90", "--stop-timeout", "2m", "app",
	)
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, errOut)
	}
	want := harden.Options{
		Source: "app/Dockerfile", Name: "app", Dockerfile: []byte("FROM base\n"), Target: "final",
		BuildArgs: map[string]string{"A": "b=c", "FROM_ENV": "1"}, UID: 7, GID: 8, Keep: []string{"CAP_CHOWN", "CAP_NET_RAW"},
		Checks: harden.Checks{Check: "c", CheckHost: "h", Exercise: "e", From: "--check and --check-host"},
	}
	if d := cmp.Diff(want, s.asked, cmpopts.IgnoreFields(harden.Options{}, "Lab", "Memory", "Progress", "Now")); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	wantLab := lab.Options{
		Context: "app", Dockerfile: "app/Dockerfile", Target: "final", BuildArgs: []string{"A=b=c", "FROM_ENV"},
		BuildFlags: []string{"--network", "none", "--build-context", "x=y"}, Check: "c", CheckHost: "h", Exercise: "e",
		CheckTimeout: 90 * time.Second, StopTimeout: 2 * time.Minute, Ports: []string{"6379", "53/udp", "80"},
	}
	if d := cmp.Diff(wantLab, s.lab, cmpopts.IgnoreFields(lab.Options{}, "Engine", "Progress")); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// TestHardenShows prints what would change, and writes nothing.
func TestHardenShows(t *testing.T) {
	tree(t, map[string]string{"app/Dockerfile": "FROM base\n"})
	code, out, errOut := newShop(t).harden(t.Context(), "app")
	if code != 0 || errOut != "" {
		t.Errorf("exit code %d: %s", code, errOut)
	}
	for _, want := range []string{"+USER 9000:9000\n", "deckhand harden --write app\n", "deckhand harden --output DIR app\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("it prints %q, without %q", out, want)
		}
	}
	left, err := filepath.Glob("*/*")
	if d := cmp.Diff([]string{"app/Dockerfile"}, left); err != nil || d != "" || read(t, "app/Dockerfile") != "FROM base\n" {
		t.Errorf("%v %s", err, d)
	}
}

// TestHardenWrites changes the Dockerfile, which keeps its mode, and writes the rest.
func TestHardenWrites(t *testing.T) {
	tests := map[string]struct {
		args []string
		dir  string
		want string // of the Dockerfile
	}{
		"in place":                {[]string{"--write", "app"}, "app/deckhand-proof", "FROM base\nUSER 9000:9000\n"},
		"elsewhere":               {[]string{"--output", "out", "app"}, "out", "FROM base\n"},
		"in place, and elsewhere": {[]string{"--write", "-o", "out", "app"}, "out", "FROM base\nUSER 9000:9000\n"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tree(t, map[string]string{"app/Dockerfile": "FROM base\n"})
			if err := os.Chmod("app/Dockerfile", 0o640); err != nil {
				t.Fatal(err)
			}
			s := newShop(t)
			for range 2 { // the second time over the first's
				if code, _, errOut := s.harden(t.Context(), tt.args...); code != 0 {
					t.Fatalf("exit code %d: %s", code, errOut)
				}
			}
			if got := read(t, "app/Dockerfile"); got != tt.want {
				t.Errorf("the Dockerfile is now %q", got)
			}
			if info, err := os.Stat("app/Dockerfile"); err != nil || info.Mode().Perm() != 0o640 {
				t.Errorf("its mode is now %v, %v", info, err)
			}
			p, err := proof.Read(tt.dir)
			if err != nil {
				t.Fatal(err)
			}
			want := append([]string{"deckhand", "harden"}, tt.args...)
			if d := cmp.Diff(want, p.Command); d != "" || p.Context != "app" {
				t.Errorf("context %q, command (-want +got):\n%s", p.Context, d)
			}
		})
	}
}

// TestHardenRefusesPlaces does so before the work.
func TestHardenRefusesPlaces(t *testing.T) {
	tests := map[string]struct {
		args []string
		want string
	}{
		"other files": {[]string{"--output", "full", "app"}, "full holds other files"},
		"no parent":   {[]string{"--output", "no/such", "app"}, "there is no directory no"},
		"a link":      {[]string{"--write", "link/Dockerfile"}, "write link/Dockerfile: it is a symbolic link"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tree(t, map[string]string{"app/Dockerfile": "FROM base\n", "full/x": "", "link/x": ""})
			if err := os.Symlink("../app/Dockerfile", "link/Dockerfile"); err != nil {
				t.Fatal(err)
			}
			s := newShop(t)
			s.run = func(context.Context, harden.Options) (*proof.Proof, error) {
				t.Error("it worked in vain")
				return anyProof(), nil
			}
			code, _, errOut := s.harden(t.Context(), tt.args...)
			if code != exitFailure || !strings.Contains(errOut, tt.want) {
				t.Errorf("exit code %d, %q, want %q", code, errOut, tt.want)
			}
		})
	}
}

// TestHardenChangedMeanwhile overwrites nobody's work.
func TestHardenChangedMeanwhile(t *testing.T) {
	tree(t, map[string]string{"app/Dockerfile": "FROM base\n"})
	s := newShop(t)
	s.run = func(context.Context, harden.Options) (*proof.Proof, error) {
		return anyProof(), os.WriteFile("app/Dockerfile", []byte("FROM other\n"), 0o644)
	}
	code, _, errOut := s.harden(t.Context(), "--write", "app")
	if code != exitFailure || !strings.Contains(errOut, "write app/Dockerfile: it changed meanwhile") ||
		!strings.Contains(errOut, "the new one is in app/deckhand-proof") {
		t.Errorf("exit code %d, %q", code, errOut)
	}
	if got := read(t, "app/Dockerfile"); got != "FROM other\n" {
		t.Errorf("it is now %q", got)
	}
}

// TestHardenIrreducible says so by the exit code.
func TestHardenIrreducible(t *testing.T) {
	tree(t, map[string]string{"app/Dockerfile": "FROM base\n"})
	s := newShop(t)
	s.run = func(context.Context, harden.Options) (*proof.Proof, error) {
		p := anyProof()
		p.Profile.Capabilities, p.Profile.Irreducible = []string{"CAP_NET_RAW"}, []string{"CAP_NET_RAW: it asks for raw sockets"}
		return p, nil
	}
	code, out, errOut := s.harden(t.Context(), "--output", "out", "app")
	if code != exitIrreducible || errOut != "" || !strings.Contains(out, "irreducible:\n  CAP_NET_RAW: it asks for raw sockets\n") {
		t.Errorf("exit code %d, %q, %q", code, out, errOut)
	}
	if _, err := proof.Read("out"); err != nil {
		t.Error(err)
	}
}

// TestHardenJSON prints the proof and nothing else.
func TestHardenJSON(t *testing.T) {
	tree(t, map[string]string{"app/Dockerfile": "FROM base\n"})
	code, out, errOut := newShop(t).harden(t.Context(), "--format", "json", "-o", "out", "app")
	p, err := proof.Parse([]byte(out))
	if code != 0 || errOut != "" || err != nil || p.Profile.User != "9000:9000" || out != read(t, "out/proof.json") {
		t.Errorf("exit code %d, %v, %q, %q", code, err, out, errOut)
	}
}
