package units

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
)

// blank is what systemd takes for white space within a line.
const blank = " \t\r"

// unit is a file in the syntax of systemd.syntax(7), with its drop-ins behind it.
type unit struct {
	assignments []assignment
	sections    map[string]guard.Location // the first header of each
	lines       int                       // with the text behind the last line break, be it empty
}

// assignment is KEY=VALUE.
type assignment struct {
	section, key string
	value        string // lines that belong together joined by a space
	path         string
	line         int // of the key
	pieces       []piece
}

// piece says where the value is in the file, from an offset on.
type piece struct{ offset, line, column int }

// at is the place of value[from:to].
func (a assignment) at(from, to int) guard.Location {
	line, column := a.position(from)
	l := guard.Location{Path: a.path, Line: line, Column: column, EndLine: line, EndColumn: column}
	if to > from {
		last, end := a.position(to - 1)
		l.EndLine, l.EndColumn = last, end+1
	}
	return l
}

// all is the place of the whole value.
func (a assignment) all() guard.Location { return a.at(0, len(a.value)) }

func (a assignment) position(offset int) (line, column int) {
	p := a.pieces[0]
	for _, next := range a.pieces[1:] {
		if next.offset > offset {
			break
		}
		p = next
	}
	return p.line, p.column + offset - p.offset
}

// parse reads a file. The error is a *guard.SyntaxError: what systemd only warns of is left out instead.
func parse(path string, data []byte) (*unit, error) {
	p := &parser{path: path, unit: &unit{sections: map[string]guard.Location{}}}
	for line := range bytes.SplitSeq(data, []byte("\n")) {
		p.number++
		if err := p.add(string(line)); err != nil {
			return nil, err
		}
	}
	p.unit.lines = p.number
	if err := p.finish(); err != nil {
		return nil, err
	}
	return p.unit, nil
}

// parser collects the lines that belong together.
type parser struct {
	path    string
	unit    *unit
	section string
	number  int // of the line at hand
	text    strings.Builder
	pieces  []piece // not empty: a line that was continued is waiting
}

// add takes a line. One that ends with a backslash goes on behind the next that is no comment.
func (p *parser) add(line string) error {
	trimmed := line
	if p.number == 1 {
		trimmed = strings.TrimPrefix(line, "\ufeff")
	}
	trimmed = strings.TrimLeft(trimmed, blank)
	column := 1 + len(line) - len(trimmed)
	trimmed = strings.TrimRight(trimmed, blank)
	if trimmed != "" && (trimmed[0] == '#' || trimmed[0] == ';') {
		return nil
	}
	if trimmed == "" && len(p.pieces) == 0 {
		return nil
	}
	p.pieces = append(p.pieces, piece{p.text.Len(), p.number, column})
	if continued(trimmed) {
		p.text.WriteString(trimmed[:len(trimmed)-1] + " ")
		return nil
	}
	p.text.WriteString(trimmed)
	return p.finish()
}

// continued reports whether a line ends with a backslash that no other escapes.
func continued(line string) bool {
	n := len(line) - len(strings.TrimRight(line, `\`))
	return n%2 == 1
}

// finish takes what was collected: a section header, an assignment, or nothing that systemd knows.
func (p *parser) finish() error {
	text, pieces := p.text.String(), p.pieces
	p.text.Reset()
	p.pieces = nil
	switch {
	case strings.TrimLeft(text, blank) == "":
		return nil
	case text[0] == '[':
		name, ok := strings.CutSuffix(strings.TrimRight(text[1:], blank), "]")
		if !ok {
			return &guard.SyntaxError{Line: pieces[0].line, Text: fmt.Sprintf("the section header %.40s has no ]", text)}
		}
		p.section = name
		if _, seen := p.unit.sections[name]; !seen {
			l := assignment{path: p.path, pieces: pieces}
			p.unit.sections[name] = l.at(0, len(strings.TrimRight(text, blank)))
		}
		return nil
	}
	key, value, ok := strings.Cut(text, "=")
	key = strings.TrimRight(key, blank)
	if !ok || key == "" || p.section == "" {
		return nil
	}
	trimmed := strings.TrimLeft(value, blank)
	a := assignment{section: p.section, key: key, value: strings.TrimRight(trimmed, blank), path: p.path, line: pieces[0].line}
	a.pieces = shift(pieces, len(text)-len(trimmed))
	p.unit.assignments = append(p.unit.assignments, a)
	return nil
}

// shift makes the pieces of a text those of the text from an offset on.
func shift(pieces []piece, offset int) []piece {
	var shifted []piece
	for i, p := range pieces {
		switch {
		case p.offset >= offset && len(shifted) > 0:
			shifted = append(shifted, piece{p.offset - offset, p.line, p.column})
		case i+1 == len(pieces) || pieces[i+1].offset > offset:
			shifted = append(shifted, piece{0, p.line, p.column + offset - p.offset})
		}
	}
	return shifted
}

// list are the assignments of a key that count: those behind the last empty one.
func (u *unit) list(section, key string) []assignment {
	var all []assignment
	for _, a := range u.assignments {
		if a.section != section || a.key != key {
			continue
		}
		if a.value == "" {
			all = nil
			continue
		}
		all = append(all, a)
	}
	return all
}

// last is the assignment of a key that counts where there is one value only.
func (u *unit) last(section, key string) (assignment, bool) {
	all := u.list(section, key)
	if len(all) == 0 {
		return assignment{}, false
	}
	return all[len(all)-1], true
}

// yes reports whether a key is set to true, and where.
func (u *unit) yes(section, key string) (guard.Location, bool) {
	a, ok := u.last(section, key)
	if !ok {
		return guard.Location{}, false
	}
	value, known := boolean(a.value)
	return a.all(), known && value
}

// boolean reads what systemd takes for one.
func boolean(s string) (value, known bool) {
	switch strings.ToLower(s) {
	case "1", "yes", "y", "true", "t", "on":
		return true, true
	case "0", "no", "n", "false", "f", "off":
		return false, true
	}
	return false, false
}

// has reports whether the file has a section.
func (u *unit) has(section string) bool {
	_, ok := u.sections[section]
	return ok
}
