package policy

import (
	"bytes"
	"slices"
	"strings"
	"unicode"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/rules"
)

// firstLines is how far down an ignore of a whole file may stand.
const firstLines = 20

// comment is an ignore in a document's comment.
type comment struct {
	at       guard.Location // the text from deckhand:ignore on
	whole    bool           // for the whole file
	alone    bool           // the line is nothing but the comment
	from, to int            // the lines it covers; 0: none
	rules    []string       // ids
	used     []bool         // parallel to rules
	reason   string
	// problem says why it does not hold, and hint what to write; empty: it holds.
	problem, hint string
}

// waiver is the comment that waives a finding; nil: none does. It remembers that it was of use.
func waiver(comments []*comment, f guard.Finding) *comment {
	var found *comment
	for _, c := range comments {
		if c.problem != "" || c.at.Path != f.Where.Path || !c.whole && (f.Where.Line < max(c.from, 1) || f.Where.Line > c.to) {
			continue
		}
		if i := slices.Index(c.rules, f.Rule); i >= 0 {
			c.used[i] = true
			if found == nil {
				found = c
			}
		}
	}
	return found
}

// scan finds the comments of a document.
func scan(doc *guard.Document, all []rules.Rule) []*comment {
	lines := bytes.Split(doc.Source, []byte("\n"))
	style := styleOf(doc.Kind)
	var found []*comment
	var spans []span
	for i, line := range lines {
		if !bytes.Contains(line, []byte(marker)) {
			continue
		}
		c := style.find(string(line))
		if c == nil {
			continue
		}
		if spans == nil {
			spans = style.spans(lines)
		}
		c.at.Path, c.at.Line, c.at.EndLine = doc.Path, i+1, i+1
		c.from, c.to = style.covered(lines, spans, c)
		c.read(string(line)[c.at.Column-1:c.at.EndColumn-1], all, style)
		found = append(found, c)
	}
	return found
}

// style is how comments of a kind of document are written.
type style struct {
	name       string // what such a document is called
	characters string // that begin a comment line
	trailing   bool   // a comment may stand behind something else
	spans      func(lines [][]byte) []span
}

func styleOf(kind guard.Kind) style {
	switch kind {
	case guard.KindCompose, guard.KindKubernetes:
		return style{"YAML", "#", true, func([][]byte) []span { return []span{} }}
	case guard.KindUnit, guard.KindQuadlet:
		return style{"a unit", "#;", false, unitSpans}
	default:
		return style{"a Dockerfile", "#", false, dockerfileSpans}
	}
}

// find finds an ignore in a line: its columns, and whether it has the line for itself.
func (s style) find(line string) *comment {
	line = strings.TrimRight(line, " \t\r")
	for start := 0; ; {
		i := strings.Index(line[start:], marker)
		if i < 0 {
			return nil
		}
		i += start
		before := strings.TrimRight(line[:i], " \t")
		opened := strings.TrimRight(before, s.characters)
		alone := strings.TrimLeft(opened, " \t") == ""
		if opened != before && (alone || strings.HasSuffix(opened, " ") || strings.HasSuffix(opened, "\t")) {
			return &comment{at: guard.Location{Column: i + 1, EndColumn: len(line) + 1}, alone: alone}
		}
		start = i + len(marker)
	}
}

// covered are the lines that a comment is about: its own; or, where it has the line for itself, those of the
// instruction it stands in, or of what follows its block of comments.
func (s style) covered(lines [][]byte, spans []span, c *comment) (from, to int) {
	if !c.alone {
		return c.at.Line, c.at.Line
	}
	if i := slices.IndexFunc(spans, func(p span) bool { return p.from < c.at.Line && c.at.Line <= p.to }); i >= 0 {
		return spans[i].from, spans[i].to
	}
	next := c.at.Line + 1
	for next <= len(lines) && s.comment(lines[next-1]) {
		next++
	}
	if next > len(lines) || len(bytes.TrimSpace(lines[next-1])) == 0 {
		return 0, 0
	}
	if i := slices.IndexFunc(spans, func(p span) bool { return p.from == next }); i >= 0 {
		return next, spans[i].to
	}
	return next, next
}

// comment reports whether a line is nothing but a comment.
func (s style) comment(line []byte) bool {
	trimmed := bytes.TrimLeft(line, " \t")
	return len(trimmed) > 0 && strings.IndexByte(s.characters, trimmed[0]) >= 0
}

// read reads what follows: =RULE[,RULE...] REASON, or -file=RULE[,RULE...] REASON.
func (c *comment) read(text string, all []rules.Rule, s style) {
	rest := strings.TrimPrefix(text, marker)
	rest, c.whole = strings.CutPrefix(rest, "-file")
	word := marker
	if c.whole {
		word += "-file"
	}
	rest, ok := strings.CutPrefix(rest, "=")
	names, reason := cutRules(rest)
	c.reason = reason
	switch {
	case !ok || len(names) == 0:
		c.fail("this ignore names no rule", "write "+word+"=RULE and the reason, as in # "+word+"=DH001 it drops root itself")
	case !c.name(names, all): // says so itself
	case !strings.ContainsFunc(reason, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }):
		c.fail("this ignore gives no reason, so it does not hold", "write why: # "+word+"="+strings.Join(names, ",")+" REASON")
	case c.whole && c.at.Line > firstLines:
		c.fail("this ignore is meant for the whole file, but does not stand in its first 20 lines", "move it up, or write "+marker+"="+strings.Join(names, ",")+" above the line it is about")
	case !c.whole && !c.alone && !s.trailing:
		c.fail(s.name+" has no comments behind something else on a line, so this ignore does not hold", "move it to a line of its own, directly above")
	}
}

// name finds the rules, and reports whether all of them exist.
func (c *comment) name(names []string, all []rules.Rule) bool {
	for _, name := range names {
		id := ruleID(all, name)
		if id == "" {
			c.fail("this ignore names "+name+", which is no rule", suggestRule(all, name))
			return false
		}
		if !slices.Contains(c.rules, id) {
			c.rules = append(c.rules, id)
		}
	}
	c.used = make([]bool, len(c.rules))
	return true
}

func (c *comment) fail(problem, hint string) { c.problem, c.hint = problem, hint }

// cutRules takes "DH001,DH005 reason" apart. Spaces may follow the commas.
func cutRules(text string) (names []string, reason string) {
	for {
		text = strings.TrimLeft(text, " \t")
		i := strings.IndexAny(text, ", \t")
		if i < 0 {
			i = len(text)
		}
		if i > 0 {
			names = append(names, text[:i])
		}
		text = text[i:]
		after := strings.TrimLeft(text, " \t")
		if i == 0 || after == "" || after[0] != ',' {
			return names, strings.TrimSpace(strings.TrimLeft(after, "-:–— \t"))
		}
		text = after[1:]
	}
}
