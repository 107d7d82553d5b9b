package report

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/deckhand-engine/deckhand/guard/probe"
	"github.com/deckhand-engine/deckhand/internal/ui"
)

// The shape of the table, in cells.
const (
	severityWidth = 6  // "medium"
	maxTitle      = 28 // of a column's
	maxShortTitle = 16 // where there is no room
	gap           = "  "
)

// table is for people.
type table struct {
	out     strings.Builder
	report  *Report
	options Options
	name    int   // width of the probes' names
	columns []int // widths
	short   bool  // there is no room for what decided
}

func writeTable(w io.Writer, r *Report, o Options) error {
	t := &table{report: r, options: o}
	t.measure()
	t.heading()
	folded := 0
	for _, family := range families() {
		folded += t.family(family)
	}
	if folded > 0 {
		t.out.WriteString("\n" + t.paint(ui.Faint, fmt.Sprintf("not shown: %d that are allowed nowhere (--all shows them)", folded)) + "\n")
	}
	t.summary()
	for _, c := range r.changes() {
		t.change(c)
	}
	t.footer()
	_, err := io.WriteString(w, t.out.String())
	return err
}

// measure decides on widths: what decided is left out where that makes the table fit.
func (t *table) measure() {
	for _, p := range probe.Probes() {
		t.name = max(t.name, len(p.Name))
	}
	if t.fit(); t.options.Width > 0 && t.width() > t.options.Width {
		t.short = true
		t.fit()
	}
}

func (t *table) fit() {
	t.columns = nil
	for i := range t.report.Columns {
		c := &t.report.Columns[i]
		width := ui.Width(t.header(c))
		for _, p := range probe.Probes() {
			width = max(width, ui.Width(t.cell(c.Of(p.Name))))
		}
		t.columns = append(t.columns, width)
	}
}

// width is the table's.
func (t *table) width() int {
	n := len(gap) + severityWidth + len(gap) + t.name
	for _, w := range t.columns {
		n += len(gap) + w
	}
	return n
}

// header is a column's title, shortened. The summary has all of it.
func (t *table) header(c *Column) string {
	cells := maxTitle
	if t.short {
		cells = maxShortTitle
	}
	title := []rune(ui.Clean(c.Title))
	if ui.Width(string(title)) <= cells {
		return string(title)
	}
	for ui.Width(string(title)) >= cells {
		title = title[:len(title)-1]
	}
	return string(title) + "…"
}

func (t *table) heading() {
	t.out.WriteString(ui.Clean(t.report.Image) + ": what an attacker could do who executes code in its containers\n\n")
	titles := []string{strings.Repeat(" ", len(gap)+severityWidth+len(gap)+t.name)}
	for i := range t.report.Columns {
		titles = append(titles, pad(t.header(&t.report.Columns[i]), t.columns[i]))
	}
	t.out.WriteString(t.paint(ui.Bold, strings.TrimRight(strings.Join(titles, gap), " ")) + "\n")
}

// family writes the rows of a family, and returns how many it has left out.
func (t *table) family(all []probe.Probe) (folded int) {
	begun := false
	for _, p := range all {
		if !t.options.All && t.isFolded(p) {
			folded++
			continue
		}
		if !begun {
			t.out.WriteString(string(p.Family) + "\n")
			begun = true
		}
		t.row(p)
	}
	return folded
}

// isFolded reports whether a row says nothing: the same in all columns, and not allowed.
func (t *table) isFolded(p probe.Probe) bool {
	first := verdict(t.report.Columns[0].Of(p.Name))
	for i := range t.report.Columns {
		if v := verdict(t.report.Columns[i].Of(p.Name)); v != first || v == probe.Allowed || v == probe.Failed {
			return false
		}
	}
	return true
}

func (t *table) row(p probe.Probe) {
	t.out.WriteString(gap + pad(string(p.Severity), severityWidth) + gap + pad(p.Name, t.name))
	for i := range t.report.Columns {
		r := t.report.Columns[i].Of(p.Name)
		text := t.cell(r)
		t.out.WriteString(gap + t.paint(cellStyle(p, r), text))
		if i < len(t.columns)-1 {
			t.out.WriteString(strings.Repeat(" ", t.columns[i]-ui.Width(text)))
		}
	}
	t.out.WriteString("\n")
}

// cell is a result in a word or two. What is allowed stands out without colours too.
func (t *table) cell(r probe.Result) string {
	switch v := verdict(r); {
	case v == probe.Allowed:
		return "ALLOWED"
	case v == probe.Denied && r.By != "" && !t.short:
		return "denied: " + ui.Clean(string(r.By))
	default:
		return string(v)
	}
}

func cellStyle(p probe.Probe, r probe.Result) ui.Style {
	switch verdict(r) {
	case probe.Allowed:
		return severityStyle(p.Severity)
	case probe.Failed:
		return ui.Yellow
	default:
		return ui.Faint
	}
}

func severityStyle(s probe.Severity) ui.Style {
	switch s {
	case probe.High:
		return ui.Red
	case probe.Medium:
		return ui.Yellow
	default:
		return ui.Blue
	}
}

// summary has a line for each column, and one for each probe that failed.
func (t *table) summary() {
	width := 0
	for i := range t.report.Columns {
		width = max(width, ui.Width(ui.Clean(t.report.Columns[i].Title)))
	}
	t.out.WriteString("\n")
	for i := range t.report.Columns {
		c := &t.report.Columns[i]
		t.out.WriteString(t.paint(ui.Bold, pad(ui.Clean(c.Title), width)) + gap + aligned(c.Tally()) + "\n")
	}
	for _, f := range t.report.failures() {
		t.out.WriteString(t.paint(ui.Yellow, "not tried: ") + f.Probe + ", " + ui.Clean(f.Column) + ": " + ui.Clean(f.Why) + "\n")
	}
}

// aligned is the counts with their first number below that of others.
func aligned(t probe.Tally) string {
	return strings.Repeat(" ", len(strconv.Itoa(t.Probes))-len(strconv.Itoa(t.Allowed))) + counts(t)
}

// change says what the step to a column takes away.
func (t *table) change(c change) {
	from, to := ui.Clean(c.From.Title), ui.Clean(c.To.Title)
	if len(c.Lost)+len(c.Gained) == 0 {
		t.out.WriteString("\nthe same is allowed: " + from + ", " + to + "\n")
		return
	}
	t.list("no longer possible", ui.Green, from+" -> "+to, c.Lost)
	t.list("possible now", ui.Red, from+" -> "+to, c.Gained)
}

func (t *table) list(what string, style ui.Style, step string, all []probe.Probe) {
	if len(all) == 0 {
		return
	}
	t.out.WriteString("\n" + t.paint(ui.Bold, step) + ", " + t.paint(style, fmt.Sprintf("%s: %d", what, len(all))) + "\n")
	for _, p := range all {
		t.out.WriteString(gap + pad(string(p.Severity), severityWidth) + gap + pad(p.Name, t.name) + gap + p.Title + "\n")
	}
}

// footer says where to read on, and what to type.
func (t *table) footer() {
	t.out.WriteString("\n" + t.paint(ui.Faint, "what a line means:  docs/probes, or --format html") + "\n")
	for _, h := range t.options.Hints {
		t.out.WriteString(ui.Clean(h) + "\n")
	}
}

func (t *table) paint(style ui.Style, s string) string {
	if !t.options.Colour || s == "" {
		return s
	}
	return "\x1b[" + string(style) + "m" + s + "\x1b[0m"
}

func pad(s string, cells int) string {
	return s + strings.Repeat(" ", max(0, cells-ui.Width(s)))
}
