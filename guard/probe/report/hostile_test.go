package report_test

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/deckhand-engine/deckhand/guard/probe"
	"github.com/deckhand-engine/deckhand/guard/probe/report"
)

// said has a text in each place that is not ours.
func said(text string) *report.Report {
	text = "it says " + text
	r := example()
	r.Image, r.ImageID = text, text
	for i := range r.Columns {
		r.Columns[i].Title, r.Columns[i].Asked, r.Columns[i].User = text, text, text
		for j := range r.Columns[i].Results {
			r.Columns[i].Results[j].Detail = text
		}
	}
	r.Columns[0].Results[1].By = probe.By(text)
	r.Columns[0].Results[1].Verdict = probe.Denied
	r.Columns[1].Results[5].Verdict = probe.Verdict(text)
	return r
}

func hostile() []string {
	return []string{
		"<script>alert(1)</script>", `"><img src=x onerror=alert(1)>`, "</title></style><script>", "javascript:alert(1)",
		"{{.Image}}", "]]>-->", "&lt;b&gt;&", "' onmouseover='x", "\x1b[2J\x1b]0;title\a", "two\nlines\r", "\u202eabc", "\x00", "\xff\xfe", "世界",
		"</details></td></tr></table>",
	}
}

// element is a start of an element, with the names of its attributes.
func elements(t testing.TB, page string) []string {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(page))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	var all []string
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("%v\n%.300s", err, page[max(0, int(d.InputOffset())-150):])
		}
		if e, ok := token.(xml.StartElement); ok {
			name := e.Name.Local
			for _, a := range e.Attr {
				name += " " + a.Name.Local
				if a.Name.Local == "href" && !strings.HasPrefix(a.Value, "#") && !strings.HasPrefix(a.Value, "https://github.com/deckhand-engine/") {
					t.Errorf("a link to %s", a.Value)
				}
			}
			all = append(all, name)
		}
	}
}

// TestHTMLHoldsNothingElse finds the same elements whatever the texts say, none that loads anything, and each place
// that is linked to.
func TestHTMLHoldsNothingElse(t *testing.T) {
	want := elements(t, written(t, report.FormatHTML, said("text"), options()))
	for _, e := range want {
		name, _, _ := strings.Cut(e, " ")
		if slices.Contains([]string{"script", "link", "img", "iframe", "object", "embed", "base", "form"}, name) {
			t.Errorf("the page has a %s", name)
		}
	}
	for _, text := range hostile() {
		page := written(t, report.FormatHTML, said(text), options())
		if diff := cmp.Diff(want, elements(t, page)); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
		for _, mark := range []string{"url(", "@import", "src=", "<script"} {
			if strings.Contains(page, mark) && !strings.Contains(text, mark) {
				t.Errorf("%q: the page has %s", text, mark)
			}
		}
	}
	page := written(t, report.FormatHTML, example(), options())
	for _, p := range probe.Probes() {
		if strings.Count(page, ` id="`+p.Name+`"`) != 1 {
			t.Errorf("no place for %s", p.Name)
		}
	}
}

func schema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	data, err := os.Open("../../report/testdata/sarif-schema-2.1.0.json")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = data.Close() }()
	value, err := jsonschema.UnmarshalJSON(data)
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("sarif.json", value); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("sarif.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

func validate(s *jsonschema.Schema, text string) error {
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return err
	}
	return s.Validate(value)
}

func TestSARIFIsValid(t *testing.T) {
	s := schema(t)
	reports := map[string]*report.Report{"example": example(), "empty": {Image: "a"}}
	for _, text := range hostile() {
		reports[text] = said(text)
	}
	for name, r := range reports {
		if err := validate(s, written(t, report.FormatSARIF, r, options())); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	wrong := strings.Replace(written(t, report.FormatSARIF, example(), options()), `"level":"error"`, `"level":"bad"`, 1)
	if validate(s, wrong) == nil {
		t.Error("the schema takes a level that does not exist")
	}
}

// TestSARIF has a result for each allowed probe of each column, and says what was not tried.
func TestSARIF(t *testing.T) {
	var log struct {
		Runs []struct {
			Tool struct {
				Driver struct {
					Name  string
					Rules []struct{ ID, HelpURI string }
				}
			}
			Results []struct {
				RuleID, Level       string
				RuleIndex           int
				PartialFingerprints map[string]string
				Locations           []struct {
					LogicalLocations []struct{ Name string }
				}
			}
			Invocations []struct {
				ExecutionSuccessful        bool
				ToolExecutionNotifications []struct{ Message struct{ Text string } }
			}
		}
	}
	if err := json.Unmarshal([]byte(written(t, report.FormatSARIF, example(), options())), &log); err != nil {
		t.Fatal(err)
	}
	run := log.Runs[0]
	var got []string
	seen := map[string]bool{}
	for _, r := range run.Results {
		got = append(got, r.Locations[0].LogicalLocations[0].Name+": "+r.Level+" "+r.RuleID)
		rule := run.Tool.Driver.Rules[r.RuleIndex]
		if rule.ID != r.RuleID || !strings.HasSuffix(rule.HelpURI, "/docs/probes/"+r.RuleID+".md") {
			t.Errorf("%s is said to be %+v", r.RuleID, rule)
		}
		if f := r.PartialFingerprints["deckhand/v1"]; f == "" || seen[f] {
			t.Errorf("%s has the fingerprint %q", r.RuleID, f)
		} else {
			seen[f] = true
		}
	}
	want := []string{
		"as it is (root): error setuid-root", "as it is (root): warning setgroups", "as it is (root): error write-passwd",
		"as it is (root): error raw-socket", "as it is (root): note bind-low-port",
		"uid 9000: note bind-low-port", "uid 9000: note ptrace-own", "user app: note bind-low-port", "user app: note ptrace-own",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if run.Tool.Driver.Name != "deckhand probe" || len(run.Tool.Driver.Rules) != len(probe.Probes()) {
		t.Errorf("%s has %d rules", run.Tool.Driver.Name, len(run.Tool.Driver.Rules))
	}
	i := run.Invocations[0]
	if i.ExecutionSuccessful || len(i.ToolExecutionNotifications) != 1 || !strings.Contains(i.ToolExecutionNotifications[0].Message.Text, "mount: fork: try again") {
		t.Errorf("what was not tried: %+v", i)
	}
}

// FuzzTexts has texts of others in all places, and looks for what drives terminals and breaks formats.
func FuzzTexts(f *testing.F) {
	for _, text := range hostile() {
		f.Add(text)
	}
	want := elements(f, written(f, report.FormatHTML, said("text"), options()))
	s := schema(f)
	f.Fuzz(func(t *testing.T, text string) {
		table := written(t, report.FormatTable, said(text), report.Options{Width: 60})
		if !utf8.ValidString(table) || strings.ContainsFunc(table, func(r rune) bool { return r < ' ' && r != '\n' || r == 0x7f || r == 0x202e }) {
			t.Fatalf("the table has a control: %q", table)
		}
		if diff := cmp.Diff(want, elements(t, written(t, report.FormatHTML, said(text), options()))); diff != "" {
			t.Fatal(diff)
		}
		if err := validate(s, written(t, report.FormatSARIF, said(text), options())); err != nil {
			t.Fatal(err)
		}
		if out := written(t, report.FormatJSON, said(text), options()); !json.Valid([]byte(out)) {
			t.Fatal(out)
		}
	})
}
