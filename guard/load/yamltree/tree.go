// Package yamltree reads YAML and JSON into values that know where they stand: every value has an exact range of
// lines and columns, also behind anchors, aliases and merge keys. What a value means is left to the caller.
//
// It never expands aliases by itself; what does, [Node.JSON] and [Node.Pairs], is bounded. Trees are not safe for
// use by several goroutines.
package yamltree

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"sort"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"github.com/deckhand-engine/deckhand/guard"
)

// maxPairs bounds the pairs that merge keys bring into the mappings of one document.
const maxPairs = 1 << 18

// Options are how YAML is understood. The zero value is YAML 1.2 as most programs have it: a key of a mapping goes
// before what merge keys bring.
type Options struct {
	// Ordered lets later keys win, also over earlier ones of the same mapping, be they merged or not. That is what
	// Kubernetes' tools do.
	Ordered bool
}

// Tree is a text: a stream of documents.
type Tree struct {
	path      string
	source    []byte
	lines     []int // offsets of the lines, as a Location counts them
	options   Options
	documents []Node
}

// document is one document of a stream, with what locating its values needs.
type document struct {
	tree   *Tree
	source []byte
	offset int   // of source in the tree's
	lines  []int // offsets of the lines in source, as YAML counts them
	merged map[*yaml.Node][]pair
	left   int // pairs that may still be merged
}

// Parse reads a stream. A document that is no YAML does not keep those before and behind it from being read: the
// first such error is a *guard.SyntaxError beside the tree of the others, which is never nil.
func Parse(path string, source []byte, o Options) (*Tree, error) {
	t := &Tree{path: path, source: source, options: o, lines: newlines(source)}
	if bytes.HasPrefix(source, []byte("\xff\xfe")) || bytes.HasPrefix(source, []byte("\xfe\xff")) {
		return t, &guard.SyntaxError{Line: 1, Text: "the text is UTF-16: write it as UTF-8"}
	}
	var first error
	for _, part := range split(source) {
		if err := t.read(part); err != nil && first == nil {
			first = err
		}
	}
	return t, first
}

// Documents are the roots of the documents, empty ones left out.
func (t *Tree) Documents() []Node { return t.documents }

// read adds the documents of one part.
func (t *Tree) read(p part) error {
	d := &document{
		tree: t, source: t.source[p.start:p.end], offset: p.start,
		merged: map[*yaml.Node][]pair{}, left: maxPairs,
	}
	text := d.source
	switch {
	case p.json:
		text = withoutSurrogates(text)
	case p.version >= 0: // the parser knows 1.1 only, and 1.2 makes no difference to what we read
		text = bytes.Clone(text)
		text[p.version-p.start] = '#'
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var root yaml.Node
		err := decoder.Decode(&root)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return t.syntaxError(d, err)
		}
		if d.lines == nil {
			d.lines = breaks(d.source)
		}
		if n := (Node{doc: d, value: &root}); n.Kind() != None && n.Kind() != Null {
			t.documents = append(t.documents, n)
		}
	}
}

// part is a piece of the text that can be parsed by itself.
type part struct {
	start, end int
	version    int // offset of a %YAML directive; negative: there is none
	json       bool
}

// split cuts the text at its document markers, which cannot stand at the start of a line inside of a value. The
// values of a JSON stream are cut where they end, for they have no markers.
func split(source []byte) []part {
	if parts := splitJSON(source); parts != nil {
		return parts
	}
	var parts []part
	next, directives, content := part{version: -1}, false, false
	for at := 0; at < len(source); {
		end := lineEnd(source, at)
		switch line := source[at:end]; {
		case marker(line):
			if at > next.start && (content || !directives) {
				next.end = at
				parts = append(parts, next)
				next = part{start: at, version: -1}
			}
			directives, content = false, true
		case line[0] == '%' && !content:
			directives = true
			if bytes.HasPrefix(line, []byte("%YAML ")) {
				next.version = at
			}
		default:
			content = content || !blank(line)
		}
		at = end
	}
	next.end = len(source)
	return append(parts, next)
}

