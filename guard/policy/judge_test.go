package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/policy"
)

// at is a finding: "DH001:3", "DH001:3:subject".
func at(path, text string) guard.Finding {
	var line int
	rule, rest, _ := strings.Cut(text, ":")
	number, subject, _ := strings.Cut(rest, ":")
	_, _ = fmt.Sscan(number, &line)
	return guard.Finding{
		Rule: rule, Severity: guard.Warning, Message: "something is wrong", Subject: subject,
		Where: guard.Location{Path: path, Line: line},
	}
}

func document(kind guard.Kind, path, source string, findings ...string) *guard.Document {
	doc := &guard.Document{Path: path, Kind: kind, Source: []byte(source)}
	for _, f := range findings {
		doc.Findings = append(doc.Findings, at(path, f))
	}
	return doc
}

// outcome is what a judged document has: "DH001:3", "DH001:3 ignored by comment: reason", "DH030:2 warning: message".
func outcome(doc *guard.Document) []string {
	got := []string{}
	for _, f := range doc.Findings {
		s := fmt.Sprintf("%s:%d", f.Rule, f.Where.Line)
		if f.Rule == "DH030" {
			s += " " + f.Severity.String() + ": " + f.Message
		} else if f.Severity != guard.Warning {
			s += " " + f.Severity.String()
		}
		got = append(got, s)
	}
	for _, f := range doc.Ignored {
		got = append(got, fmt.Sprintf("%s:%d ignored by %s: %s", f.Rule, f.Where.Line, f.By, f.Reason))
	}
	return got
}

