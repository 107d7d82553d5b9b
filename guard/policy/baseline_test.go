package policy_test

import (
	"bytes"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/policy"
)

func TestBaseline(t *testing.T) {
	before := document(guard.KindDockerfile, "f", "FROM a\nRUN  x\nRUN x\n", "DH020:2", "DH020:3", "DH001:1")
	p := policy.New(options())
	p.Judge(before)
	var known policy.Baseline
	known.Add(p, before)
	file := filepath.Join(t.TempDir(), "known.json")
	var text bytes.Buffer
	if err := known.Encode(&text); err != nil {
		t.Fatal(err)
	}
	write(t, file, text.String())
	read, err := policy.ReadBaseline(file)
	if err != nil || read.Len() != 3 {
		t.Fatalf("ReadBaseline = %+v, %v", read, err)
	}

	// Lines moved, white space changed, one finding is new, one is gone.
	after := document(guard.KindDockerfile, "f", "# new\n\nFROM b\nRUN x\n\tRUN x \nRUN y\n", "DH001:3", "DH020:4", "DH020:5", "DH020:6")
	p.Baseline = read
	p.Judge(after)
	want := []string{
		"DH001:3", "DH020:6",
		"DH020:4 ignored by baseline: it was there when the baseline was written",
		"DH020:5 ignored by baseline: it was there when the baseline was written",
	}
	if diff := cmp.Diff(want, outcome(after)); diff != "" {
		t.Error(diff)
	}

	// Written again, what it waives stays in it.
	var again policy.Baseline
	again.Add(p, after)
	if again.Len() != 4 {
		t.Errorf("the new baseline has %d findings", again.Len())
	}
}

func TestBaselineOfImages(t *testing.T) {
	image := func() *guard.Document {
		doc := document(guard.KindImage, "docker://app:1", "", "DH001:0:image")
		doc.Source = nil
		return doc
	}
	var known policy.Baseline
	known.Add(nil, image())
	p := &policy.Policy{Baseline: &known, Dir: "/anywhere"}
	doc := image()
	p.Judge(doc)
	if len(doc.Findings) != 0 || len(doc.Ignored) != 1 {
		t.Errorf("outcome is %v", outcome(doc))
	}
}

func TestBaselineIsReviewable(t *testing.T) {
	var known policy.Baseline
	var out bytes.Buffer
	if err := known.Encode(&out); err != nil || out.String() != "{\n  \"version\": 1,\n  \"findings\": []\n}\n" {
		t.Errorf("an empty baseline is %q, %v", out.String(), err)
	}
	p := policy.New(options())
	for _, path := range []string{"b/f", "a/f"} {
		doc := document(guard.KindDockerfile, path, "x\n", "DH020:1", "DH001:1")
		doc.Findings[0].Message = `says "a" & <b>`
		known.Add(p, doc)
	}
	out.Reset()
	if err := known.Encode(&out); err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(out.String()) {
		_, rest, _ := strings.Cut(line, `","rule"`)
		got = append(got, strings.TrimSpace(rest))
	}
	want := []string{
		"", "", "",
		`:"DH001","path":"a/f","message":"something is wrong"},`, `:"DH020","path":"a/f","message":"says \"a\" & <b>"},`,
		`:"DH001","path":"b/f","message":"something is wrong"},`, `:"DH020","path":"b/f","message":"says \"a\" & <b>"}`,
		"", "",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestBaselineErrors(t *testing.T) {
	dir := t.TempDir()
	for name, tt := range map[string]struct{ in, want string }{
		"no JSON":        {"{\n  \"version\": 1,\n  oops\n}", "f:3: "},
		"another type":   {"{\"version\": 1,\n \"findings\": 3}", "f:2: "},
		"version":        {"{\"version\": 9}", "f: version 9 of baselines is not known, only 1"},
		"no fingerprint": {"{\"version\": 1, \"findings\": [{\"rule\": \"DH001\"}]}", "f: finding 1 has no fingerprint"},
	} {
		file := filepath.Join(dir, "f")
		write(t, file, tt.in)
		_, err := policy.ReadBaseline(file)
		if err == nil || !strings.HasPrefix(err.Error(), filepath.Join(dir, tt.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := policy.ReadBaseline(filepath.Join(dir, "none")); err == nil {
		t.Error("a file that is not there is read")
	}
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := policy.ReadBaseline(pipe); err == nil {
		t.Error("a pipe is read")
	}
}

func TestFingerprints(t *testing.T) {
	t.Chdir(t.TempDir())
	fingerprint := func(p *policy.Policy, path, source string, findings ...string) string {
		doc := document(guard.KindDockerfile, path, source, findings...)
		return p.Fingerprint(doc, doc.Findings[0])
	}
	p := policy.New(options())
	base := fingerprint(p, "f", "FROM a\nRUN x\n", "DH020:2")
	same := map[string]string{
		"moved":          fingerprint(p, "f", "FROM a\n\n\nRUN x\n", "DH020:4"),
		"other space":    fingerprint(p, "f", "FROM a\n  RUN   x\r\n", "DH020:2"),
		"untidy path":    fingerprint(p, "./g/../f", "FROM a\nRUN x\n", "DH020:2"),
		"another rule":   fingerprint(p, "f", "FROM a\nRUN x\n", "DH020:2", "DH001:2"),
		"no policy":      fingerprint(nil, "f", "FROM a\nRUN x\n", "DH020:2"),
		"from elsewhere": fingerprint(&policy.Policy{Dir: "/srv"}, "/srv/f", "FROM a\nRUN x\n", "DH020:2"),
	}
	for name, got := range same {
		if got != base || len(got) != 32 {
			t.Errorf("%s: %s, not %s", name, got, base)
		}
	}
	different := map[string]string{
		"rule":        fingerprint(p, "f", "FROM a\nRUN x\n", "DH001:2"),
		"path":        fingerprint(p, "g", "FROM a\nRUN x\n", "DH020:2"),
		"text":        fingerprint(p, "f", "FROM a\nRUN y\n", "DH020:2"),
		"subject":     fingerprint(p, "f", "FROM a\nRUN x\n", "DH020:2:s"),
		"the second":  fingerprint(p, "f", "RUN x\nRUN x\n", "DH020:2", "DH020:1"),
		"not in it":   p.Fingerprint(document(guard.KindDockerfile, "f", "RUN x"), at("f", "DH020:1")),
		"beyond text": fingerprint(p, "f", "RUN x\n", "DH020:9"),
	}
	seen := map[string]string{base: "base"}
	for name, got := range different {
		if other, ok := seen[got]; ok {
			t.Errorf("%s is the same as %s", name, other)
		}
		seen[got] = name
	}
	doc := document(guard.KindDockerfile, "f", "FROM a\n# deckhand:ignore=DH020 x\nRUN x\nRUN x\n", "DH020:3", "DH020:4")
	p.Judge(doc)
	findings, ignored := p.Fingerprints(doc)
	if len(findings) != 1 || len(ignored) != 1 || ignored[0] != base || p.Fingerprint(doc, doc.Ignored[0].Finding) != base {
		t.Errorf("Fingerprints = %v, %v; the ignored one is %s", findings, ignored, base)
	}
}

func FuzzReadBaseline(f *testing.F) {
	f.Add(`{"version": 1, "findings": [{"fingerprint": "a", "rule": "DH001"}]}`)
	f.Add(`{`)
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, in string) {
		file := filepath.Join(dir, "f")
		write(t, file, in)
		b, err := policy.ReadBaseline(file)
		if (b == nil) != (err != nil) {
			t.Fatalf("ReadBaseline = %v, %v", b, err)
		}
	})
}
