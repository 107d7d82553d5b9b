package report_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/deckhand-engine/deckhand/guard/probe"
	"github.com/deckhand-engine/deckhand/guard/probe/report"
)

var update = flag.Bool("update", false, "write the golden files")

// column has what is allowed, and failed; the rest is denied, by turns.
func column(title, user string, kind report.Kind, allowed ...string) report.Column {
	by := []probe.By{probe.ByCapability, probe.ByOwner, probe.ByNoNewPrivs, ""}
	c := report.Column{Kind: kind, Column: probe.Column{Title: title, User: user}}
	left := map[string]bool{}
	for _, name := range allowed {
		left[name] = true
	}
	for i, p := range probe.Probes() {
		r := probe.Result{Probe: p.Name, Verdict: probe.Denied, Errno: syscall.EPERM, By: by[i%len(by)]}
		switch {
		case left[p.Name]:
			r = probe.Result{Probe: p.Name, Verdict: probe.Allowed}
		case p.Name == "sudo":
			r = probe.Result{Probe: p.Name, Verdict: probe.Absent, Detail: "neither sudo nor doas is in PATH"}
		}
		c.Results = append(c.Results, r)
	}
	return c
}

// example has a column that denies more, one that allows something besides, one that is the same, and a failure.
func example() *report.Report {
	own := column("as it is (root)", "0:0", report.KindImage, "setuid-root", "setgroups", "write-passwd", "raw-socket", "bind-low-port")
	user := column("uid 9000", "9000:0", report.KindUser, "bind-low-port", "ptrace-own")
	user.Asked = "9000"
	same := column("user app", "1000:1000", report.KindUser, "bind-low-port", "ptrace-own")
	same.Asked = "app"
	profile := column("profile a/directory/with/a/long/name", "9000:9000", report.KindProfile)
	profile.Asked = "a/directory/with/a/long/name"
	for i, r := range profile.Results {
		if r.Probe == "mount" {
			profile.Results[i] = probe.Result{Probe: r.Probe, Verdict: probe.Failed, Detail: "fork: try again"}
		}
	}
	return &report.Report{Image: "example:1", ImageID: "sha256:0123", Columns: []report.Column{own, user, same, profile}}
}

func options() report.Options {
	return report.Options{Version: "1.2.3", Hints: []string{"run it so:  deckhand run -u 9000 example:1"}}
}

func written(t testing.TB, format string, r *report.Report, o report.Options) string {
	t.Helper()
	var b bytes.Buffer
	if err := report.Write(&b, format, r, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestGolden(t *testing.T) {
	tests := map[string]struct {
		format string
		change func(*report.Options)
	}{
		"table.txt":  {report.FormatTable, func(*report.Options) {}},
		"all.txt":    {report.FormatTable, func(o *report.Options) { o.All = true }},
		"narrow.txt": {report.FormatTable, func(o *report.Options) { o.Colour, o.Width = true, 80 }},
		"page.html":  {report.FormatHTML, func(*report.Options) {}},
		"log.sarif":  {report.FormatSARIF, func(*report.Options) {}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			o := options()
			tt.change(&o)
			got := written(t, tt.format, example(), o)
			golden := filepath.Join("testdata", name)
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestColoursAddNothing finds the same text with and without colours.
func TestColoursAddNothing(t *testing.T) {
	o := options()
	plain := written(t, report.FormatTable, example(), o)
	o.Colour = true
	coloured := written(t, report.FormatTable, example(), o)
	for _, style := range []string{"0", "1", "2", "31", "32", "33", "34"} {
		if !strings.Contains(coloured, "\x1b["+style+"m") {
			t.Errorf("style %s is not used", style)
		}
		coloured = strings.ReplaceAll(coloured, "\x1b["+style+"m", "")
	}
	if diff := cmp.Diff(plain, coloured); diff != "" {
		t.Error(diff)
	}
}

func TestUnknownFormat(t *testing.T) {
	var b bytes.Buffer
	err := report.Write(&b, "xml", example(), options())
	if err == nil || err.Error() != `"xml" is no format: table, json, sarif, html` || b.Len() > 0 {
		t.Errorf("%v, %q", err, b.String())
	}
}

// document is what docs/probe.md says of the JSON.
type document struct {
	Version                  int
	Deckhand, Image, ImageID string
	Columns                  []struct {
		Title, Kind, Asked, User string
		Root                     bool
		Summary                  probe.Tally
		Results                  []probe.Result
	}
	Probes []struct {
		probe.Probe
		Page string
	}
}

func TestJSON(t *testing.T) {
	r := example()
	r.Columns[0].Results[3].Verdict = "perhaps" // which is nothing to rely on
	r.Columns[1].Results = r.Columns[1].Results[1:]
	var got document
	d := json.NewDecoder(strings.NewReader(written(t, report.FormatJSON, r, options())))
	d.DisallowUnknownFields()
	if err := d.Decode(&got); err != nil {
		t.Fatal(err)
	}
	if got.Version != 1 || got.Deckhand != "1.2.3" || got.Image != "example:1" || got.ImageID != "sha256:0123" || len(got.Columns) != 4 {
		t.Errorf("%+v", got)
	}
	for i, c := range got.Columns {
		if c.Title != r.Columns[i].Title || c.Kind != string(r.Columns[i].Kind) || c.Asked != r.Columns[i].Asked || c.User != r.Columns[i].User || c.Root != (i == 0) {
			t.Errorf("%+v", c)
		}
	}
	n := len(probe.Probes())
	want := []probe.Tally{
		{Probes: n, Allowed: 5, High: 3, Medium: 1, Low: 1, Denied: n - 7, Absent: 1, Failed: 1},
		{Probes: n, Allowed: 2, Low: 2, Denied: n - 4, Absent: 1, Failed: 1},
	}
	for i, w := range want {
		if diff := cmp.Diff(w, got.Columns[i].Summary); diff != "" {
			t.Error(diff)
		}
	}
	for i, p := range probe.Probes() {
		if diff := cmp.Diff(p, got.Probes[i].Probe); diff != "" || !strings.HasSuffix(got.Probes[i].Page, "/docs/probes/"+p.Name+".md") {
			t.Errorf("%s\n%s", got.Probes[i].Page, diff)
		}
		for _, c := range got.Columns {
			if len(c.Results) != n || c.Results[i].Probe != p.Name {
				t.Fatalf("%s: result %d is %+v", c.Title, i, c.Results[i])
			}
		}
	}
	if diff := cmp.Diff(r.Columns[2].Results, got.Columns[2].Results, cmpopts.EquateComparable(syscall.Errno(0))); diff != "" {
		t.Error(diff)
	}
	if v := got.Columns[0].Results[3].Verdict; v != probe.Failed {
		t.Errorf("an unknown verdict became %s", v)
	}
	if r := got.Columns[1].Results[0]; r.Verdict != probe.Failed || r.Detail == "" {
		t.Errorf("a result that is not there became %+v", r)
	}
}

// TestJSONIsDocumented looks for a row of docs/probe.md for every field that is written.
func TestJSONIsDocumented(t *testing.T) {
	content, err := os.ReadFile("../../../docs/probe.md")
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal([]byte(written(t, report.FormatJSON, example(), options())), &v); err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	fields(v, names)
	if len(names) < 30 {
		t.Fatalf("only %d fields are written", len(names))
	}
	for name := range names {
		if !bytes.Contains(content, []byte("`"+name+"`")) {
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
