package report_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/policy"
)

// TestEveryFindingOnce counts findings in what each format writes.
func TestEveryFindingOnce(t *testing.T) {
	marks := map[string]string{
		"text": " DH", "json": `"fingerprint":`, "sarif": `"ruleId":`, "junit": "<testcase ",
		"github": ",title=", "gitlab": `"check_name":`, "checkstyle": "<error ",
	}
	// 12 findings, and a document that failed; JUnit has the 2 ignored ones and a clean document as well.
	want := map[string]int{"text": 12, "json": 14, "sarif": 14, "junit": 16, "github": 13, "gitlab": 13, "checkstyle": 13}
	for format, mark := range marks {
		got := 0
		for line := range strings.Lines(written(t, format, options(), documents())) {
			if format != "text" || !strings.HasPrefix(line, " ") && strings.Contains(line, "DH") {
				got += strings.Count(line, mark)
			}
		}
		if got != want[format] {
			t.Errorf("%s has %d findings, want %d", format, got, want[format])
		}
	}
}

func validator(t *testing.T) *jsonschema.Schema {
	t.Helper()
	data, err := os.Open("testdata/sarif-schema-2.1.0.json")
	if err != nil {
		t.Fatal(err)
	}
	defer data.Close()
	schema, err := jsonschema.UnmarshalJSON(data)
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("sarif.json", schema); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("sarif.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

func TestSARIFIsValid(t *testing.T) {
	schema := validator(t)
	check := func(text string) error {
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		if err != nil {
			return err
		}
		return schema.Validate(value)
	}
	for name, docs := range map[string][]*guard.Document{"all": documents(), "none": nil, "clean": {clean()}} {
		if err := check(written(t, "sarif", options(), docs)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	wrong := strings.Replace(written(t, "sarif", options(), documents()), `"level":"error"`, `"level":"bad"`, 1)
	if check(wrong) == nil {
		t.Error("the schema takes a level that does not exist")
	}
}

// log is the part of SARIF that the test below looks at.
type log struct {
	Runs []struct {
		Tool struct {
			Driver struct {
				Rules []struct {
					ID   string
					Help struct{ Markdown string }
				}
			}
		}
		Invocations []struct {
			ExecutionSuccessful        bool
			ToolExecutionNotifications []struct{ Message struct{ Text string } }
		}
		Results []struct {
			RuleID    string
			RuleIndex *int
			Message   struct{ Text string }
			Locations []struct {
				PhysicalLocation struct {
					ArtifactLocation struct{ URI, URIBaseID string }
					Region           struct{ StartLine, StartColumn, EndLine, EndColumn int }
				}
			}
			Fixes []struct {
				ArtifactChanges []struct {
					Replacements []struct {
						DeletedRegion   struct{ StartLine, StartColumn, EndLine, EndColumn int }
						InsertedContent struct{ Text string }
					}
				}
			}
			Suppressions []struct{ Kind, Justification string }
		}
	}
}

func TestSARIFSaysWhatViewersShow(t *testing.T) {
	var l log
	if err := json.Unmarshal([]byte(written(t, "sarif", options(), documents())), &l); err != nil {
		t.Fatal(err)
	}
	run := l.Runs[0]
	uris := map[string]bool{}
	for _, r := range run.Results {
		if r.RuleIndex == nil || run.Tool.Driver.Rules[*r.RuleIndex].ID != r.RuleID {
			t.Errorf("%s has no rule", r.RuleID)
		}
		if len(r.Locations) != 1 || r.Locations[0].PhysicalLocation.Region.StartLine < 1 {
			t.Errorf("%s has no place: %+v", r.RuleID, r.Locations)
		}
		uris[r.Locations[0].PhysicalLocation.ArtifactLocation.URI] = true
	}
	for _, want := range []string{"app/Docker,file", "compose.yaml", "db/Dockerfile", "image/docker/example.org/a:1", "stdin"} {
		if !uris[want] {
			t.Errorf("no result is in %s: %v", want, uris)
		}
	}
	// ENV A=世界 B=😀: bytes 16 to 20 are the UTF-16 units 12 to 14.
	if r := run.Results[1].Locations[0].PhysicalLocation.Region; r.StartColumn != 12 || r.EndColumn != 14 {
		t.Errorf("the emoji is at %+v", r)
	}
	fixes := run.Results[3].Fixes
	if len(fixes) != 2 || len(fixes[1].ArtifactChanges[0].Replacements) != 2 {
		t.Fatalf("fixes are %+v", fixes)
	}
	if r := fixes[1].ArtifactChanges[0].Replacements[0]; r.DeletedRegion.StartColumn != 1 || r.DeletedRegion.EndColumn != 1 || r.InsertedContent.Text != "RUN useradd app\n" {
		t.Errorf("the insertion is %+v", r)
	}
	var kinds []string
	for _, r := range run.Results {
		for _, s := range r.Suppressions {
			kinds = append(kinds, s.Kind+" "+s.Justification)
		}
	}
	if strings.Join(kinds, ", ") != "inSource it drops, external it was there" {
		t.Errorf("suppressions are %v", kinds)
	}
	i := run.Invocations[0]
	if i.ExecutionSuccessful || len(i.ToolExecutionNotifications) != 1 || !strings.HasPrefix(i.ToolExecutionNotifications[0].Message.Text, "b:d/k.yaml: line 3") {
		t.Errorf("invocations are %+v", i)
	}
	if help := run.Tool.Driver.Rules[1].Help.Markdown; help != page("DH001") {
		t.Errorf("help is %q", help)
	}
}

func TestJSONParses(t *testing.T) {
	for _, format := range []string{"json", "gitlab", "sarif"} {
		for _, docs := range [][]*guard.Document{nil, {clean()}, documents()} {
			var v any
			if err := json.Unmarshal([]byte(written(t, format, options(), docs)), &v); err != nil {
				t.Errorf("%s of %d documents: %v", format, len(docs), err)
			}
		}
	}
}

func TestXMLParses(t *testing.T) {
	for _, format := range []string{"junit", "checkstyle"} {
		for _, docs := range [][]*guard.Document{nil, {clean()}, documents()} {
			d := xml.NewDecoder(strings.NewReader(written(t, format, options(), docs)))
			elements := 0
			for {
				token, err := d.Token()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					t.Fatalf("%s of %d documents: %v", format, len(docs), err)
				}
				if _, ok := token.(xml.StartElement); ok {
					elements++
				}
			}
			if elements == 0 {
				t.Errorf("%s of %d documents has no element", format, len(docs))
			}
		}
	}
}

func TestJUnitFailsWhatFails(t *testing.T) {
	o := options()
	for failOn, want := range map[guard.Severity]int{guard.Off: 10, guard.Error: 5, guard.Info: 12, policy.Never: 0} {
		o.Policy = &policy.Policy{FailOn: failOn}
		if got := strings.Count(written(t, "junit", o, documents()), "<failure "); got != want {
			t.Errorf("fail-on %s: %d failures, want %d", failOn, got, want)
		}
	}
}

func TestGitHubIsOneCommandALine(t *testing.T) {
	lines := strings.Split(strings.TrimSuffix(written(t, "github", options(), documents()), "\n"), "\n")
	for _, line := range lines[:len(lines)-1] {
		command, message, ok := strings.Cut(strings.TrimPrefix(line, "::"), "::")
		name, properties, _ := strings.Cut(command, " ")
		if !ok || message == "" || name != "error" && name != "warning" && name != "notice" {
			t.Errorf("no command: %s", line)
		}
		for property := range strings.SplitSeq(properties, ",") {
			if name, value, ok := strings.Cut(property, "="); !ok || name == "" || strings.Contains(value, ":") {
				t.Errorf("no property: %s", property)
			}
		}
	}
	if want := `::error file=app/Docker%2Cfile,line=1,endLine=1,col=6,endColumn=11,title=DH001 no-user::100%25 wrong, says nginx: a%0Ab%0Aso <it> is`; lines[0] != want {
		t.Errorf("the first is %s", lines[0])
	}
}

// TestNothingDrivesATerminal looks for controls in the formats that are read on one.
func TestNothingDrivesATerminal(t *testing.T) {
	for _, format := range []string{"text", "github"} {
		out := written(t, format, options(), documents())
		if i := strings.IndexFunc(out, func(r rune) bool { return r < ' ' && r != '\n' || r >= 0x7f && r < 0xa0 || r == 0x202e }); i >= 0 {
			t.Errorf("%s has a control: %q", format, out[max(0, i-20):i+10])
		}
	}
}

func FuzzWriters(f *testing.F) {
	f.Add("FROM a\nUSER \x1b[31mroot\tx\n", "message", 2, 6, 2, 10)
	f.Add("世界\xff\xfe\U0001F600 e\u0301\r\n", "::%0A]]>", 1, 2, 0, 0)
	f.Add("", "", 0, -1, 5, 9)
	f.Add("a\nb\nc\nd\ne\nf\ng\nh", "m", 1, 0, 8, 1)
	f.Fuzz(func(t *testing.T, source, message string, line, column, endLine, endColumn int) {
		at := place("p", line, column, endLine, endColumn)
		doc := &guard.Document{Path: "p", Kind: guard.KindDockerfile, Source: []byte(source), Findings: []guard.Finding{{
			Rule: "DH001", Severity: guard.Error, Message: message, Detail: message, Subject: message, Where: at,
			Fixes: []guard.Fix{{Title: message, Edits: []guard.Edit{{At: at, Text: message}}}},
		}}}
		for _, format := range []string{"json", "sarif", "gitlab"} {
			if out := written(t, format, options(), []*guard.Document{doc}); !json.Valid([]byte(out)) {
				t.Fatalf("%s is no JSON: %s", format, out)
			}
		}
		for _, format := range []string{"junit", "checkstyle"} {
			if err := xml.NewDecoder(bytes.NewBufferString(written(t, format, options(), []*guard.Document{doc}))).Decode(new(struct{})); err != nil {
				t.Fatalf("%s is no XML: %v", format, err)
			}
		}
		for _, format := range []string{"text", "github"} {
			out := written(t, format, options(), []*guard.Document{doc})
			if !utf8.ValidString(out) || strings.ContainsFunc(out, func(r rune) bool { return r < ' ' && r != '\n' || r == 0x7f }) {
				t.Fatalf("%s has a control: %q", format, out)
			}
		}
	})
}

// TestJSONIsDocumented looks for a row of docs/check-json.md for every field that is written.
func TestJSONIsDocumented(t *testing.T) {
	content, err := os.ReadFile("../../docs/check-json.md")
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal([]byte(written(t, "json", options(), documents())), &v); err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	fields(v, names)
	if len(names) < 40 {
		t.Fatalf("only %d fields are written", len(names))
	}
	for name := range names {
		if !bytes.Contains(content, []byte("`"+name+"`")) && !bytes.Contains(content, []byte(`"`+name+`"`)) {
			t.Errorf("%s is not documented", name)
		}
	}
}

// fields collects the names of all fields of a JSON value.
func fields(v any, names map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			names[name] = true
			fields(value, names)
		}
	case []any:
		for _, value := range v {
			fields(value, names)
		}
	}
}