func TestComments(t *testing.T) {
	dockerfile, yaml, unit := guard.KindDockerfile, guard.KindCompose, guard.KindUnit
	tests := map[string]struct {
		kind     guard.Kind
		source   string
		findings []string
		want     []string
	}{
		"none": {dockerfile, "FROM a\nUSER root\n", []string{"DH003:2"}, []string{"DH003:2"}},
		"above": {
			dockerfile, "FROM a\n# deckhand:ignore=DH003 it drops root itself\nUSER root\n",
			[]string{"DH003:3"},
			[]string{"DH003:3 ignored by comment: it drops root itself"},
		},
		"by name, no space": {
			dockerfile, "FROM a\n#deckhand:ignore=root-name it drops\nUSER root\n",
			[]string{"DH003:3"},
			[]string{"DH003:3 ignored by comment: it drops"},
		},
		"CRLF": {
			dockerfile, "FROM a\r\n# deckhand:ignore=DH003 it drops\r\nUSER root\r\n",
			[]string{"DH003:3"},
			[]string{"DH003:3 ignored by comment: it drops"},
		},
		"another rule": {
			dockerfile, "FROM a\n# deckhand:ignore=DH001 it drops\nUSER root\n",
			[]string{"DH003:3"},
			[]string{"DH030:2 info: this ignore waives nothing: DH001 is not found where it stands", "DH003:3"},
		},
		"another line": {
			dockerfile, "FROM a\n# deckhand:ignore=DH003 it drops\nRUN x\nUSER root\n",
			[]string{"DH003:4"},
			[]string{"DH030:2 info: this ignore waives nothing: DH003 is not found where it stands", "DH003:4"},
		},
		"a blank line between": {
			dockerfile, "FROM a\n# deckhand:ignore=DH003 it drops\n\nUSER root\n",
			[]string{"DH003:4"},
			[]string{"DH030:2 info: this ignore waives nothing: DH003 is not found because nothing follows directly below", "DH003:4"},
		},
		"a block of comments": {
			dockerfile, "FROM a\n# deckhand:ignore=DH003 it drops\n# deckhand:ignore=DH020 kept for tests\n# other words\nUSER root\n",
			[]string{"DH003:5", "DH020:5"},
			[]string{"DH003:5 ignored by comment: it drops", "DH020:5 ignored by comment: kept for tests"},
		},
		"two rules": {
			dockerfile, "FROM a\n# deckhand:ignore=DH003, DH020 - both are meant\nUSER root\n",
			[]string{"DH003:3", "DH020:3"},
			[]string{"DH003:3 ignored by comment: both are meant", "DH020:3 ignored by comment: both are meant"},
		},
		"one of two unused": {
			dockerfile, "FROM a\n# deckhand:ignore=DH003,DH020 both\nUSER root\n",
			[]string{"DH003:3"},
			[]string{"DH030:2 info: this ignore waives nothing: DH020 is not found where it stands", "DH003:3 ignored by comment: both"},
		},
		"continuation lines": {
			dockerfile, "FROM a\n# deckhand:ignore=DH020 needed\nRUN x && \\\n  # why\n\n  apt-get install \\\n  y\nUSER 1\n",
			[]string{"DH020:3", "DH020:6", "DH003:8"},
			[]string{"DH003:8", "DH020:3 ignored by comment: needed", "DH020:6 ignored by comment: needed"},
		},
		"inside an instruction": {
			dockerfile, "FROM a\nRUN x && \\\n  # deckhand:ignore=DH020 needed\n  apt-get install y\nUSER 1\n",
			[]string{"DH020:2", "DH003:5"},
			[]string{"DH003:5", "DH020:2 ignored by comment: needed"},
		},
		"heredoc": {
			dockerfile, "FROM a\n# deckhand:ignore=DH020 needed\nRUN <<-'EOF' cat && <<B cat\nx\n\tEOF\ny\nB\nRUN z\n",
			[]string{"DH020:6", "DH020:8"},
			[]string{"DH020:8", "DH020:6 ignored by comment: needed"},
		},
		"no heredoc": {
			dockerfile, "FROM a\n# deckhand:ignore=DH020 needed\nRUN cat <<<EOF\nRUN z <<OPEN\nRUN w\n",
			[]string{"DH020:3", "DH020:4", "DH020:5"},
			[]string{"DH020:4", "DH020:5", "DH020:3 ignored by comment: needed"},
		},
		"escape directive": {
			dockerfile, "# escape=`\nFROM a\n# deckhand:ignore=DH020 needed\nRUN x `\n  y\nRUN c:\\\nRUN z\n",
			[]string{"DH020:5", "DH020:6"},
			[]string{"DH020:6", "DH020:5 ignored by comment: needed"},
		},
		"behind an instruction": {
			dockerfile, "FROM a\nUSER root # deckhand:ignore=DH003 it drops\n",
			[]string{"DH003:2"},
			[]string{"DH003:2", "DH030:2 warning: a Dockerfile has no comments behind something else on a line, so this ignore does not hold"},
		},
		"whole file": {
			dockerfile, "# deckhand:ignore-file=DH003,DH020 built only by us\nFROM a\nUSER root\n",
			[]string{"DH003:3", "DH020:2"},
			[]string{"DH020:2 ignored by comment: built only by us", "DH003:3 ignored by comment: built only by us"},
		},
		"whole file, too low": {
			dockerfile, strings.Repeat("RUN x\n", 20) + "# deckhand:ignore-file=DH003 x\nUSER root\n",
			[]string{"DH003:22"},
			[]string{"DH030:21 warning: this ignore is meant for the whole file, but does not stand in its first 20 lines", "DH003:22"},
		},
		"whole file, unused": {
			dockerfile, "# deckhand:ignore-file=DH003 x\nFROM a\n", nil,
			[]string{"DH030:1 info: this ignore waives nothing: DH003 is not found in this file"},
		},
		"no reason": {
			dockerfile, "FROM a\n# deckhand:ignore=DH003\nUSER root\n",
			[]string{"DH003:3"},
			[]string{"DH030:2 warning: this ignore gives no reason, so it does not hold", "DH003:3"},
		},
		"no words": {
			dockerfile, "FROM a\n# deckhand:ignore=DH003 --- !\nUSER root\n",
			[]string{"DH003:3"},
			[]string{"DH030:2 warning: this ignore gives no reason, so it does not hold", "DH003:3"},
		},
		"unknown rule": {
			dockerfile, "FROM a\n# deckhand:ignore=DH999 x\nUSER root\n",
			[]string{"DH003:3"},
			[]string{"DH030:2 warning: this ignore names DH999, which is no rule", "DH003:3"},
		},
		"no rule": {
			dockerfile, "FROM a\n# deckhand:ignore root is needed\nUSER root\n",
			[]string{"DH003:3"},
			[]string{"DH030:2 warning: this ignore names no rule", "DH003:3"},
		},
		"only talked about": {
			dockerfile, "FROM a\n# write deckhand:ignore=DH003 here\nUSER root\n",
			[]string{"DH003:3"},
			[]string{"DH003:3"},
		},
		"in a string": {
			dockerfile, "FROM a\nRUN echo deckhand:ignore=DH003 x\n",
			[]string{"DH003:2"},
			[]string{"DH003:2"},
		},
		"YAML, behind": {
			yaml, "services:\n  db:\n    user: root # deckhand:ignore=DH003 it drops\n",
			[]string{"DH003:3"},
			[]string{"DH003:3 ignored by comment: it drops"},
		},
		"YAML, above": {
			yaml, "services:\n  # deckhand:ignore=DH001 it drops\n  db:\n    image: x\n",
			[]string{"DH001:3", "DH001:4"},
			[]string{"DH001:4", "DH001:3 ignored by comment: it drops"},
		},
		"YAML, no comment": {
			yaml, "services:\n  db:\n    user: root#deckhand:ignore=DH003 it drops\n",
			[]string{"DH003:3"},
			[]string{"DH003:3"},
		},
		"YAML, a backslash joins nothing": {
			yaml, "a:\n  # deckhand:ignore=DH003 x\n  b: c\\\n  d: e\n",
			[]string{"DH003:3", "DH003:4"},
			[]string{"DH003:4", "DH003:3 ignored by comment: x"},
		},
		"unit, semicolon": {
			unit, "[Service]\n; deckhand:ignore=DH003 it drops\nUser=root\n",
			[]string{"DH003:3"},
			[]string{"DH003:3 ignored by comment: it drops"},
		},
		"unit, continuation": {
			unit, "[Service]\n# deckhand:ignore=DH020 x\nExecStart=a \\\n  b\nUser=root\n",
			[]string{"DH020:4", "DH003:5"},
			[]string{"DH003:5", "DH020:4 ignored by comment: x"},
		},
		"unit, behind": {
			unit, "[Service]\nUser=root # deckhand:ignore=DH003 it drops\n",
			[]string{"DH003:2"},
			[]string{"DH003:2", "DH030:2 warning: a unit has no comments behind something else on a line, so this ignore does not hold"},
		},
		"last line": {
			dockerfile, "FROM a\n# deckhand:ignore=DH003 x", nil,
			[]string{"DH030:2 info: this ignore waives nothing: DH003 is not found because nothing follows directly below"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			doc := document(tt.kind, "f", tt.source, tt.findings...)
			policy.New(options()).Judge(doc)
			if diff := cmp.Diff(tt.want, outcome(doc)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestUnusedCommentCanBeRemoved(t *testing.T) {
	for source, want := range map[string]string{
		"FROM a\n# deckhand:ignore=DH003 x\nUSER 1\n": "FROM a\nUSER 1\n",
		"FROM a\n# deckhand:ignore=DH003 x":           "FROM a\n",
	} {
		doc := document(guard.KindDockerfile, "f", source)
		policy.New(options()).Judge(doc)
		if len(doc.Findings) != 1 || len(doc.Findings[0].Fixes) != 1 || doc.Findings[0].Fixes[0].Safe {
			t.Fatalf("findings are %+v", doc.Findings)
		}
		got, err := guard.Apply(doc.Source, doc.Findings[0].Fixes[0].Edits)
		if err != nil || string(got) != want {
			t.Errorf("the fix makes %q, %v", got, err)
		}
	}
}

func TestJudge(t *testing.T) {
	const source = "FROM a\n# deckhand:ignore=DH003 it drops\nUSER root\n"
	tests := map[string]struct {
		policy   string // below check:
		path     string
		findings []string
		want     []string
	}{
		"severities": {
			"rules: {DH001: off, DH017: error, DH020: info}", "f",
			[]string{"DH020:1", "DH017:1", "DH001:1", "DH018:1"},
			[]string{"DH017:1 error", "DH018:1", "DH020:1 info", "DH030:2 info: this ignore waives nothing: DH003 is not found where it stands"},
		},
		"a comment is of use for a rule that is off": {
			"rules: {DH003: off}", "f", []string{"DH003:3"}, []string{},
		},
		"remarks have a severity": {
			"rules: {ignore-unused: error}", "f", nil,
			[]string{"DH030:2 error: this ignore waives nothing: DH003 is not found where it stands"},
		},
		"remarks are off": {"rules: {DH030: off}", "f", nil, []string{}},
		"by path": {
			"ignore: [{paths: [old], rules: [DH001], reason: theirs}]", "old/f",
			[]string{"DH001:1", "DH003:3"},
			[]string{"DH001:1 ignored by policy: theirs", "DH003:3 ignored by comment: it drops"},
		},
		"by another path": {
			"ignore: [{paths: [old], rules: [DH001], reason: theirs}]", "new/old/f",
			[]string{"DH001:1", "DH003:3"},
			[]string{"DH001:1", "DH003:3 ignored by comment: it drops"},
		},
		"by subject": {
			"ignore: [{subjects: ['service d*'], reason: theirs}]", "f",
			[]string{"DH001:1:service db", "DH001:1:service web", "DH003:3"},
			[]string{"DH001:1", "DH001:1 ignored by policy: theirs", "DH003:3 ignored by comment: it drops"},
		},
		"remarks too": {
			"ignore: [{rules: [DH030], reason: later}]", "f", nil, []string{"DH030:2 ignored by policy: later"},
		},
		"on the last day": {
			"ignore: [{rules: [DH001], reason: x, until: 2027-01-31}]", "f",
			[]string{"DH001:1", "DH003:3"},
			[]string{"DH001:1 ignored by policy: x", "DH003:3 ignored by comment: it drops"},
		},
		"after it": {
			"ignore: [{rules: [DH001], reason: x, until: 2027-01-30}]", "f",
			[]string{"DH001:1", "DH003:3"},
			[]string{"DH001:1", "DH003:3 ignored by comment: it drops"},
		},
		"Pod Security baseline": {
			"pod-security: baseline", "f",
			[]string{"DH024:1", "DH025:1", "DH003:3"},
			[]string{"DH024:1", "DH003:3 ignored by comment: it drops"},
		},
		"Pod Security privileged": {
			"pod-security: privileged", "f",
			[]string{"DH024:1", "DH025:1", "DH003:3"},
			[]string{"DH003:3 ignored by comment: it drops"},
		},
		"Pod Security restricted": {
			"pod-security: restricted", "f",
			[]string{"DH024:1", "DH025:1", "DH003:3"},
			[]string{"DH024:1", "DH025:1", "DH003:3 ignored by comment: it drops"},
		},
	}
	t.Chdir(t.TempDir())
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p, err := policy.Parse("deckhand.yaml", []byte("version: 1\ncheck:\n  "+tt.policy+"\n"), options())
			if err != nil {
				t.Fatal(err)
			}
			doc := document(guard.KindDockerfile, tt.path, source, tt.findings...)
			p.Judge(doc)
			if diff := cmp.Diff(tt.want, outcome(doc)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEndedIgnoreSaysSo(t *testing.T) {
	p, err := policy.Parse("p", []byte("version: 1\ncheck: {ignore: [{rules: [DH001], reason: the move, until: 2026-12-31}]}\n"), options())
	if err != nil {
		t.Fatal(err)
	}
	doc := document(guard.KindImage, "i", "", "DH001:0", "DH001:1")
	doc.Findings[1].Detail = "nobody set a user"
	p.Judge(doc)
	if got := doc.Findings[0].Detail; got != "it was ignored until 2026-12-31: the move" {
		t.Errorf("detail is %q", got)
	}
	if got := doc.Findings[1].Detail; got != "nobody set a user; it was ignored until 2026-12-31: the move" {
		t.Errorf("detail is %q", got)
	}
}

func TestExcluded(t *testing.T) {
	t.Chdir(t.TempDir())
	tests := map[string]struct {
		pattern, path string
		want          bool
	}{
		"a directory":           {"vendor", "vendor", true},
		"below it":              {"vendor", "vendor/a/Dockerfile", true},
		"a like name":           {"vendor", "vendors", false},
		"anchored":              {"vendor", "a/vendor", false},
		"stars":                 {"**/vendor", "a/b/vendor/c", true},
		"stars match none":      {"**/vendor", "vendor", true},
		"stars behind":          {"vendor/**", "vendor/a/b", true},
		"stars within":          {"a/**/b/*.yaml", "a/x/b/y/b/c.yaml", true},
		"stars within, not":     {"a/**/b/*.yaml", "a/x/b/y/c.yaml", false},
		"star stays in segment": {"*/Dockerfile", "a/b/Dockerfile", false},
		"question mark":         {"?/x", "a/x", true},
		"with a dot":            {"./a/", "a/b", true},
		"outside":               {"**/x.yaml", "../other/x.yaml", true},
		"untidy path":           {"a/b", "./a//b/../b", true},
	}
	for name, tt := range tests {
		p, err := policy.Parse("deckhand.yaml", []byte("version: 1\ncheck: {exclude: ['"+tt.pattern+"']}\n"), options())
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Excluded(tt.path); got != tt.want {
			t.Errorf("%s: Excluded(%q) = %v with %q", name, tt.path, got, tt.pattern)
		}
	}
	if (&policy.Policy{}).Excluded("vendor") {
		t.Error("the default policy excludes something")
	}
}

func FuzzJudge(f *testing.F) {
	f.Add("FROM a\n# deckhand:ignore=DH003 x\nRUN <<A <<-B x \\\n y\nA\nB\n", 3, "dockerfile")
	f.Add("a: b # deckhand:ignore-file=DH003,DH001 x", 1, "compose")
	f.Add("; deckhand:ignore=,\n#deckhand:ignore-file\n\\\n", 2, "unit")
	f.Fuzz(func(t *testing.T, source string, line int, kind string) {
		doc := document(guard.Kind(kind), "f", source)
		doc.Findings = []guard.Finding{{Rule: "DH003", Where: guard.Location{Path: "f", Line: line}, Severity: guard.Error}}
		policy.New(options()).Judge(doc)
		kept := 0
		for _, found := range doc.Findings {
			if found.Rule == "DH003" {
				kept++
				continue
			}
			for _, fix := range found.Fixes {
				if _, err := guard.Apply(doc.Source, fix.Edits); err != nil {
					t.Fatal(err)
				}
			}
			if _, ok := guard.Offset(doc.Source, found.Where.Line, found.Where.EndColumn); !ok {
				t.Fatalf("%s is no place of the text", found.Where)
			}
		}
		if kept+len(doc.Ignored) != 1 {
			t.Fatalf("one finding became %d and %d ignored", kept, len(doc.Ignored))
		}
	})
}

func BenchmarkJudge(b *testing.B) {
	p := policy.New(options())
	source := strings.Repeat("RUN apt-get install -y something\n", 100)
	doc := document(guard.KindDockerfile, "Dockerfile", source, "DH001:1", "DH020:2")
	for b.Loop() {
		p.Judge(doc)
	}
}
