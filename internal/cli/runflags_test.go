package cli

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/deckhand-engine/deckhand/internal/engine"
	"github.com/deckhand-engine/deckhand/internal/hint"
	"github.com/deckhand-engine/deckhand/internal/network"
	"github.com/deckhand-engine/deckhand/internal/store"
	"github.com/deckhand-engine/deckhand/oci"
)

func TestParseSignal(t *testing.T) {
	tests := map[string]struct {
		want syscall.Signal
		err  string
	}{
		"SIGTERM":    {want: syscall.SIGTERM},
		"TERM":       {want: syscall.SIGTERM},
		"quit":       {want: syscall.SIGQUIT},
		"9":          {want: syscall.SIGKILL},
		"RTMIN":      {want: 34},
		"RTMIN+3":    {want: 37},
		"SIGRTMAX-1": {want: 63},
		"0":          {err: "invalid signal: 0"},
		"65":         {err: "invalid signal: 65"},
		"RTMIN3":     {err: "invalid signal: RTMIN3"},
		"RTMAX+1":    {err: "invalid signal: RTMAX+1"},
		"NOSUCH":     {err: "invalid signal: NOSUCH"},
		"":           {err: "invalid signal: "},
	}
	for in, tt := range tests {
		t.Run(in, func(t *testing.T) {
			got, err := engine.ParseSignal(in)
			if text(err) != tt.err || got != tt.want {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

func TestCommand(t *testing.T) {
	tests := map[string]struct {
		opts                        runOptions
		entrypoint, cmd, args, want []string
		fails                       bool
	}{
		"cmd":                     {cmd: []string{"sh"}, want: []string{"sh"}},
		"entrypoint and cmd":      {entrypoint: []string{"e"}, cmd: []string{"c"}, want: []string{"e", "c"}},
		"arguments replace cmd":   {entrypoint: []string{"e"}, cmd: []string{"c"}, args: []string{"a", "b"}, want: []string{"e", "a", "b"}},
		"own entrypoint":          {opts: runOptions{entrypointSet: true, entrypoint: "x"}, entrypoint: []string{"e"}, cmd: []string{"c"}, want: []string{"x"}},
		"own entrypoint and args": {opts: runOptions{entrypointSet: true, entrypoint: "x"}, cmd: []string{"c"}, args: []string{"a"}, want: []string{"x", "a"}},
		"entrypoint removed":      {opts: runOptions{entrypointSet: true}, entrypoint: []string{"e"}, args: []string{"a"}, want: []string{"a"}},
		"nothing":                 {fails: true},
		"nothing left":            {opts: runOptions{entrypointSet: true}, entrypoint: []string{"e"}, cmd: []string{"c"}, fails: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := tt.opts.command(tt.entrypoint, tt.cmd, tt.args)
			if (err != nil) != tt.fails {
				t.Fatalf("error %v", err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEnvironment(t *testing.T) {
	t.Setenv("DECKHAND_TEST_HERE", "from here")
	file := filepath.Join(t.TempDir(), "env")
	content := "\uFEFFA=1\n# comment\n\n  B=two words \nDECKHAND_TEST_HERE\nDECKHAND_TEST_NOT_HERE\nC=\n"
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	o := runOptions{envFile: []string{file}, env: []string{"A=9", "DECKHAND_TEST_HERE", "GONE"}}
	got, err := o.environment()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"A=1", "B=two words ", "DECKHAND_TEST_HERE=from here", "C=", "A=9", "DECKHAND_TEST_HERE=from here", "GONE"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	merged := oci.MergeEnv([]string{"GONE=image", "A=image"}, got)
	if diff := cmp.Diff([]string{"A=9", "B=two words ", "DECKHAND_TEST_HERE=from here", "C="}, merged); diff != "" {
		t.Error(diff)
	}
}

func TestEnvironmentErrors(t *testing.T) {
	for content, want := range map[string]string{
		"A B=1\n": "variable 'A B' contains whitespaces",
		"A B\n":   "variable 'A B' contains whitespaces",
		"=1\n":    "no variable name on line '=1'",
	} {
		file := filepath.Join(t.TempDir(), "env")
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := (&runOptions{envFile: []string{file}}).environment(); text(err) != file+":1: "+want {
			t.Errorf("%q: error %v", content, err)
		}
	}
	if _, err := (&runOptions{env: []string{"=x"}}).environment(); err == nil {
		t.Error("a variable without a name was taken")
	}
	if _, err := (&runOptions{envFile: []string{"/nosuch"}}).environment(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

func TestApplySecurity(t *testing.T) {
	tests := map[string]struct {
		opts []string
		want oci.SpecOptions
		err  string
	}{
		"none":                {},
		"no new privileges":   {opts: []string{"no-new-privileges"}},
		"the same said twice": {opts: []string{"no-new-privileges=true"}},
		"new privileges":      {opts: []string{"no-new-privileges=false"}, want: oci.SpecOptions{NewPrivileges: true}},
		"with a colon":        {opts: []string{"no-new-privileges:false"}, want: oci.SpecOptions{NewPrivileges: true}},
		"unconfined":          {opts: []string{"seccomp=unconfined"}, want: oci.SpecOptions{SeccompUnconfined: true}},
		"the last wins":       {opts: []string{"seccomp=unconfined", "seccomp=builtin"}},
		"system paths":        {opts: []string{"systempaths=unconfined"}, want: oci.SpecOptions{UnmaskSystemPaths: true}},
		"apparmor off":        {opts: []string{"apparmor=unconfined", "label=disable"}},
		"apparmor's name":     {opts: []string{"apparmor="}, err: `invalid --security-opt "apparmor=": the profile's name is missing`},
		"label's kind":        {opts: []string{"label=x:y"}, err: `invalid --security-opt: "label=x:y"`},
		"paths":               {opts: []string{"mask=/a:/b/../c", "unmask=/proc/*:/sys/firmware"}, want: oci.SpecOptions{Masked: []string{"/a", "/c"}, Unmasked: []string{"/proc/*", "/sys/firmware"}}},
		"all paths":           {opts: []string{"unmask=ALL"}, want: oci.SpecOptions{Unmasked: []string{"ALL"}}},
		"a relative path":     {opts: []string{"mask=a"}, err: `invalid --security-opt "mask=a": "a" is no absolute path below /`},
		"the root":            {opts: []string{"mask=/"}, err: `invalid --security-opt "mask=/": "/" is no absolute path below /`},
		"a bad pattern":       {opts: []string{"unmask=/a["}, err: `invalid --security-opt "unmask=/a[": syntax error in pattern`},
		"other system paths":  {opts: []string{"systempaths=x"}, err: `invalid --security-opt "systempaths=x": systempaths=unconfined is the only one`},
		"not a bool":          {opts: []string{"no-new-privileges=maybe"}, err: `invalid --security-opt "no-new-privileges=maybe": maybe is neither true nor false`},
		"unknown":             {opts: []string{"nosuch=1"}, err: `invalid --security-opt: "nosuch=1"`},
		"missing profile":     {opts: []string{"seccomp=/nosuch.json"}, err: "opening seccomp profile (/nosuch.json) failed: open /nosuch.json: no such file or directory"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var got oci.SpecOptions
			err := applySecurity(&got, tt.opts, nil)
			if text(err) != tt.err {
				t.Fatalf("error %q, want %q", text(err), tt.err)
			}
			if err == nil {
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

func TestApplySeccompFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "p.json")
	if err := os.WriteFile(file, []byte(`{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir"],"action":"SCMP_ACT_ERRNO"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	var s oci.SpecOptions
	if err := applySecurity(&s, []string{"seccomp=" + file}, nil); err != nil || s.Seccomp == nil {
		t.Errorf("%v, %v", s.Seccomp, err)
	}
	if err := os.WriteFile(file, []byte(`{"defaultAction":`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := applySecurity(&s, []string{"seccomp=" + file}, nil); err == nil {
		t.Error("half a profile was taken")
	}
}

func TestCheckName(t *testing.T) {
	for name, ok := range map[string]bool{
		"": true, "web": true, "web-1.x_y": true, "0a": true,
		"a": false, "-web": false, ".x": false, "a/b": false, "../x": false, "ä1": false, "a b": false, "a\nb": false,
	} {
		if err := checkName(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestAddressed(t *testing.T) {
	for line, want := range map[string]string{
		"run --rm x":              "run",
		"--data-root /x run":      "run",
		"--data-root=/x -D ps -a": "ps",
		"--root-user warn run x":  "run",
		"--help":                  "",
		"":                        "",
		"--data-root":             "",
		"-- run":                  "run",
	} {
		if got := addressed(strings.Fields(line)); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

func TestRootCheck(t *testing.T) {
	const head = "example would run as root: the image sets "
	tests := map[string]struct {
		check rootCheck
		uid   uint32
		err   string
		notes int
	}{
		"no user":            {check: rootCheck{Policy: rootRefuse}, err: head + "no USER"},
		"root by name":       {check: rootCheck{Policy: rootRefuse, ImageUser: "root"}, err: head + "USER root"},
		"another name of it": {check: rootCheck{Policy: rootRefuse, ImageUser: "toor:staff"}, err: head + "USER toor:staff"},
		"asked for":          {check: rootCheck{Policy: rootRefuse, Asked: true}},
		"allowed":            {check: rootCheck{Policy: rootAllow}},
		"warned":             {check: rootCheck{Policy: rootWarn}, notes: 1},
		"not root":           {check: rootCheck{Policy: rootRefuse}, uid: 9000},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			notes := 0
			tt.check.Image = "example"
			err := tt.check.checker(func(string, ...any) { notes++ })(oci.User{UID: tt.uid})
			if text(err) != tt.err || notes != tt.notes {
				t.Errorf("error %v, %d notes", err, notes)
			}
			if ways := hint.Of(err); err != nil && len(ways) != 3 {
				t.Errorf("the three ways out: %v", ways)
			}
		})
	}
}

func TestRootPolicy(t *testing.T) {
	tests := map[string]struct {
		flag, env, want string
		fails           bool
	}{
		"default":      {want: rootRefuse},
		"variable":     {env: "warn", want: rootWarn},
		"flag wins":    {flag: "refuse", env: "allow", want: rootRefuse},
		"bad flag":     {flag: "yes", fails: true},
		"bad variable": {env: "1", fails: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Setenv("DECKHAND_ROOT_USER", tt.env)
			got, err := (&app{rootUser: tt.flag}).rootPolicy()
			if got != tt.want || (err != nil) != tt.fails {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func TestUserNamed(t *testing.T) {
	for user, want := range map[string]bool{"": false, ":audio": false, "root": true, "0": true, "0:0": true, "app": true} {
		if got := userNamed(user); got != want {
			t.Errorf("%q: %v", user, got)
		}
	}
}

func TestNetworkMode(t *testing.T) {
	for in, want := range map[string]network.Mode{"none": network.None, "host": network.Host, "bridge": network.Bridge, "pasta": network.Pasta} {
		if got, err := networkMode(in); err != nil || got != want {
			t.Errorf("%q: %v, %v", in, got, err)
		}
	}
	if _, err := networkMode("mynet"); err == nil {
		t.Error("an unknown network was taken")
	}
}

func TestParseTime(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for in, want := range map[string]time.Time{
		"10m":                  now.Add(-10 * time.Minute),
		"1763899200":           time.Unix(1763899200, 0),
		"1763899200.5":         time.Unix(1763899200, 5e8),
		"2026-11-23T11:00:00Z": now.Add(-time.Hour),
	} {
		if got, err := parseTime(in, now); err != nil || !got.Equal(want) {
			t.Errorf("%q: %v, %v", in, got, err)
		}
	}
	if _, err := parseTime("yesterday", now); err == nil {
		t.Error("yesterday was taken")
	}
}

func TestFilters(t *testing.T) {
	c := &store.Container{ID: "abcdef", Name: "web", Image: "nginx:latest", ImageID: "sha256:1234"}
	st := store.State{Status: engine.StatusExited, ExitCode: 3, User: "0:0"}
	cfg := engine.Config{Labels: map[string]string{"k": "v"}}
	for in, want := range map[string]bool{
		"name=we": true, "name=/web": true, "name=db": false,
		"id=abc": true, "id=bcd": false,
		"status=exited": true, "status=running": false,
		"ancestor=nginx": true, "ancestor=nginx:latest": true, "ancestor=1234": true, "ancestor=ngin": false,
		"exited=3": true, "exited=0": false,
		"user=0": true, "user=root": true, "user=1": false,
		"label=k": true, "label=k=v": true, "label=k=w": false, "label=x": false,
	} {
		f, err := parseFilters([]string{in})
		if err != nil {
			t.Fatal(err)
		}
		if got := f.has(c, st, cfg); got != want {
			t.Errorf("%s: %v", in, got)
		}
	}
	for _, in := range []string{"name", "nosuch=1", "exited=x"} {
		if _, err := parseFilters([]string{in}); err == nil {
			t.Errorf("%s was taken", in)
		}
	}
	f, _ := parseFilters([]string{"name=db", "name=web", "status=exited"})
	if !f.has(c, st, cfg) {
		t.Error("values of one key are alternatives")
	}
}

func TestAnswerCarriesErrors(t *testing.T) {
	refusal := engineError(rootCheck{Policy: rootRefuse, Image: "x"}.refusal())
	got := answerFor(refusal, []string{"a note"})
	back := got.err()
	if back.Error() != refusal.Error() || exitCode(back) != exitEngine || len(got.Hints) != 3 || len(got.Notes) != 1 {
		t.Errorf("%+v", got)
	}
	if answerFor(nil, nil).err() != nil {
		t.Error("an error out of nothing")
	}
}

func FuzzEnvLine(f *testing.F) {
	for _, s := range []string{"A=1", "# x", "A B=1", "PATH", " =", "A", "\xff=1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		e, err := envLine(line)
		if err != nil || e == "" {
			return
		}
		name, _, ok := strings.Cut(e, "=")
		if !ok || name == "" || strings.ContainsAny(name, " \t") {
			t.Errorf("%q became %q", line, e)
		}
	})
}

func FuzzParseTmpfs(f *testing.F) {
	for _, s := range []string{"/t", "/t:size=1m,exec", "/..:ro", ":", "/t:,", "/t:mode=1777,noexec,exec"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := parseTmpfs(s)
		if err != nil {
			return
		}
		if m.Destination == "/" || !filepath.IsAbs(m.Destination) || m.Type != "tmpfs" {
			t.Errorf("%q: %+v", s, m)
		}
	})
}

func FuzzParseSignal(f *testing.F) {
	for _, s := range []string{"TERM", "9", "RTMIN+3", "SIGRTMAX-64", "sigsigterm", "-1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if sig, err := engine.ParseSignal(s); err == nil && (sig < 1 || sig > 64) {
			t.Errorf("%q: %d", s, sig)
		}
	})
}

// A module that the kernel lacks is an error: nothing would be enforced.
func TestApplySecurityModules(t *testing.T) {
	for opt, tt := range map[string]struct {
		there bool
		err   string
		want  oci.SpecOptions
	}{
		"apparmor=mine": {hasAppArmor(), "--security-opt apparmor=mine cannot be enforced: this kernel runs without AppArmor", oci.SpecOptions{Apparmor: "mine"}},
		"label=type:mine": {
			hasSELinux(), "--security-opt label=type:mine cannot be enforced: this kernel runs without SELinux",
			oci.SpecOptions{Label: "system_u:system_r:mine:s0", MountLabel: baseFileLabel},
		},
	} {
		if tt.there {
			tt.err = ""
		}
		var got oci.SpecOptions
		if err := applySecurity(&got, []string{opt}, nil); text(err) != tt.err {
			t.Errorf("%s: %v", opt, err)
		}
		if diff := cmp.Diff(tt.want, got); tt.there && diff != "" {
			t.Error(diff)
		}
	}
}
