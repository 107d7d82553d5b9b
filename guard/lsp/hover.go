package lsp

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/deckhand-engine/deckhand/guard/rules"
)

// hover answers textDocument/hover: null where nothing was found.
func (s *server) hover(params *json.RawMessage) (answer, error) {
	var p hoverParams
	if err := decode(params, &p); err != nil {
		return nil, err
	}
	if p.Position == nil {
		return nil, invalidParams("there is no position")
	}
	i, err := s.inspected(p.TextDocument.URI)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (any, error) {
		if err := i.wait(ctx); err != nil {
			return nil, err
		}
		return i.explain(*p.Position, s.Page), nil
	}, nil
}

// explain says what is wrong at a place and why, and once for each rule what its page says; nil where nothing is.
func (i *inspection) explain(at position, page func(string) string) *hover {
	kind := markupMarkdown
	if i.client.plainHover {
		kind = markupPlain
	}
	var told []string
	var text, rest strings.Builder
	var where span
	for _, f := range i.found {
		if !i.touch(f.shown.Range, span{at, at}) {
			continue
		}
		if text.Len() == 0 || i.narrower(f.shown.Range, where) {
			where = f.shown.Range
		}
		text.WriteString(f.explanation(kind))
		if page != nil && !slices.Contains(told, f.Rule) {
			told = append(told, f.Rule)
			if p := strings.TrimSpace(page(f.Rule)); p != "" {
				rest.WriteString("---\n\n" + p + "\n\n")
			}
		}
	}
	if text.Len() == 0 {
		return nil
	}
	return &hover{Contents: markup{kind, strings.TrimSpace(text.String() + rest.String())}, Range: where}
}

// narrower reports whether a range is the shorter one.
func (i *inspection) narrower(a, b span) bool {
	aStart, aEnd := i.text.offsets(a)
	bStart, bEnd := i.text.offsets(b)
	return aEnd-aStart < bEnd-bStart
}

// explanation is what a finding says of itself.
func (f finding) explanation(kind string) string {
	plain := kind == markupPlain
	title := f.Rule
	if r, ok := rules.ByID(f.Rule); ok {
		title += " " + r.Name
	}
	title += " (" + f.Severity.String() + ")"
	if !plain {
		title = "**" + title + "**"
	}
	parts := []string{title + ": " + prose(f.shown.Message, plain)}
	for _, more := range []string{f.Detail, f.Hint} {
		if more != "" {
			parts = append(parts, prose(more, plain))
		}
	}
	return strings.Join(parts, "\n\n") + "\n\n"
}

// prose keeps a sentence, which may quote the document, from being read as Markdown.
func prose(sentence string, plain bool) string {
	if plain {
		return sentence
	}
	var b strings.Builder
	for _, r := range sentence {
		if strings.ContainsRune("\\`*_[]<>#&|~", r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}
