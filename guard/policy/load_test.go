package policy_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/policy"
	"github.com/deckhand-engine/deckhand/guard/rules"
)

// testRules stand for the real ones, so that these tests are about the policy alone.
func testRules() []rules.Rule {
	return []rules.Rule{
		{ID: "DH001", Name: "no-user"},
		{ID: "DH003", Name: "root-name"},
		{ID: "DH017", Name: "unconfined"},
		{ID: "DH018", Name: "writable-code"},
		{ID: "DH020", Name: "package-manager"},
		{ID: "DH024", Name: "pod-security-baseline"},
		{ID: "DH025", Name: "pod-security-restricted"},
		{ID: "DH030", Name: "ignore-unused"},
	}
}

func options() policy.Options {
	return policy.Options{Rules: testRules(), Now: func() time.Time { return time.Date(2027, 1, 31, 23, 0, 0, 0, time.UTC) }}
}

func TestParse(t *testing.T) {
	p, err := policy.Parse("/srv/app/deckhand.yaml", []byte(`
version: 1
check:
  least-uid: 1000
  fail-on: error
  pod-security: baseline
  baseline: ci/known.json
  exclude: ["vendor/**"]
  rules: {DH017: off, Writable-Code: info}
  ignore:
    - rules: [DH001]
      paths: ["legacy/**"]
      subjects: ["service db"]
      reason: the vendor's image wants root
      until: 2027-01-31
`), options())
	if err != nil {
		t.Fatal(err)
	}
	if p.Settings.LeastUID != 1000 || p.FailOn != guard.Error || p.PodSecurity != "baseline" {
		t.Errorf("settings are %+v", p)
	}
	if p.BaselineFile != "/srv/app/ci/known.json" || p.Dir != "/srv/app" || p.Path != "/srv/app/deckhand.yaml" {
		t.Errorf("files are %q %q %q", p.BaselineFile, p.Dir, p.Path)
	}
	if !p.Excluded("/srv/app/vendor/x/Dockerfile") || p.Excluded("/srv/app/x/vendor/Dockerfile") {
		t.Error("exclude holds at the wrong places")
	}
}

func TestParseErrors(t *testing.T) {
	tests := map[string]struct{ in, want string }{
		"empty":           {"", "p.yaml:1: the policy is empty: write version: 1"},
		"comments only":   {"# nothing\n", "p.yaml:1: the policy is empty: write version: 1"},
		"syntax":          {"version: 1\ncheck:\n\t- x\n", "p.yaml:3: found character that cannot start any token"},
		"a list":          {"- 1\n", "p.yaml:1: the policy is no mapping: write its keys below it, as in version: …"},
		"two documents":   {"version: 1\n---\nversion: 1\n", "p.yaml:2: a policy is one document: take out what follows ---"},
		"no version":      {"check: {}\n", "p.yaml:1: there is no version: write version: 1"},
		"other version":   {"version: 2\n", "p.yaml:1: this version is not known: write version: 1"},
		"unknown section": {"version: 1\nchek: {}\n", "p.yaml:2: unknown key chek in the policy: did you mean check?"},
		"far from any":    {"version: 1\nharden: {}\n", "p.yaml:2: unknown key harden in the policy: there are version, check"},
		"underscore":      {"version: 1\ncheck:\n  fail_on: error\n", "p.yaml:3: unknown key fail_on in check: did you mean fail-on?"},
		"merge key":       {"version: 1\ncheck: &a\n  <<: *a\n", "p.yaml:3: "},
		"twice":           {"version: 1\ncheck:\n  fail-on: info\n  fail-on: error\n", "p.yaml:4: fail-on is there twice in check: it is on line 3 as well"},
		"check is a list": {"version: 1\ncheck: []\n", "p.yaml:2: check is no mapping"},
		"least-uid word":  {"version: 1\ncheck: {least-uid: many}\n", "p.yaml:2: least-uid is no uid: write a number from 1 to 2147483647"},
		"least-uid zero":  {"version: 1\ncheck: {least-uid: 0}\n", "p.yaml:2: least-uid is no uid"},
		"fail-on":         {"version: 1\ncheck: {fail-on: errors}\n", "p.yaml:2: fail-on is no severity: did you mean error?"},
		"pod-security":    {"version: 1\ncheck: {pod-security: strict}\n", "p.yaml:2: pod-security is no level: there are restricted, baseline, privileged"},
		"baseline list":   {"version: 1\ncheck: {baseline: [x]}\n", "p.yaml:2: baseline: write a value, as in baseline: deckhand-baseline.json"},
		"rules list":      {"version: 1\ncheck: {rules: [DH001]}\n", "p.yaml:2: rules is no mapping: write each rule with a severity"},
		"unknown rule":    {"version: 1\ncheck:\n  rules:\n    DH0017: off\n", "p.yaml:4: there is no rule DH0017: did you mean DH001?"},
		"unlike any rule": {"version: 1\ncheck:\n  rules: {chocolate: off}\n", "p.yaml:3: there is no rule chocolate: all rules: deckhand check --rules"},
		"rule twice":      {"version: 1\ncheck:\n  rules:\n    DH001: off\n    no-user: info\n", "p.yaml:5: DH001 is there twice in rules"},
		"severity":        {"version: 1\ncheck: {rules: {DH001: warn}}\n", "p.yaml:2: DH001 has no severity: there are off, info, warning, error"},
		"ignore mapping":  {"version: 1\ncheck: {ignore: {rules: [DH001]}}\n", "p.yaml:2: ignore is a list: write - rules: [DH001]"},
		"no reason":       {"version: 1\ncheck:\n  ignore:\n    - rules: [DH001]\n", "p.yaml:4: this ignore gives no reason: write reason: and why"},
		"empty reason":    {"version: 1\ncheck:\n  ignore:\n    - rules: [DH001]\n      reason: ''\n", "p.yaml:5: reason: write a value, as in reason: "},
		"ignores all":     {"version: 1\ncheck:\n  ignore:\n    - reason: because\n", "p.yaml:4: this ignore would ignore everything: write what it is about"},
		"rules scalar":    {"version: 1\ncheck:\n  ignore:\n    - {rules: DH001, reason: x}\n", "p.yaml:4: rules is a list: write [DH001]"},
		"until":           {"version: 1\ncheck:\n  ignore:\n    - {rules: [DH001], reason: x, until: tomorrow}\n", "p.yaml:4: until is no day: write it as in until: 2027-01-31"},
		"absolute path":   {"version: 1\ncheck: {exclude: [/vendor]}\n", "p.yaml:2: patterns are relative to the policy file: write it without the leading /"},
		"negated path":    {"version: 1\ncheck: {exclude: ['!vendor']}\n", "p.yaml:2: patterns cannot be taken back with !"},
		"open bracket":    {"version: 1\ncheck: {exclude: ['a[b']}\n", "p.yaml:2: in a[b a bracket is not closed"},
		"all at once":     {"version: 3\ncheck: {fail-on: x, least-uid: y}\n", "p.yaml:1: this version is not known: write version: 1\np.yaml:2: fail-on"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p, err := policy.Parse("p.yaml", []byte(tt.in), options())
			if err == nil || p != nil {
				t.Fatalf("Parse = %+v, %v; want an error", p, err)
			}
			if !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("Parse: %v; want %s", err, tt.want)
			}
		})
	}
}

