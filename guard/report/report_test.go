package report_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/report"
	"github.com/deckhand-engine/deckhand/guard/rules"
)

var update = flag.Bool("update", false, "write the golden files")

// testRules stand for the real ones, so that the golden files do not change with them.
func testRules() []rules.Rule {
	return []rules.Rule{
		{ID: "DH000", Name: "not-checked", Title: "Not checked", Severity: guard.Error},
		{ID: "DH001", Name: "no-user", Title: "No USER: root because nobody said otherwise", Severity: guard.Error},
		{ID: "DH003", Name: "root-name", Title: "USER root", Severity: guard.Error},
		{ID: "DH012", Name: "engine-socket", Title: "The engine's socket: root of the host", Severity: guard.Error},
		{ID: "DH020", Name: "package-manager", Title: "A package manager stays behind", Severity: guard.Info},
		{ID: "DH030", Name: "ignore-unused", Title: "An ignore that is of no use", Severity: guard.Warning},
	}
}

func page(id string) string {
	if id != "DH001" {
		return ""
	}
	return "# DH001 no-user\n\nNobody sets a user,\nso it is `root`.\n\n## Bad\n\n```\nFROM a\n```\n"
}

func options() report.Options {
	return report.Options{Version: "1.2.3", Page: page, Rules: testRules(), Width: 60}
}

func place(path string, line, column, endLine, endColumn int) guard.Location {
	return guard.Location{Path: path, Line: line, Column: column, EndLine: endLine, EndColumn: endColumn}
}

// documents have what formats must get right: ranges of every shape, wide characters, controls, fixes, ignores,
// failures, an image, standard input.
func documents() []*guard.Document {
	return []*guard.Document{dockerfile(), compose(), image(), clean(), failed(), stdin()}
}

func dockerfile() *guard.Document {
	const path = "app/Docker,file"
	source := "FROM nginx\n" +
		"ENV A=世界 B=\U0001F600 \x1b[31mred\r\n" +
		"RUN apt-get update && \\\n\tapt-get install \\\n\ta \\\n\tb \\\n\tc \\\n\td\n" +
		"\tUSER\troot # <&\">\n" +
		"CMD " + strings.Repeat("very ", 20) + "long " + strings.Repeat("line ", 20) + "\n"
	user := place(path, 9, 7, 9, 11)
	return &guard.Document{
		Path: path, Kind: guard.KindDockerfile, Source: []byte(source),
		Subjects: []*guard.Subject{{
			Kind: guard.KindDockerfile, Name: "image", Where: place(path, 1, 1, 1, 11), Image: "nginx",
			User:    guard.User{Spec: "root", Where: user, GroupSet: false},
			Drop:    &guard.Drop{By: "gosu", Spec: "app", To: guard.Exactly(1000), Where: place(path, 10, 1, 10, 4), Script: "/start.sh"},
			Command: guard.Command{Args: []string{"very", "long"}},
		}},
		Findings: []guard.Finding{
			{Rule: "DH001", Severity: guard.Error, Message: "100% wrong, says nginx: a\nb", Subject: "image", Where: place(path, 1, 6, 1, 11), Detail: "so <it> is"},
			{Rule: "DH020", Severity: guard.Info, Message: "the emoji", Subject: "image", Where: place(path, 2, 16, 2, 20), Hint: "use another"},
			{Rule: "DH020", Severity: guard.Info, Message: "apt-get stays", Subject: "image", Where: place(path, 3, 1, 8, 3)},
			{
				Rule: "DH003", Severity: guard.Error, Message: "USER root is \x1b]0;root\a\u202e", Subject: "image", Where: user,
				Fixes: []guard.Fix{
					{Title: "write a uid", Safe: true, Edits: []guard.Edit{{At: user, Text: "9000"}}},
					{Title: "add a user", Edits: []guard.Edit{
						{At: place("", 9, 1, 9, 1), Text: "RUN useradd app\n"}, {At: place("", 9, 7, 9, 11), Text: "app"},
					}},
				},
				Hint: "or harden it",
			},
			{Rule: "DH001", Severity: guard.Warning, Message: "deep in a long line", Where: place(path, 10, 105, 10, 109)},
			{Rule: "DH001", Severity: guard.Warning, Message: "the whole line", Where: guard.Location{Path: path, Line: 9}},
			{Rule: "DH001", Severity: guard.Warning, Message: "behind the end", Where: place(path, 1, 11, 1, 11)},
		},
	}
}

