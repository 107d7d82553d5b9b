package lsp

import (
	"errors"
	"slices"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/check"
)

// pages is where the rules' pages can be read.
const pages = "https://github.com/deckhand-engine/deckhand/blob/main/docs/rules/"

// sourceName stands beside the findings in the editor.
const sourceName = "deckhand"

// notChecked is the rule of documents that cannot be read as what they are.
const notChecked = "DH000"

// finding is what was found, and how it is shown.
type finding struct {
	guard.Finding
	shown diagnostic
}

// findings are those of a document. A text that is nothing to check has none.
func (i *inspection) findings(doc *guard.Document) []finding {
	all := doc.Findings
	if doc.Err != nil {
		if errors.Is(doc.Err, check.ErrUnknownKind) {
			return nil
		}
		all = append(slices.Clip(all), guard.Finding{Rule: notChecked, Severity: guard.Warning, Message: doc.Err.Error()})
	}
	found := make([]finding, 0, len(all))
	for _, f := range all {
		if f.Severity == guard.Off {
			continue
		}
		found = append(found, finding{f, i.diagnostic(f)})
	}
	return found
}

// diagnostic shows a finding. One that is in another file is shown at the start, with the place in words.
func (i *inspection) diagnostic(f guard.Finding) diagnostic {
	where, message := f.Where, f.Message
	if !i.here(where) {
		message += " (" + where.String() + ")"
		where = guard.Location{}
	}
	if f.Subject != "" && where.Line == 0 {
		message = f.Subject + ": " + message
	}
	return diagnostic{
		Range:           i.text.span(where),
		Severity:        severity(f.Severity),
		Code:            f.Rule,
		CodeDescription: &codeDescription{Href: pages + f.Rule + ".md"},
		Source:          sourceName,
		Message:         message,
	}
}

// here reports whether a location is in the text itself.
func (i *inspection) here(l guard.Location) bool { return l.Path == "" || l.Path == i.source.Path }

// severity is the DiagnosticSeverity.
func severity(s guard.Severity) int {
	switch s {
	case guard.Error:
		return 1
	case guard.Warning:
		return 2
	case guard.Info, guard.Off:
	}
	return 3
}
