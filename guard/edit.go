package guard

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// ErrOverlap says that two edits change the same text.
var ErrOverlap = errors.New("edits overlap")

// Apply makes the edits and leaves every other byte as it is. Edits that are equal count once; the error is
// ErrOverlap where two cannot both be made.
func Apply(source []byte, edits []Edit) ([]byte, error) {
	changes := make([]change, 0, len(edits))
	for _, e := range edits {
		c, err := locate(source, e)
		if err != nil {
			return nil, err
		}
		changes = append(changes, c)
	}
	slices.SortStableFunc(changes, func(a, b change) int { return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.end, b.end)) })
	changes = slices.Compact(changes)
	var out bytes.Buffer
	at := 0
	for i, c := range changes {
		if c.start < at || i > 0 && c.start == changes[i-1].start {
			return nil, fmt.Errorf("line %d: %w", 1+bytes.Count(source[:c.start], []byte("\n")), ErrOverlap)
		}
		out.Write(source[at:c.start])
		out.WriteString(c.text)
		at = c.end
	}
	out.Write(source[at:])
	return out.Bytes(), nil
}

// change is an edit in byte offsets.
type change struct {
	start, end int
	text       string
}

func locate(source []byte, e Edit) (change, error) {
	l := e.At
	start, ok := Offset(source, l.Line, max(l.Column, 1))
	end, okEnd := Offset(source, cmp.Or(l.EndLine, l.Line), max(cmp.Or(l.EndColumn, l.Column), 1))
	if !ok || !okEnd || end < start {
		return change{}, fmt.Errorf("edit %s: there is no such place in the text", l)
	}
	return change{start, end, e.Text}, nil
}

// Offset is the byte offset of a line and column (from 1). The end of a line, and the line after the last line
// break, are places; what lies beyond is not.
func Offset(source []byte, line, column int) (int, bool) {
	if line < 1 || column < 1 {
		return 0, false
	}
	at := 0
	for range line - 1 {
		i := bytes.IndexByte(source[at:], '\n')
		if i < 0 {
			return 0, false
		}
		at += i + 1
	}
	length := bytes.IndexByte(source[at:], '\n')
	if length < 0 {
		length = len(source) - at
	}
	if column-1 > length {
		return 0, false
	}
	return at + column - 1, true
}