func compose() *guard.Document {
	const path = "compose.yaml"
	return &guard.Document{
		Path: path, Kind: guard.KindCompose,
		Source: []byte("services:\n  web:\n    image: a # deckhand:ignore=DH001 it drops\n  db:\n    volumes:\n      - /var/run/docker.sock:/s\n"),
		Subjects: []*guard.Subject{
			{
				Kind: guard.KindCompose, Name: "service web", Where: place(path, 2, 3, 2, 6), Image: "a",
				User: guard.User{UID: guard.AnyID(), GID: guard.AnyID(), Unknown: "image a is not known", From: "image a", Inherited: true},
			},
			{
				Kind: guard.KindCompose, Name: "service db", Where: place(path, 4, 3, 4, 5), Build: "db/Dockerfile",
				User:   guard.User{Spec: "app:app", Raw: "${U}", UID: guard.ID{Least: 1, Most: 999}, Name: "app"},
				Grants: []guard.Grant{{Kind: guard.GrantMount, Value: "/var/run/docker.sock", Where: place(path, 6, 9, 6, 30)}},
			},
		},
		Findings: []guard.Finding{
			{Rule: "DH012", Severity: guard.Error, Message: "it may do anything", Subject: "service db", Where: place(path, 6, 9, 6, 32)},
			{Rule: "DH003", Severity: guard.Warning, Message: "said elsewhere", Where: place("db/Dockerfile", 3, 2, 3, 4)},
			{
				Rule: "DH001", Severity: guard.Warning, Message: "no user is set", Where: place(path, 4, 3, 4, 5),
				Fixes: []guard.Fix{{Title: "set one", Edits: []guard.Edit{{At: place("", 5, 1, 5, 1), Text: "    user: \"9000\"\n"}}}},
			},
		},
		Ignored: []guard.Ignored{
			{Finding: guard.Finding{Rule: "DH001", Severity: guard.Error, Message: "waived", Subject: "service web", Where: place(path, 3, 12, 3, 13)}, Reason: "it drops", By: "comment"},
			{Finding: guard.Finding{Rule: "DH003", Severity: guard.Error, Message: "known", Where: place(path, 4, 3, 4, 5)}, Reason: "it was there", By: "baseline"},
		},
	}
}

func image() *guard.Document {
	const path = "docker://example.org/a:1"
	return &guard.Document{
		Path: path, Kind: guard.KindImage,
		Subjects: []*guard.Subject{{Kind: guard.KindImage, Name: "image"}},
		Findings: []guard.Finding{{Rule: "DH001", Severity: guard.Error, Message: "no user", Subject: "image", Where: guard.Location{Path: path}}},
	}
}

func clean() *guard.Document {
	return &guard.Document{
		Path: "/srv/clean/Dockerfile", Kind: guard.KindDockerfile, Source: []byte("FROM a\nUSER 1000\n"),
		Subjects: []*guard.Subject{{Kind: guard.KindDockerfile, Name: "image", User: guard.User{Spec: "1000", UID: guard.Exactly(1000)}}},
	}
}

func failed() *guard.Document {
	return &guard.Document{Path: "b:d/k.yaml", Kind: guard.KindKubernetes, Err: &guard.SyntaxError{Line: 3, Text: "no \x1b[2Jmapping"}}
}

func stdin() *guard.Document {
	return &guard.Document{
		Path: "-", Kind: guard.KindDockerfile, Source: []byte("FROM\n"), Err: errors.New("said by the finding"),
		Findings: []guard.Finding{{Rule: "DH000", Severity: guard.Error, Message: "FROM wants an image", Where: guard.Location{Path: "-", Line: 1}}},
	}
}

