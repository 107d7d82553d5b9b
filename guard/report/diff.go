package report

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/deckhand-engine/deckhand/guard"
)

// maxDiffLines bounds what is shown of a fix.
const maxDiffLines = 20

// change is a line that a fix takes away ('-') or adds ('+').
type change struct {
	sign byte
	text []byte
	from int // the byte from which on it differs from its counterpart
}

// changes are the lines that a fix changes; nil where its edits cannot be made.
func (s *source) changes(fix guard.Fix) []change {
	edits := slices.Clone(fix.Edits)
	for i := range edits {
		edits[i].At.EndLine = cmp.Or(edits[i].At.EndLine, edits[i].At.Line)
		edits[i].At.EndColumn = cmp.Or(edits[i].At.EndColumn, edits[i].At.Column)
	}
	slices.SortStableFunc(edits, func(a, b guard.Edit) int {
		return cmp.Or(cmp.Compare(a.At.Line, b.At.Line), cmp.Compare(a.At.Column, b.At.Column))
	})
	var all []change
	for len(edits) > 0 {
		n, last := 1, edits[0].At.EndLine
		for n < len(edits) && edits[n].At.Line <= last {
			last = max(last, edits[n].At.EndLine)
			n++
		}
		all = append(all, s.changed(edits[:n], last)...)
		edits = edits[n:]
	}
	return all
}

// changed are the lines that edits change which touch the same lines, up to last.
func (s *source) changed(edits []guard.Edit, last int) []change {
	first := edits[0].At.Line
	old, ok := s.between(first, last)
	if !ok {
		return nil
	}
	moved := slices.Clone(edits)
	for i := range moved {
		moved[i].At.Line -= first - 1
		moved[i].At.EndLine -= first - 1
	}
	made, err := guard.Apply(old, moved)
	if err != nil {
		return nil
	}
	before, after := splitLines(old), splitLines(made)
	for len(before) > 0 && len(after) > 0 && bytes.Equal(before[0], after[0]) {
		before, after = before[1:], after[1:]
	}
	for len(before) > 0 && len(after) > 0 && bytes.Equal(before[len(before)-1], after[len(after)-1]) {
		before, after = before[:len(before)-1], after[:len(after)-1]
	}
	all := make([]change, 0, len(before)+len(after))
	for i, l := range before {
		all = append(all, change{'-', l, differs(i, before, after)})
	}
	for i, l := range after {
		all = append(all, change{'+', l, differs(i, before, after)})
	}
	return all
}

// differs is where the nth line before and after differ; 0 where they are no counterparts.
func differs(n int, before, after [][]byte) int {
	if len(before) != len(after) {
		return 0
	}
	a, b := before[n], after[n]
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	return i
}

// between is the text of the lines from first to last. The line after the last line break is empty.
func (s *source) between(first, last int) ([]byte, bool) {
	if first < 1 || last < first || last > len(s.at) {
		return nil, false
	}
	end := len(s.data)
	if last < len(s.at) {
		end = s.at[last]
	}
	return s.data[s.at[first-1]:end], true
}

// splitLines splits a text into lines without their ends.
func splitLines(text []byte) [][]byte {
	var all [][]byte
	for line := range bytes.Lines(text) {
		all = append(all, bytes.TrimRight(line, "\r\n"))
	}
	return all
}
