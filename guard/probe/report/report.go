// Package report writes what the battery found in an image: a table for people, JSON, SARIF and a page of HTML.
//
// What comes from an image or the command line is written so that it cannot drive a terminal or break out of the
// format. The package is apart from guard/probe because the program inside the container has no use for it.
package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/deckhand-engine/deckhand/guard/probe"
)

// The formats.
const (
	FormatTable = "table"
	FormatJSON  = "json"
	FormatSARIF = "sarif"
	FormatHTML  = "html"
)

// Formats lists the formats, the default first.
func Formats() []string { return []string{FormatTable, FormatJSON, FormatSARIF, FormatHTML} }

// Kind says why a column is there.
type Kind string

// The kinds.
const (
	KindImage   Kind = "image"           // with the image's own user
	KindUser    Kind = "user"            // with a user that was asked for
	KindProfile Kind = "profile"         // with what a profile says
	KindDocker  Kind = "docker-defaults" // with what docker gives
)

// Column is one run of the battery, and why it was run.
type Column struct {
	probe.Column
	Kind  Kind
	Asked string // the user as typed, or the profile's directory; else empty
}

// Report is what is known of an image.
type Report struct {
	Image   string // as typed
	ImageID string
	Columns []Column // those with more privileges first
}

// Options are what formats may ask for. The zero value works.
type Options struct {
	Colour  bool                     // table: ANSI colours
	Width   int                      // table: cells; 0: as many as it takes
	All     bool                     // table: also what is denied everywhere
	Hints   []string                 // table: lines that say what to type next
	Version string                   // of deckhand
	Page    func(name string) string // a probe's page, in Markdown; nil: there are none
}

// Write writes the report in one of the [Formats].
func Write(w io.Writer, format string, r *Report, o Options) error {
	if o.Page == nil {
		o.Page = func(string) string { return "" }
	}
	switch format {
	case FormatTable:
		return writeTable(w, r, o)
	case FormatJSON:
		return writeJSON(w, r, o)
	case FormatSARIF:
		return writeSARIF(w, r, o)
	case FormatHTML:
		return writeHTML(w, r, o)
	}
	return fmt.Errorf("%q is no format: %s", format, strings.Join(Formats(), ", "))
}

// pages is where the pages of the probes are, PROBE.md.
const pages = "https://github.com/deckhand-engine/deckhand/blob/main/docs/probes/"

// change is what the step from one column to the next does.
type change struct {
	From, To *Column
	probe.Change
}

// changes are the steps from each column to the next.
func (r *Report) changes() []change {
	var all []change
	for i := 1; i < len(r.Columns); i++ {
		from, to := &r.Columns[i-1], &r.Columns[i]
		all = append(all, change{from, to, probe.Compare(&from.Column, &to.Column)})
	}
	return all
}

// failure is a probe that could not be carried out.
type failure struct {
	Probe, Column, Why string
}

func (r *Report) failures() []failure {
	var all []failure
	for i := range r.Columns {
		all = append(all, r.Columns[i].failures()...)
	}
	return all
}

func (c *Column) failures() []failure {
	var all []failure
	for _, p := range probe.Probes() {
		if res := c.Of(p.Name); verdict(res) == probe.Failed {
			all = append(all, failure{p.Name, c.Title, res.Detail})
		}
	}
	return all
}

// verdict is a result's; one that is not known is none to rely on.
func verdict(r probe.Result) probe.Verdict {
	switch r.Verdict {
	case probe.Allowed, probe.Denied, probe.Absent:
		return r.Verdict
	default:
		return probe.Failed
	}
}

// counts is "33 of 78 allowed: 19 high, 10 medium, 4 low".
func counts(t probe.Tally) string {
	text := fmt.Sprintf("%d of %d allowed", t.Allowed, t.Probes)
	var parts []string
	for _, n := range []struct {
		count    int
		severity probe.Severity
	}{{t.High, probe.High}, {t.Medium, probe.Medium}, {t.Low, probe.Low}} {
		if n.count > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n.count, n.severity))
		}
	}
	if len(parts) > 0 {
		text += ": " + strings.Join(parts, ", ")
	}
	if t.Failed > 0 {
		text += fmt.Sprintf("; %d not tried", t.Failed)
	}
	return text
}

// families are the probes in the catalogue's order, family by family.
func families() [][]probe.Probe {
	var all [][]probe.Probe
	for _, p := range probe.Probes() {
		if n := len(all); n == 0 || all[n-1][0].Family != p.Family {
			all = append(all, nil)
		}
		all[len(all)-1] = append(all[len(all)-1], p)
	}
	return all
}
