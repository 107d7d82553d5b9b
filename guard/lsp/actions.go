package lsp

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/policy"
)

// codeAction answers textDocument/codeAction.
func (s *server) codeAction(params *json.RawMessage) (answer, error) {
	var p codeActionParams
	if err := decode(params, &p); err != nil {
		return nil, err
	}
	if p.Range == nil {
		return nil, invalidParams("there is no range")
	}
	i, err := s.inspected(p.TextDocument.URI)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (any, error) {
		if err := i.wait(ctx); err != nil {
			return nil, err
		}
		return i.actions(*p.Range, p.Context.Only), nil
	}, nil
}

// actions are what can be done in a range: fixes first, then ignores, then all safe fixes of the text.
func (i *inspection) actions(at span, only []string) []codeAction {
	actions := []codeAction{}
	if wanted(only, kindQuickFix) {
		var touched []finding
		for _, f := range i.found {
			if i.touch(f.shown.Range, at) {
				touched = append(touched, f)
			}
		}
		for _, f := range touched {
			actions = append(actions, i.fixes(f)...)
		}
		actions = append(actions, i.ignores(touched)...)
	}
	if wanted(only, kindFixAll) {
		actions = append(actions, i.fixAll()...)
	}
	return actions
}

// wanted reports whether a client asked for actions of a kind, or of one above it.
func wanted(only []string, kind string) bool {
	return len(only) == 0 || slices.ContainsFunc(only, func(o string) bool {
		return o == "" || kind == o || strings.HasPrefix(kind, o+".")
	})
}

// touch reports whether two ranges have a place in common; their ends count, where a cursor may be.
func (i *inspection) touch(a, b span) bool {
	aStart, aEnd := i.text.offsets(a)
	bStart, bEnd := i.text.offsets(b)
	return aStart <= bEnd && bStart <= aEnd
}

// fixes are the quick fixes of a finding.
func (i *inspection) fixes(f finding) []codeAction {
	var actions []codeAction
	preferred := slices.IndexFunc(f.Fixes, func(x guard.Fix) bool { return x.Safe })
	for n, x := range f.Fixes {
		edit, ok := i.workspaceEdit(x.Edits)
		if !ok {
			continue
		}
		title := capital(x.Title)
		if !x.Safe {
			title += " (prove it with: deckhand harden)"
		}
		actions = append(actions, codeAction{
			Title: title, Kind: kindQuickFix, Diagnostics: []diagnostic{f.shown}, IsPreferred: n == preferred, Edit: edit,
		})
	}
	return actions
}

// ignores put a comment above what was found, once for each rule and place. It holds when somebody writes a reason.
func (i *inspection) ignores(touched []finding) []codeAction {
	var actions []codeAction
	var seen []guard.Edit
	for _, f := range touched {
		comment, ok := policy.Ignore(i.result, f.Finding)
		if !ok || !i.here(f.Where) || slices.Contains(seen, comment) {
			continue
		}
		edit, ok := i.workspaceEdit([]guard.Edit{comment})
		if !ok {
			continue
		}
		seen = append(seen, comment)
		actions = append(actions, codeAction{
			Title: "Ignore " + f.Rule + " here (give a reason)", Kind: kindQuickFix, Diagnostics: []diagnostic{f.shown}, Edit: edit,
		})
	}
	return actions
}

// fixAll makes all safe fixes of the text that do not stand in each other's way, if there are any.
func (i *inspection) fixAll() []codeAction {
	var safe []finding // with that fix only
	var all []guard.Edit
	for _, f := range i.found {
		if n := slices.IndexFunc(f.Fixes, func(x guard.Fix) bool { return x.Safe }); n >= 0 {
			f.Fixes = f.Fixes[n : n+1]
			safe = append(safe, f)
			all = append(all, f.Fixes[0].Edits...)
		}
	}
	if _, err := guard.Apply(i.source.Data, all); err != nil {
		safe, all = i.compatible(safe)
	}
	edit, ok := i.workspaceEdit(all)
	if !ok {
		return nil
	}
	fixed := make([]diagnostic, len(safe))
	for n, f := range safe {
		fixed[n] = f.shown
	}
	return []codeAction{{Title: "Make all safe fixes of deckhand", Kind: kindFixAll, Diagnostics: fixed, Edit: edit}}
}

// compatible leaves out the findings whose fix overlaps with one before; it is found again when that is made.
func (i *inspection) compatible(safe []finding) (kept []finding, edits []guard.Edit) {
	for _, f := range safe {
		more := append(slices.Clip(edits), f.Fixes[0].Edits...)
		if _, err := guard.Apply(i.source.Data, more); err == nil {
			kept, edits = append(kept, f), more
		}
	}
	return kept, edits
}

// workspaceEdit says edits as the client understands them. It is false where there are none, where the text has no
// such places, and for edits of other files.
func (i *inspection) workspaceEdit(edits []guard.Edit) (workspaceEdit, bool) {
	var texts []textEdit
	for _, e := range edits {
		t, ok := i.text.edit(e)
		if !ok || !i.here(e.At) {
			return workspaceEdit{}, false
		}
		if !slices.Contains(texts, t) {
			texts = append(texts, t)
		}
	}
	if len(texts) == 0 {
		return workspaceEdit{}, false
	}
	if !i.client.documentChanges {
		return workspaceEdit{Changes: map[string][]textEdit{i.uri: texts}}, true
	}
	d := documentEdit{Edits: texts}
	d.TextDocument.URI, d.TextDocument.Version = i.uri, i.version
	return workspaceEdit{DocumentChanges: []documentEdit{d}}, true
}

// capital writes a sentence's first letter large.
func capital(sentence string) string {
	r, size := utf8.DecodeRuneInString(sentence)
	return string(unicode.ToUpper(r)) + sentence[size:]
}
