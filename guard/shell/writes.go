package shell

import (
	"path"
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
)

// Writes reports whether a line changes the content of a file, or may.
func Writes(line string, at Place, file string) bool {
	return at.writes(file, func(m *machine) { m.follow(line) }, line)
}

// ArgvWrites is [Writes] of an exec form.
func ArgvWrites(argv []string, at Place, file string) bool {
	return at.writes(file, func(m *machine) { m.program(call{argv: argv}) }, argv...)
}

func (p Place) writes(file string, do func(*machine), words ...string) bool {
	if !plain(words) {
		return true
	}
	w := &writer{file: file}
	m := p.machine(w)
	do(m)
	return w.found
}

// writer looks for a file among those that are written.
type writer struct {
	file  string
	found bool
}

var _ listener = (*writer)(nil)

func (w *writer) drops(*machine, guard.Drop, call) {}
func (w *writer) exits(*machine, bool)             {}

func (w *writer) writes(_ *machine, f write) { w.found = w.found || f.path == w.file }

func (w *writer) runs(m *machine, c call) verdict {
	base := path.Base(c.argv[0])
	if base == "dos2unix" || base == "sed" && unixLines(c.argv) {
		return succeeds(c.argv)
	}
	for i, a := range c.argv[1:] {
		p := m.resolve(strings.TrimPrefix(a, "of="))
		named := p == w.file || strings.ContainsAny(p, "*?[") && glob(p, w.file)
		w.found = w.found || named && (base == "tee" || changes(base, c.argv, i+1))
	}
	if into := directory(base, c.argv); into != "" {
		w.copied(m.resolve(into), c.argv[1:])
	}
	return succeeds(c.argv)
}

// copied looks for the file among those that are copied into a directory.
func (w *writer) copied(dir string, words []string) {
	for _, source := range words {
		w.found = w.found || path.Join(dir, path.Base(source)) == w.file
	}
}

// unixLines reports whether all that sed does is to take the carriage returns off lines.
func unixLines(argv []string) bool {
	o := parseOptions("n|quiet|silent e|expression: f|file: E|regexp-extended r i in-place l: s|separate z|null-data u", argv[1:], false)
	script, given := o.last("e")
	if !given && len(o.operands) > 0 {
		script = o.operands[0]
	}
	count := 0
	for _, other := range o.given {
		if other.name == "e" || other.name == "f" {
			count++
		}
	}
	return count < 2 && strings.HasPrefix(script, `s/\r`) && strings.HasSuffix(strings.TrimSuffix(script, "g"), "//")
}
