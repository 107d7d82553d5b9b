package report

import (
	"bytes"
	"unicode/utf8"

	"github.com/deckhand-engine/deckhand/guard"
)

// source finds the lines of a document.
type source struct {
	path string
	data []byte
	at   []int // where lines begin
}

func newSource(doc *guard.Document) *source {
	s := &source{path: doc.Path, data: doc.Source}
	if len(doc.Findings)+len(doc.Ignored) == 0 || len(doc.Source) == 0 {
		return s
	}
	for next := 0; next >= 0; {
		s.at = append(s.at, next)
		if n := bytes.IndexByte(s.data[next:], '\n'); n >= 0 {
			next += n + 1
		} else {
			next = -1
		}
	}
	return s
}

// has reports whether the place is in the document's text.
func (s *source) has(l guard.Location) bool {
	return l.Path == s.path && l.Line >= 1 && l.Line <= len(s.at)
}

// line is a line without its end; nil where there is none.
func (s *source) line(n int) []byte {
	if n < 1 || n > len(s.at) {
		return nil
	}
	rest := s.data[s.at[n-1]:]
	if i := bytes.IndexByte(rest, '\n'); i >= 0 {
		rest = rest[:i]
	}
	return bytes.TrimSuffix(rest, []byte("\r"))
}

// region is a place as editors count: columns in UTF-16 code units, from 1, the end exclusive. What is 0 is not
// known; startLine always is.
type region struct {
	startLine, startColumn, endLine, endColumn int
}

// region converts a location. That of a document as a whole is its first line.
func (s *source) region(l guard.Location) region {
	r := region{startLine: max(l.Line, 1), endLine: max(l.EndLine, l.Line, 1)}
	if l.Column < 1 || !s.has(l) {
		return r
	}
	r.startColumn = s.column(l.Line, l.Column)
	switch {
	case l.EndLine == 0 && l.EndColumn == 0:
		r.endColumn = r.startColumn
	case l.EndColumn > 0:
		r.endColumn = s.column(r.endLine, l.EndColumn)
	}
	return r
}

// column converts a column in bytes to UTF-16 code units.
func (s *source) column(line, column int) int {
	text := s.line(line)
	units := 1
	for i := 0; i < len(text) && i < column-1; {
		r, n := utf8.DecodeRune(text[i:])
		if units++; r > 0xffff {
			units++
		}
		i += n
	}
	return units
}
