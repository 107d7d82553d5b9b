package policy

import (
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
)

// remarks are the findings about comments that do not hold or waive nothing.
func remarks(doc *guard.Document, comments []*comment) []guard.Finding {
	var found []guard.Finding
	for _, c := range comments {
		f := guard.Finding{Rule: ruleIgnore, Severity: guard.Warning, Where: c.at}
		unused := c.unused()
		switch {
		case c.problem != "":
			f.Message, f.Hint = c.problem, c.hint
		case len(unused) == 0 || doc.Err != nil:
			continue
		default:
			f.Severity = guard.Info
			f.Message = "this ignore waives nothing: " + strings.Join(unused, ", ") + " is not found " + c.place()
			if len(unused) == len(c.rules) && c.alone {
				f.Fixes = []guard.Fix{{Title: "remove the comment", Edits: []guard.Edit{removal(doc.Source, c.at.Line)}}}
			} else {
				f.Hint = "remove it, or only " + strings.Join(unused, ", ")
			}
		}
		found = append(found, f)
	}
	return found
}

// unused are the rules of which the comment waived no finding.
func (c *comment) unused() []string {
	var ids []string
	for i, id := range c.rules {
		if c.problem == "" && !c.used[i] {
			ids = append(ids, id)
		}
	}
	return ids
}

// place is where the comment was to waive something.
func (c *comment) place() string {
	switch {
	case c.whole:
		return "in this file"
	case c.from == 0:
		return "because nothing follows directly below"
	}
	return "where it stands"
}

// removal takes a line away. It is not a safe fix: what is unused today, as in a check without network, may be
// needed tomorrow.
func removal(source []byte, line int) guard.Edit {
	at := guard.Location{Line: line, Column: 1, EndLine: line + 1, EndColumn: 1}
	if _, ok := guard.Offset(source, line+1, 1); !ok {
		at.EndLine, at.EndColumn = line, len(lineOf(source, line))+1
	}
	return guard.Edit{At: at}
}
