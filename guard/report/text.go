package report

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/internal/ui"
)

// text is for people.
type text struct {
	out     *output
	options Options
	told    map[string]bool // rules whose page was named
}

func newText(out *output, o Options) *text {
	return &text{out, o, map[string]bool{}}
}

// Document writes the findings of a document. One without any writes nothing.
func (t *text) Document(doc *guard.Document) error {
	var b bytes.Buffer
	s := newSource(doc)
	for _, f := range doc.Findings {
		t.finding(&b, s, f, message(doc, f))
	}
	if why := failure(doc); why != "" {
		place := guard.Location{Path: doc.Path}
		_, _ = fmt.Fprintf(&b, "%s %s: %s\n", t.place(place), t.paint(ui.Red, "not checked"), ui.Clean(why)) // a Buffer takes all
		if what := remedy(doc.Err); what != "" {
			b.WriteString("  fix: " + ui.Clean(what) + "\n")
		}
		b.WriteByte('\n')
	}
	if b.Len() == 0 {
		return t.out.err
	}
	return t.out.write(b.Bytes())
}

// remedy is what an error says can be done about it.
func remedy(err error) string {
	var advised interface{ Advice() string }
	if errors.As(err, &advised) {
		return advised.Advice()
	}
	return ""
}

// finding writes one finding and an empty line.
func (t *text) finding(b *bytes.Buffer, s *source, f guard.Finding, what string) {
	style := severityStyle(f.Severity)
	b.WriteString(t.place(f.Where) + " " + t.paint(style, f.Severity.String()) + " " +
		f.Rule + " " + nameOf(t.options.Rules, f.Rule) + ": " + t.paint(ui.Bold, ui.Clean(what)) + "\n")
	t.excerpt(b, s.excerpt(f.Where, t.options.Width-9), style)
	if f.Detail != "" {
		b.WriteString("  why: " + ui.Clean(f.Detail) + "\n")
	}
	switch {
	case len(f.Fixes) > 0:
		t.fix(b, s, f.Fixes[0])
		if f.Hint != "" {
			b.WriteString("  hint: " + ui.Clean(f.Hint) + "\n")
		}
	case f.Hint != "":
		b.WriteString("  fix: " + ui.Clean(f.Hint) + "\n")
	}
	if !t.told[f.Rule] {
		t.told[f.Rule] = true
		b.WriteString(t.paint(ui.Faint, "  more: deckhand check --explain "+f.Rule) + "\n")
	}
	b.WriteByte('\n')
}

// excerpt writes lines of the document, with what is meant marked.
func (t *text) excerpt(b *bytes.Buffer, rows []row, style ui.Style) {
	if len(rows) == 0 {
		return
	}
	width := gutter(rows)
	for _, r := range rows {
		mark, number := " ", strconv.Itoa(r.number)
		switch {
		case r.number == 0:
			number = "…"
		case r.marks == "":
			mark = t.paint(style, ">")
		}
		pad := strings.Repeat(" ", width-ui.Width(number))
		b.WriteString(" " + mark + pad + t.paint(ui.Faint, number+" |") + space(r.text) + "\n")
		if r.marks != "" {
			b.WriteString(strings.Repeat(" ", width+3) + t.paint(ui.Faint, "|") + space(t.paint(style, r.marks)) + "\n")
		}
	}
}

// space puts a space before what is not empty, so that no line ends with one.
func space(s string) string {
	if s == "" {
		return ""
	}
	return " " + s
}

// fix writes a fix like a diff.
func (t *text) fix(b *bytes.Buffer, s *source, fix guard.Fix) {
	b.WriteString("  fix: " + ui.Clean(fix.Title))
	if fix.Safe {
		b.WriteString(" (deckhand check --fix does it)")
	}
	b.WriteByte('\n')
	changes := s.changes(fix)
	rest := len(changes) - maxDiffLines
	if rest > 0 {
		changes = changes[:maxDiffLines]
	}
	for _, c := range changes {
		line, _ := render(c.text, c.from, c.from, max(t.options.Width-9, minCells))
		style := ui.Green
		if c.sign == '-' {
			style = ui.Red
		}
		b.WriteString("       " + t.paint(style, string(c.sign)+space(line)) + "\n")
	}
	if rest > 0 {
		_, _ = fmt.Fprintf(b, "       … and %d more lines\n", rest) // a Buffer takes all
	}
}

// Close writes the summary.
func (t *text) Close(sum Summary) error {
	return t.out.write([]byte(sum.String() + "\n"))
}

// String is the summary in a line.
func (s Summary) String() string {
	if s.Documents == 0 {
		return "nothing to check"
	}
	var found []string
	for _, n := range []struct {
		count int
		one   string
	}{{s.Errors, "error"}, {s.Warnings, "warning"}, {s.Infos, "info"}} {
		if n.count > 0 {
			found = append(found, plural(n.count, n.one))
		}
	}
	line := "nothing found"
	if len(found) > 0 {
		line = strings.Join(found, ", ")
	}
	line += " in " + plural(s.Documents, "document")
	if s.Subjects > 0 {
		line += fmt.Sprintf(", %s: %d as root, %d not", runs(s.Subjects), s.Root, s.NotRoot)
		if s.Unknown > 0 {
			line += fmt.Sprintf(", %d unknown", s.Unknown)
		}
	}
	if s.Ignored > 0 {
		line += fmt.Sprintf("; %d ignored", s.Ignored)
	}
	if s.Failed > 0 {
		line += fmt.Sprintf("; %d not checked", s.Failed)
	}
	return line
}

func runs(n int) string {
	if n == 1 {
		return "1 thing that runs"
	}
	return strconv.Itoa(n) + " things that run"
}

func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + one + "s"
}

func (t *text) place(l guard.Location) string { return t.paint(ui.Bold, ui.Clean(l.String())) }

func (t *text) paint(style ui.Style, s string) string {
	if !t.options.Colour {
		return s
	}
	return "\x1b[" + string(style) + "m" + s + "\x1b[0m"
}

func severityStyle(s guard.Severity) ui.Style {
	switch s {
	case guard.Error:
		return ui.Red
	case guard.Warning:
		return ui.Yellow
	default:
		return ui.Blue
	}
}
