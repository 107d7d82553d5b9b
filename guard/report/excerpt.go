package report

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/internal/ui"
)

// Bounds of an excerpt.
const (
	tabStop   = 4
	nearBytes = 2048 // of a longer line, how much is looked at before and behind the range
	maxRows   = 5    // lines shown of a range
	minCells  = 20   // of a line, however narrow the terminal
)

// row is a line of an excerpt.
type row struct {
	number int    // 0: lines are left out here
	text   string // safe for a terminal
	marks  string // "     ^^^^"; empty: the whole line is meant
}

// excerpt is the text that a location is about, cut to width cells; nil where there is none.
func (s *source) excerpt(l guard.Location, width int) []row {
	if !s.has(l) {
		return nil
	}
	last := min(max(l.EndLine, l.Line), len(s.at))
	if l.EndColumn == 1 && last > l.Line {
		last--
	}
	width = max(width, minCells)
	if last == l.Line {
		from, to := s.marked(l)
		text, marks := render(s.line(l.Line), from, to, width)
		return []row{{l.Line, text, marks}}
	}
	var rows []row
	for n := l.Line; n <= last; n++ {
		if last-l.Line >= maxRows && n == l.Line+maxRows-2 {
			rows = append(rows, row{})
			n = last
		}
		text, _ := render(s.line(n), 0, 0, width)
		rows = append(rows, row{number: n, text: text})
	}
	return rows
}

// marked are the byte offsets in its line of a location that has only one.
func (s *source) marked(l guard.Location) (from, to int) {
	text := s.line(l.Line)
	switch {
	case l.Column < 1:
		return len(text) - len(bytes.TrimLeft(text, " \t")), len(bytes.TrimRight(text, " \t"))
	case l.EndLine > l.Line || l.EndLine == l.Line && l.EndColumn == 0:
		return l.Column - 1, len(text)
	}
	return l.Column - 1, l.EndColumn - 1
}

// cell is a character as it is shown.
type cell struct {
	text  string
	width int
	mark  bool
}

// render writes a line with a terminal's cells in mind, and marks for the bytes from from to to. A line that is too
// long is cut around them.
func render(line []byte, from, to, width int) (text, marks string) {
	from = min(max(from, 0), len(line))
	to = min(max(to, from), len(line))
	cutLeft, cutRight := false, false
	if from > nearBytes {
		start := from - nearBytes
		for start < from && !utf8.RuneStart(line[start]) {
			start++
		}
		line, from, to, cutLeft = line[start:], from-start, to-start, true
	}
	if len(line) > from+nearBytes {
		line, cutRight = line[:from+nearBytes], true
		to = min(to, len(line))
	}
	cells := split(line, from, to)
	first, last := window(cells, width)
	return join(cells[first:last], cutLeft || first > 0, cutRight || last < len(cells))
}

// split turns bytes into cells. A range without length is marked at one cell, at the line's end beyond it.
func split(line []byte, from, to int) []cell {
	cells := make([]cell, 0, len(line)+1)
	column := 0
	for i := 0; i < len(line); {
		r, n := utf8.DecodeRune(line[i:])
		c := cell{text: string(r), mark: i+n > from && i < to || from == to && i <= from && from < i+n}
		switch {
		case r == '\t':
			c.text = strings.Repeat(" ", tabStop-column%tabStop)
		case r == utf8.RuneError || ui.Clean(c.text) != c.text:
			c.text = "\ufffd"
		}
		c.width = ui.Width(c.text)
		column += c.width
		cells = append(cells, c)
		i += n
	}
	if from == to && from >= len(line) {
		cells = append(cells, cell{text: " ", width: 1, mark: true})
	}
	return cells
}

// window chooses the cells that are shown so that the first marked ones are among them.
func window(cells []cell, width int) (first, last int) {
	total, before := 0, -1
	for _, c := range cells {
		if c.mark && before < 0 {
			before = total
		}
		total += c.width
	}
	if total <= width {
		return 0, len(cells)
	}
	room := width - 2 // for the two ellipses
	skip := max(0, min(before-room/4, total-room))
	for skip > 0 && first < len(cells) {
		skip -= cells[first].width
		first++
	}
	used := 0
	for last = first; last < len(cells) && used+cells[last].width <= room; last++ {
		used += cells[last].width
	}
	return first, last
}

func join(cells []cell, cutLeft, cutRight bool) (text, marks string) {
	var t, m strings.Builder
	if cutLeft {
		t.WriteString("…")
		m.WriteString(" ")
	}
	for _, c := range cells {
		t.WriteString(c.text)
		mark := " "
		if c.mark {
			mark = "^"
		}
		m.WriteString(strings.Repeat(mark, c.width))
	}
	text = t.String()
	if cutRight {
		text += "…"
	} else {
		text = strings.TrimRight(text, " ")
	}
	return text, strings.TrimRight(m.String(), " ")
}

// gutter is the width of the line numbers of an excerpt.
func gutter(rows []row) int {
	return max(4, len(strconv.Itoa(rows[len(rows)-1].number)))
}
