package policy

import (
	"bytes"
	"slices"

	"github.com/deckhand-engine/deckhand/guard"
)

// Ignore is the edit that puts a comment for a finding above the instruction it is about, or above its line. It holds
// as soon as somebody writes a reason behind it. False: there can be no such comment, as in JSON, or it would not
// help, as for a text that cannot be read.
func Ignore(doc *guard.Document, f guard.Finding) (guard.Edit, bool) {
	lines := bytes.Split(doc.Source, []byte("\n"))
	at := f.Where.Line
	if at < 1 || at > len(lines) || f.Rule == "DH000" || f.Rule == ruleIgnore || isJSON(doc) {
		return guard.Edit{}, false
	}
	spans := styleOf(doc.Kind).spans(lines)
	if i := slices.IndexFunc(spans, func(p span) bool { return p.from <= at && at <= p.to }); i >= 0 {
		at = spans[i].from
	}
	line := lines[at-1]
	end := "\n"
	if bytes.HasSuffix(line, []byte("\r")) {
		end = "\r\n"
	}
	indentation := string(line[:len(line)-len(bytes.TrimLeft(line, " \t"))])
	return guard.Edit{
		At:   guard.Location{Path: doc.Path, Line: at, Column: 1, EndLine: at, EndColumn: 1},
		Text: indentation + "# " + marker + "=" + f.Rule + " " + end,
	}, true
}

// isJSON reports whether a document is JSON, which has no comments.
func isJSON(doc *guard.Document) bool {
	if doc.Kind != guard.KindKubernetes && doc.Kind != guard.KindCompose {
		return false
	}
	text := bytes.TrimSpace(doc.Source)
	return len(text) > 0 && (text[0] == '{' || text[0] == '[')
}
