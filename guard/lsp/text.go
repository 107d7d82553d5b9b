package lsp

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sort"
	"unicode/utf8"

	"github.com/deckhand-engine/deckhand/guard"
)

// encoding is the unit in which a client counts the characters of a line.
type encoding string

// The encodings. UTF-16 is what every client can.
const (
	utf16Units encoding = "utf-16"
	utf8Bytes  encoding = "utf-8"
)

// choose takes bytes where the client offers them.
func choose(offered []encoding) encoding {
	if slices.Contains(offered, utf8Bytes) {
		return utf8Bytes
	}
	return utf16Units
}

// text is a document's text with its lines, as the protocol counts them: "\n", "\r\n" and "\r" end one. The lines of
// a [guard.Location] end with "\n" only, so the two meet in byte offsets.
type text struct {
	data  []byte
	lines []int // where each begins, in bytes
	feeds []int // where each line of a location begins
	unit  encoding
}

func newText(data []byte, unit encoding) *text {
	t := &text{data: data, lines: []int{0}, feeds: []int{0}, unit: unit}
	for i, c := range data {
		switch {
		case c == '\n':
			t.lines, t.feeds = append(t.lines, i+1), append(t.feeds, i+1)
		case c == '\r' && (i+1 == len(data) || data[i+1] != '\n'):
			t.lines = append(t.lines, i+1)
		}
	}
	return t
}

// line is where a line begins and ends, without what ends it.
func (t *text) line(n int) (start, end int) {
	start, end = t.lines[n], len(t.data)
	if n+1 < len(t.lines) {
		end = t.lines[n+1] - 1
		if end > start && t.data[end] == '\n' && t.data[end-1] == '\r' {
			end--
		}
	}
	return start, end
}

// position is where a byte is. Offsets within a character, or within a line's end, are at its start.
func (t *text) position(offset int) position {
	offset = min(max(offset, 0), len(t.data))
	n := sort.Search(len(t.lines), func(i int) bool { return t.lines[i] > offset }) - 1
	start, end := t.line(n)
	return position{Line: unsigned(n), Character: unsigned(t.units(t.data[start:min(offset, end)]))}
}

// unsigned is for counts, which are never negative; documents have no 4 GiB.
func unsigned(n int) uint32 {
	return uint32(max(n, 0)) //nolint:gosec // maxMessageBytes bounds it
}

// units counts the characters of a part of a line.
func (t *text) units(part []byte) int {
	if t.unit == utf8Bytes {
		return len(part)
	}
	n := 0
	for len(part) > 0 {
		r, size := utf8.DecodeRune(part)
		if r == utf8.RuneError && size == 1 && !utf8.FullRune(part) {
			break // the offset is within a character
		}
		n += width(r)
		part = part[size:]
	}
	return n
}

// width is a character's length in UTF-16.
func width(r rune) int {
	if r > 0xffff {
		return 2
	}
	return 1
}

// offset is the byte that a position means: the end of the line, or of the text, where it lies beyond; the start of
// the character it would cut through.
func (t *text) offset(p position) int {
	if int64(p.Line) >= int64(len(t.lines)) {
		return len(t.data)
	}
	start, end := t.line(int(p.Line))
	left := int64(p.Character)
	for at := start; at < end; {
		r, size := utf8.DecodeRune(t.data[at:end])
		w := int64(size)
		if t.unit == utf16Units {
			w = int64(width(r))
		}
		if left < w {
			return at
		}
		left -= w
		at += size
	}
	return end
}

// offsets is a range in bytes. One that is written backwards means the same.
func (t *text) offsets(s span) (start, end int) {
	start, end = t.offset(s.Start), t.offset(s.End)
	return min(start, end), max(start, end)
}

// span is where a finding is. Whole lines are shown without their indentation, the document as a whole as its first
// line, and what lies beyond the text at its end.
func (t *text) span(l guard.Location) span {
	first := max(l.Line, 1)
	last := max(l.EndLine, first)
	start, firstEnd := t.located(first)
	lastStart, end := t.located(last)
	if l.Column < 1 {
		start += leading(t.data[start:firstEnd])
	} else {
		start = min(start+l.Column-1, firstEnd)
		if l.EndColumn > 0 {
			end = min(lastStart+l.EndColumn-1, end)
		}
	}
	return span{t.position(start), t.position(max(start, end))}
}

// located is where a location's line begins and ends, without what ends it; the end of the text where there are
// fewer lines.
func (t *text) located(line int) (start, end int) {
	if line > len(t.feeds) {
		return len(t.data), len(t.data)
	}
	start, end = t.feeds[line-1], len(t.data)
	if line < len(t.feeds) {
		end = t.feeds[line] - 1
	}
	return start, start + len(bytes.TrimRight(t.data[start:end], "\r"))
}

// leading is the length of the white space that a line begins with.
func leading(line []byte) int { return len(line) - len(bytes.TrimLeft(line, " \t")) }

// edit is the edit of a fix, as the protocol says it; false where the text has no such place.
func (t *text) edit(e guard.Edit) (textEdit, bool) {
	l := e.At
	start, ok := guard.Offset(t.data, l.Line, max(l.Column, 1))
	end, okEnd := guard.Offset(t.data, cmp.Or(l.EndLine, l.Line), max(cmp.Or(l.EndColumn, l.Column), 1))
	if !ok || !okEnd || end < start {
		return textEdit{}, false
	}
	return textEdit{span{t.position(start), t.position(end)}, e.Text}, true
}

// change makes the changes of one notification, one after the other.
func change(data []byte, unit encoding, changes []json.RawMessage) ([]byte, error) {
	for i, raw := range changes {
		var c contentChange
		if err := json.Unmarshal(raw, &c); err != nil {
			return nil, fmt.Errorf("read change %d: %w", i+1, err)
		}
		if c.Text == nil {
			return nil, errors.New("a change has no text")
		}
		if c.Range == nil {
			data = []byte(*c.Text)
			continue
		}
		start, end := newText(data, unit).offsets(*c.Range)
		changed := make([]byte, 0, len(data)-(end-start)+len(*c.Text))
		changed = append(changed, data[:start]...)
		changed = append(changed, *c.Text...)
		data = append(changed, data[end:]...)
	}
	return data, nil
}
