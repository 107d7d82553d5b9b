package ui

import "unicode/utf8"

// maxLine is the number of characters after which a line without an end is taken as one.
const maxLine = 8192

// tabStop is the distance between tab stops in cells.
const tabStop = 8

type escState uint8

const (
	ground    escState = iota
	escape             // after ESC
	csi                // after ESC [
	oscString          // after ESC ] and its kin, up to BEL or ESC \
	stringEnd          // ESC within a string
)

// lineEditor turns a program's output into lines that are safe on any terminal. It does what a terminal
// does within one line (carriage return, backspace, tab, erase) and drops every other control.
type lineEditor struct {
	cells []rune
	col   int
	state escState
	param int
	rest  []byte // an incomplete UTF-8 sequence
}

// write takes a chunk and hands each completed line to emit.
func (e *lineEditor) write(b []byte, emit func(string)) {
	if len(e.rest) > 0 {
		b = append(e.rest, b...)
		e.rest = nil
	}
	for len(b) > 0 {
		if !utf8.FullRune(b) {
			e.rest = append([]byte(nil), b...)
			return
		}
		r, n := utf8.DecodeRune(b)
		b = b[n:]
		if e.state != ground {
			e.escaped(r)
			continue
		}
		e.plain(r, emit)
	}
}

func (e *lineEditor) plain(r rune, emit func(string)) {
	switch r {
	case '\n':
		emit(e.take())
	case '\r':
		e.col = 0
	case '\b':
		e.col = max(0, e.col-1)
	case '\t':
		for range tabStop - e.col%tabStop {
			e.put(' ')
		}
	case 0x1b:
		e.state = escape
	default:
		if printable(r) {
			e.put(r)
		}
	}
	if len(e.cells) >= maxLine {
		emit(e.take())
	}
}

func (e *lineEditor) put(r rune) {
	for len(e.cells) < e.col {
		e.cells = append(e.cells, ' ')
	}
	if e.col < len(e.cells) {
		e.cells[e.col] = r
	} else {
		e.cells = append(e.cells, r)
	}
	e.col++
}

func (e *lineEditor) escaped(r rune) {
	switch e.state {
	case escape:
		e.introducer(r)
	case csi:
		e.control(r)
	case oscString:
		switch r {
		case 0x07:
			e.state = ground
		case 0x1b:
			e.state = stringEnd
		}
	default: // ground does not come here; stringEnd: ESC \ ends the string, anything else cancels it
		e.state = ground
		if r == 0x1b {
			e.state = escape
		}
	}
}

func (e *lineEditor) introducer(r rune) {
	switch r {
	case '[':
		e.state, e.param = csi, 0
	case ']', 'P', 'X', '^', '_':
		e.state = oscString
	case 0x1b:
	default:
		if r < 0x20 || r > 0x2f { // an intermediate byte is followed by another
			e.state = ground
		}
	}
}

func (e *lineEditor) control(r rune) {
	switch {
	case r >= '0' && r <= '9':
		e.param = min(e.param*10+int(r-'0'), maxLine)
	case r == 0x1b:
		e.state = escape
	case r >= 0x40 || r < 0x20:
		if r == 'K' {
			e.erase()
		}
		e.state = ground
	}
}

// erase is EL: to the end of the line, from its start, or all of it.
func (e *lineEditor) erase() {
	switch e.param {
	case 0:
		e.cells = e.cells[:min(e.col, len(e.cells))]
	case 1:
		for i := range e.cells[:min(e.col, len(e.cells))] {
			e.cells[i] = ' '
		}
	case 2:
		e.cells = e.cells[:0]
	}
}

// take ends the line.
func (e *lineEditor) take() string {
	s := e.line()
	e.cells, e.col = e.cells[:0], 0
	return s
}

// line is the line so far.
func (e *lineEditor) line() string { return string(e.cells) }