// written is what a format makes of documents.
func written(t *testing.T, format string, o report.Options, docs []*guard.Document) string {
	t.Helper()
	var out bytes.Buffer
	w, err := report.New(format, &out, o)
	if err != nil {
		t.Fatal(err)
	}
	var sum report.Summary
	for _, doc := range docs {
		sum.Add(doc)
		if err := w.Document(doc); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(sum); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestGolden(t *testing.T) {
	coloured := options()
	coloured.Colour = true
	for _, format := range report.Formats() {
		golden(t, format, written(t, format, options(), documents()))
		golden(t, format+"-empty", written(t, format, options(), nil))
	}
	golden(t, "text-coloured", written(t, "text", coloured, documents()))
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (write it anew with -update):\n%s", file, diff)
	}
}

func TestNew(t *testing.T) {
	if _, err := report.New("html", &bytes.Buffer{}, report.Options{}); err == nil || !strings.Contains(err.Error(), "text, json, sarif") {
		t.Errorf("an unknown format: %v", err)
	}
	for _, format := range report.Formats() { // the zero value of the options works
		if written(t, format, report.Options{}, []*guard.Document{clean(), compose()}) == "" {
			t.Errorf("%s writes nothing", format)
		}
	}
}

// full is a writer that takes nothing any more.
type full struct{ writes int }

var errFull = errors.New("no space left")

func (f *full) Write([]byte) (int, error) {
	f.writes++
	return 0, errFull
}

func TestWriteErrors(t *testing.T) {
	for _, format := range report.Formats() {
		disk := &full{}
		w, err := report.New(format, disk, options())
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := w.Document(dockerfile()); !errors.Is(err, errFull) {
				t.Errorf("%s: Document = %v", format, err)
			}
		}
		if err := w.Document(clean()); !errors.Is(err, errFull) {
			t.Errorf("%s: Document = %v of a clean document", format, err)
		}
		if err := w.Close(report.Summary{}); !errors.Is(err, errFull) || disk.writes != 1 {
			t.Errorf("%s: Close = %v after %d writes", format, err, disk.writes)
		}
	}
}

func TestSummary(t *testing.T) {
	var sum report.Summary
	for _, doc := range documents() {
		sum.Add(doc)
	}
	want := report.Summary{
		Documents: 6, Failed: 2, Errors: 5, Warnings: 5, Infos: 2, Ignored: 2,
		Subjects: 5, Root: 2, NotRoot: 2, Unknown: 1,
	}
	if diff := cmp.Diff(want, sum); diff != "" {
		t.Error(diff)
	}
	tests := map[string]report.Summary{
		"nothing to check":            {},
		"nothing found in 1 document": {Documents: 1},
		"1 error in 2 documents, 1 thing that runs: 1 as root, 0 not":                                                            {Documents: 2, Errors: 1, Subjects: 1, Root: 1},
		"5 errors, 5 warnings, 2 infos in 6 documents, 5 things that run: 2 as root, 2 not, 1 unknown; 2 ignored; 2 not checked": sum,
	}
	for want, s := range tests {
		if got := s.String(); got != want {
			t.Errorf("String = %q, want %q", got, want)
		}
	}
}

func TestLongFixIsCutWhereItChanges(t *testing.T) {
	const path = "Dockerfile"
	doc := &guard.Document{
		Path: path, Kind: guard.KindDockerfile, Source: []byte(strings.Repeat("a ", 50) + "old" + strings.Repeat(" b", 50)),
		Findings: []guard.Finding{{
			Rule: "DH001", Severity: guard.Error, Message: "m", Where: place(path, 1, 101, 1, 104),
			Fixes: []guard.Fix{{Title: "t", Edits: []guard.Edit{{At: place(path, 1, 101, 1, 104), Text: "new"}}}},
		}},
	}
	out := written(t, "text", options(), []*guard.Document{doc})
	for _, want := range []string{"- …a a a a a a old b b b", "+ …a a a a a a new b b b"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
}

type advised struct{ error }

func (advised) Advice() string { return "log in:  docker login HOST\x1b[2J" }

// TestRemedy: an error that knows what to do says so.
func TestRemedy(t *testing.T) {
	var b strings.Builder
	w, err := report.New(report.FormatText, &b, report.Options{})
	if err != nil {
		t.Fatal(err)
	}
	doc := &guard.Document{Path: "docker://HOST/app", Err: fmt.Errorf("find it: %w", advised{errors.New("access denied")})}
	if err := w.Document(doc); err != nil {
		t.Fatal(err)
	}
	if want := "docker://HOST/app not checked: find it: access denied\n  fix: log in:  docker login HOST[2J\n\n"; b.String() != want {
		t.Errorf("got %q", b.String())
	}
}