// lineEnd is the offset behind the line that begins at an offset.
func lineEnd(source []byte, at int) int {
	if i := bytes.IndexByte(source[at:], '\n'); i >= 0 {
		return at + i + 1
	}
	return len(source)
}

// blank reports whether a line is empty, or a comment from its first column on.
func blank(line []byte) bool { return line[0] == '#' || len(bytes.TrimSpace(line)) == 0 }

// marker reports whether a line begins a document.
func marker(line []byte) bool {
	rest, ok := bytes.CutPrefix(line, []byte("---"))
	return ok && (len(rest) == 0 || bytes.IndexByte([]byte(" \t\r\n"), rest[0]) >= 0)
}

// splitJSON cuts a stream of JSON objects; nil: it is none.
func splitJSON(source []byte) []part {
	if trimmed := bytes.TrimLeft(source, " \t\r\n"); len(trimmed) == 0 || trimmed[0] != '{' {
		return nil
	}
	var parts []part
	decoder := json.NewDecoder(bytes.NewReader(source))
	start := 0
	for {
		var value json.RawMessage
		err := decoder.Decode(&value)
		if errors.Is(err, io.EOF) && len(parts) > 0 {
			parts[len(parts)-1].end = len(source)
			return parts
		}
		if err != nil {
			return nil
		}
		end := int(decoder.InputOffset())
		parts = append(parts, part{start: start, end: end, version: -1, json: true})
		start = end
	}
}

// withoutSurrogates replaces the surrogates that JSON's escapes may name, and YAML's may not, by the replacement
// character. Nothing moves.
func withoutSurrogates(text []byte) []byte {
	if !bytes.Contains(text, []byte(`\ud`)) && !bytes.Contains(text, []byte(`\uD`)) {
		return text
	}
	text = bytes.Clone(text)
	for i := 0; i+5 < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		if text[i+1] == 'u' && (text[i+2]|0x20) == 'd' && text[i+3] >= '8' {
			copy(text[i:], `\uFFFD`)
		}
		i++ // what is escaped is no backslash
	}
	return text
}

// newlines are the offsets of the lines, as a Location counts them.
func newlines(source []byte) []int {
	lines := []int{0}
	for i, c := range source {
		if c == '\n' {
			lines = append(lines, i+1)
		}
	}
	return lines
}

// breaks are the offsets of the lines as YAML counts them: behind CR, LF, CR LF, NEL, LS and PS.
func breaks(source []byte) []int {
	first := 0
	if bytes.HasPrefix(source, []byte("\ufeff")) { // has no column
		first = len("\ufeff")
	}
	lines := []int{first}
	for i := range source {
		switch c := source[i]; {
		case c == '\n', c == '\r' && (i+1 == len(source) || source[i+1] != '\n'):
			lines = append(lines, i+1)
		case c == 0xc2 || c == 0xe2:
			r, size := utf8.DecodeRune(source[i:])
			if r == '\u0085' || r == '\u2028' || r == '\u2029' {
				lines = append(lines, i+size)
			}
		}
	}
	return lines
}

// place is the line and column of an offset.
func (t *Tree) place(offset int) (line, column int) {
	line = sort.SearchInts(t.lines, offset+1)
	return line, offset - t.lines[line-1] + 1
}

// location is the range between two offsets.
func (t *Tree) location(start, end int) guard.Location {
	l := guard.Location{Path: t.path}
	l.Line, l.Column = t.place(start)
	l.EndLine, l.EndColumn = t.place(max(start, end))
	return l
}

// HasKey reports whether a line, without anything before it, begins with a key, plain or in quotes.
func HasKey(line []byte, key string) bool {
	quote := line[:0]
	if len(line) > 0 && (line[0] == '"' || line[0] == '\'') {
		quote, line = line[:1], line[1:]
	}
	rest, ok := bytes.CutPrefix(line, []byte(key))
	if ok {
		rest, ok = bytes.CutPrefix(rest, quote)
	}
	return ok && bytes.HasPrefix(bytes.TrimLeft(rest, " \t"), []byte(":"))
}
