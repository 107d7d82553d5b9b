package units

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/deckhand-engine/deckhand/guard"
)

// dump writes what was read: "Section.Key=value @line:column-line:column".
func dump(u *unit) []string {
	var all []string
	for _, a := range u.assignments {
		l := a.all()
		all = append(all, fmt.Sprintf("%s.%s=%s @%d:%d-%d:%d", a.section, a.key, a.value, l.Line, l.Column, l.EndLine, l.EndColumn))
	}
	return all
}

func TestParse(t *testing.T) {
	tests := map[string]struct {
		in   string
		want []string
	}{
		"plain":        {"[A]\nB=c\n", []string{"A.B=c @2:3-2:4"}},
		"white space":  {"  [A]\t\n\t B \t= c d \t\n", []string{"A.B=c d @2:8-2:11"}},
		"CRLF":         {"[A]\r\nB=c\r\n", []string{"A.B=c @2:3-2:4"}},
		"no end":       {"[A]\nB=c", []string{"A.B=c @2:3-2:4"}},
		"byte order":   {"\ufeff[A]\nB=c", []string{"A.B=c @2:3-2:4"}},
		"equals signs": {"[A]\nB=c=d", []string{"A.B=c=d @2:3-2:6"}},
		"empty":        {"[A]\nB=\n", []string{"A.B= @2:3-2:3"}},
		"comments":     {"# x\n[A]\n;B=c\n  # [C]\nD=e # f\n", []string{"A.D=e # f @5:3-5:8"}},
		"continued":    {"[A]\nB=c \\\n  d\\\n\te\nF=g\n", []string{"A.B=c  d e @2:3-4:3", "A.F=g @5:3-5:4"}},
		"continued, comments": {
			"[A]\nB=c \\\n# x\n; y\\\n  d\n", []string{"A.B=c  d @2:3-5:4"},
		},
		"continued to the end":   {"[A]\nB=c \\", []string{"A.B=c @2:3-2:4"}},
		"an empty line ends it":  {"[A]\nB=c \\\n\nD=e\n", []string{"A.B=c @2:3-2:4", "A.D=e @4:3-4:4"}},
		"value on the next line": {"[A]\nB= \\\n  c\n", []string{"A.B=c @3:3-3:4"}},
		"escaped backslash":      {"[A]\nB=c\\\\\nD=e\n", []string{`A.B=c\\ @2:3-2:6`, "A.D=e @3:3-3:4"}},
		"no section":             {"B=c\n[A]\nD=e\n", []string{"A.D=e @3:3-3:4"}},
		"no assignment":          {"[A]\nB\n=c\nD=e\n", []string{"A.D=e @4:3-4:4"}},
		"sections again":         {"[A]\nB=c\n[D]\nE=f\n[A]\nB=g\n", []string{"A.B=c @2:3-2:4", "D.E=f @4:3-4:4", "A.B=g @6:3-6:4"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			u, err := parse("f", []byte(tt.in))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, dump(u)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseErrors(t *testing.T) {
	for in, want := range map[string]int{"[A\nB=c\n": 1, "[A]\n\n[B\n": 3, "[A]x\n": 1, "[A \\\nB\n": 1} {
		_, err := parse("f", []byte(in))
		var syntax *guard.SyntaxError
		if !errors.As(err, &syntax) || syntax.Line != want || !strings.Contains(syntax.Text, "has no ]") {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func TestSections(t *testing.T) {
	u, err := parse("f", []byte("\n  [A]\n[B]\n[A]\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]guard.Location{
		"A": {Path: "f", Line: 2, Column: 3, EndLine: 2, EndColumn: 6},
		"B": {Path: "f", Line: 3, Column: 1, EndLine: 3, EndColumn: 4},
	}
	if diff := cmp.Diff(want, u.sections); diff != "" {
		t.Error(diff)
	}
}

func TestList(t *testing.T) {
	u, err := parse("f", []byte("[A]\nB=1\nB=2\nB=\nB=3\nB=4\nC=1\nC=\n"))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, a := range u.list("A", "B") {
		got = append(got, a.value)
	}
	last, ok := u.last("A", "B")
	if _, reset := u.last("A", "C"); strings.Join(got, ",") != "3,4" || !ok || last.value != "4" || reset {
		t.Errorf("list = %v, last = %v, %v; reset = %v", got, last, ok, reset)
	}
}

func TestWords(t *testing.T) {
	tests := map[string]struct {
		in   string
		want []string
	}{
		"plain":        {"a bc", []string{"a @1-2 plain", "bc @3-5 plain"}},
		"quotes":       {`"a b" 'c d'e`, []string{"a b @1-6", "c de @7-13"}},
		"quotes in":    {`--x="a b" c`, []string{"--x=a b @1-10", "c @11-12 plain"}},
		"quoted quote": {`"a'b" 'c"d'`, []string{"a'b @1-6", `c"d @7-12`}},
		"empty":        {`"" a`, []string{" @1-3", "a @4-5 plain"}},
		"open quote":   {`"a b`, []string{"a b @1-5"}},
		"escapes":      {`a\sb\x41\u00e4\101\n\\ \"`, []string{"a bAäA\n\\ @1-23", `" @24-26`}},
		"not escapes":  {`a\qb \x0 \xzz \u12 \U00110000 \400 \`, []string{`a\qb @1-5 plain`, `\x0 @6-9 plain`, `\xzz @10-14 plain`, `\u12 @15-19 plain`, `\U00110000 @20-30 plain`, `\400 @31-35 plain`, `\ @36-37 plain`}},
		"tabs":         {"a\tb", []string{"a @1-2 plain", "b @3-4 plain"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			a := assignment{value: tt.in, path: "f", pieces: []piece{{0, 1, 1}}}
			var got []string
			for _, w := range a.words() {
				s := fmt.Sprintf("%s @%d-%d", w.text, w.at.Column, w.at.EndColumn)
				if w.plain {
					s += " plain"
				}
				got = append(got, s)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSpecifier(t *testing.T) {
	for in, want := range map[string]string{"a": "", "%i": "%i", "a%%i": "", "%%%n": "%n", "%": "", "100%": ""} {
		if got := specifier(in); got != want {
			t.Errorf("specifier(%q) = %q, want %q", in, got, want)
		}
	}
}
