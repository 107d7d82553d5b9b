package report

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/internal/ui"
)

// gitHub writes workflow commands, which GitHub Actions shows beside the lines of a pull request.
type gitHub struct {
	out     *output
	options Options
}

func newGitHub(out *output, o Options) *gitHub { return &gitHub{out, o} }

// Document writes a command a finding.
func (g *gitHub) Document(doc *guard.Document) error {
	var b bytes.Buffer
	s := newSource(doc)
	for _, f := range doc.Findings {
		lines := []string{message(doc, f)}
		if f.Detail != "" {
			lines = append(lines, f.Detail)
		}
		if advice := advice(f); advice != "" {
			lines = append(lines, advice)
		}
		command := map[guard.Severity]string{guard.Error: "error", guard.Warning: "warning"}[f.Severity]
		if command == "" {
			command = "notice"
		}
		title := f.Rule + " " + nameOf(g.options.Rules, f.Rule)
		b.WriteString(workflowCommand(command, placed(s, f.Where), title, lines))
	}
	if why := failure(doc); why != "" {
		b.WriteString(workflowCommand("error", [][2]string{{"file", doc.Path}}, "not checked", []string{why}))
	}
	if b.Len() == 0 {
		return g.out.err
	}
	return g.out.write(b.Bytes())
}

// Close writes the summary into the log.
func (g *gitHub) Close(sum Summary) error { return g.out.write([]byte(sum.String() + "\n")) }

// advice is what to do about a finding.
func advice(f guard.Finding) string {
	switch {
	case len(f.Fixes) > 0:
		return "fix: " + f.Fixes[0].Title
	case f.Hint != "":
		return "fix: " + f.Hint
	}
	return ""
}

// placed are the properties for a place. Columns are of use within one line only.
func placed(s *source, l guard.Location) [][2]string {
	properties := [][2]string{{"file", l.Path}}
	if l.Line == 0 {
		return properties
	}
	r := s.region(l)
	properties = append(properties, [2]string{"line", strconv.Itoa(r.startLine)}, [2]string{"endLine", strconv.Itoa(r.endLine)})
	if r.startColumn > 0 && r.endLine == r.startLine {
		properties = append(properties, [2]string{"col", strconv.Itoa(r.startColumn)})
		if r.endColumn > 0 {
			properties = append(properties, [2]string{"endColumn", strconv.Itoa(r.endColumn)})
		}
	}
	return properties
}

// workflowCommand is ::error file=…,line=…,title=…::message.
func workflowCommand(name string, properties [][2]string, title string, lines []string) string {
	var b strings.Builder
	b.WriteString("::" + name)
	for i, p := range append(properties, [2]string{"title", title}) {
		separator := ","
		if i == 0 {
			separator = " "
		}
		b.WriteString(separator + p[0] + "=" + escapeProperty(p[1]))
	}
	var message []string
	for _, l := range lines {
		message = append(message, escapeData(l))
	}
	return b.String() + "::" + strings.Join(message, "%0A") + "\n"
}

// escapeData is how a runner wants a command's message.
func escapeData(s string) string {
	return ui.Clean(strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(s))
}

// escapeProperty is how a runner wants the value of a property.
func escapeProperty(s string) string {
	return ui.Clean(strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C").Replace(s))
}
