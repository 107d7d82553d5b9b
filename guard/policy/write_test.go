package policy_test

import (
	"bytes"
	"testing"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/policy"
)

// TestIgnore writes a reason behind the comment, and sees that the comment holds.
func TestIgnore(t *testing.T) {
	tests := map[string]struct {
		kind      guard.Kind
		source    string
		line      int
		rule      string
		want      string // empty: there can be no comment
		lineAfter int
	}{
		"a line":              {kind: guard.KindDockerfile, source: "FROM a\nUSER root\n", line: 2, want: "FROM a\n# deckhand:ignore=DH003 \nUSER root\n", lineAfter: 3},
		"the first line":      {kind: guard.KindDockerfile, source: "FROM a", line: 1, want: "# deckhand:ignore=DH003 \nFROM a", lineAfter: 2},
		"CRLF":                {kind: guard.KindDockerfile, source: "FROM a\r\n  USER root\r\n", line: 2, want: "FROM a\r\n  # deckhand:ignore=DH003 \r\n  USER root\r\n", lineAfter: 3},
		"a continued line":    {kind: guard.KindDockerfile, source: "FROM a\nRUN a \\\n  b\n", line: 3, want: "FROM a\n# deckhand:ignore=DH003 \nRUN a \\\n  b\n", lineAfter: 4},
		"within a heredoc":    {kind: guard.KindDockerfile, source: "FROM a\nRUN <<E\nb\nE\n", line: 3, want: "FROM a\n# deckhand:ignore=DH003 \nRUN <<E\nb\nE\n", lineAfter: 4},
		"beside another":      {kind: guard.KindDockerfile, source: "FROM a\n# deckhand:ignore=DH005 why\nUSER root\n", line: 3, want: "FROM a\n# deckhand:ignore=DH005 why\n# deckhand:ignore=DH003 \nUSER root\n", lineAfter: 4},
		"YAML":                {kind: guard.KindCompose, source: "services:\n  web:\n    user: root\n", line: 3, want: "services:\n  web:\n    # deckhand:ignore=DH003 \n    user: root\n", lineAfter: 4},
		"a unit":              {kind: guard.KindUnit, source: "[Service]\nUser=root\n", line: 2, want: "[Service]\n# deckhand:ignore=DH003 \nUser=root\n", lineAfter: 3},
		"JSON":                {kind: guard.KindKubernetes, source: "{\n \"kind\": \"Pod\"}\n", line: 2},
		"no line":             {kind: guard.KindDockerfile, source: "FROM a\n", line: 0},
		"a line too far":      {kind: guard.KindDockerfile, source: "FROM a\n", line: 9},
		"no text":             {kind: guard.KindImage, line: 0},
		"about an ignore":     {kind: guard.KindDockerfile, source: "FROM a\nUSER root\n", line: 2, rule: "DH030"},
		"what cannot be read": {kind: guard.KindDockerfile, source: "FRON a\n", line: 1, rule: "DH000"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			doc := &guard.Document{Path: "x", Kind: tt.kind, Source: []byte(tt.source)}
			f := guard.Finding{Rule: "DH003", Severity: guard.Error, Where: guard.Location{Path: "x", Line: tt.line}}
			if tt.rule != "" {
				f.Rule = tt.rule
			}
			edit, ok := policy.Ignore(doc, f)
			if ok != (tt.want != "") {
				t.Fatalf("Ignore = %v, %v", edit, ok)
			}
			if !ok {
				return
			}
			got, err := guard.Apply(doc.Source, []guard.Edit{edit})
			if err != nil || string(got) != tt.want {
				t.Fatalf("the text is %q, %v; want %q", got, err, tt.want)
			}
			f.Where.Line = tt.lineAfter
			after := &guard.Document{
				Path: "x", Kind: tt.kind, Findings: []guard.Finding{f},
				Source: bytes.Replace(got, []byte("=DH003 "), []byte("=DH003 it drops root itself"), 1),
			}
			(&policy.Policy{}).Judge(after)
			if len(after.Ignored) != 1 || after.Ignored[0].Reason != "it drops root itself" {
				t.Errorf("with a reason, ignored are %v", after.Ignored)
			}
		})
	}
}