func TestParseAccepts(t *testing.T) {
	for name, in := range map[string]string{
		"version only": "version: 1\n",
		"empty check":  "version: 1\ncheck:\n",
		"no findings":  "version: 1\ncheck: {fail-on: off}\n",
		"an alias":     "version: 1\ncheck:\n  exclude: &v [vendor]\n  ignore:\n    - {paths: *v, reason: theirs}\n",
	} {
		if _, err := policy.Parse("p.yaml", []byte(in), options()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFails(t *testing.T) {
	tests := map[string]struct {
		failOn                  guard.Severity
		errors, warnings, infos int
		want                    bool
	}{
		"default, warning": {guard.Off, 0, 1, 0, true},
		"default, info":    {guard.Off, 0, 0, 1, false},
		"info":             {guard.Info, 0, 0, 1, true},
		"error, warning":   {guard.Error, 0, 1, 1, false},
		"error":            {guard.Error, 1, 0, 0, true},
		"never":            {policy.Never, 1, 1, 1, false},
		"nothing":          {guard.Info, 0, 0, 0, false},
	}
	for name, tt := range tests {
		p := &policy.Policy{FailOn: tt.failOn}
		if got := p.Fails(tt.errors, tt.warnings, tt.infos); got != tt.want {
			t.Errorf("%s: Fails = %v", name, got)
		}
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	if _, err := policy.Load(filepath.Join(dir, "none"), options()); err == nil {
		t.Error("a file that is not there is read")
	}
	write(t, filepath.Join(dir, "big"), "#"+strings.Repeat("x", 1<<20))
	if _, err := policy.Load(filepath.Join(dir, "big"), options()); err == nil || !strings.Contains(err.Error(), "more than 1024 KiB") {
		t.Errorf("a file that is too large: %v", err)
	}
	write(t, filepath.Join(dir, "good"), "version: 1\ncheck: {exclude: [x]}\n")
	p, err := policy.Load(filepath.Join(dir, "good"), options())
	if err != nil || !p.Excluded(filepath.Join(dir, "x")) {
		t.Errorf("Load = %+v, %v", p, err)
	}
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"repo/.git", "repo/a/b", "repo/c", "other/.git", "other/d"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []string{"deckhand.yaml", "repo/.deckhand.yaml", "repo/deckhand.yml", "repo/c/deckhand.yml"} {
		write(t, filepath.Join(dir, f), "version: 1\n")
	}
	if err := os.Mkdir(filepath.Join(dir, "repo/a/deckhand.yaml"), 0o755); err != nil { // a directory is no policy
		t.Fatal(err)
	}
	for from, want := range map[string]string{
		"repo/a/b": "repo/.deckhand.yaml", "repo": "repo/.deckhand.yaml", "repo/c": "repo/c/deckhand.yml",
		"other/d": "", "other": "", ".": "deckhand.yaml",
	} {
		if want != "" {
			want = filepath.Join(dir, want)
		}
		got, err := policy.Find(filepath.Join(dir, from))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("from %s: %s", from, diff)
		}
	}
}

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("version: 1\ncheck: {least-uid: 500, rules: {DH001: off}, exclude: ['a/**']}\n")
	f.Add("version: 1\ncheck:\n  ignore:\n    - {rules: [DH001], paths: ['*'], reason: x, until: 2027-01-31}\n")
	f.Add("a: &a [*a]\n")
	f.Add("version: 1\n---\n")
	f.Fuzz(func(t *testing.T, in string) {
		p, err := policy.Parse("p.yaml", []byte(in), options())
		if (p == nil) != (err != nil) {
			t.Fatalf("Parse = %v, %v", p, err)
		}
		if err == nil {
			return
		}
		for line := range strings.Lines(err.Error()) {
			if !strings.HasPrefix(line, "p.yaml:") {
				t.Fatalf("an error does not say where: %s", line)
			}
		}
	})
}
