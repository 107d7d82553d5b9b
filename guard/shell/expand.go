package shell

import (
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// fields are the words that words become.
func (m *machine) fields(words []*syntax.Word) []string {
	var f field
	for _, w := range words {
		m.splitInto(&f, w)
	}
	m.left -= f.bytes / 1024
	m.lost = m.lost || len(f.out) == maxFields
	return f.out
}

// field is a word being put together, and the words before it.
type field struct {
	b     strings.Builder
	some  bool // there is a word, if an empty one
	out   []string
	bytes int // of all words
}

func (f *field) add(text string) {
	if f.b.Len()+len(text) > maxWord || f.bytes+len(text) > maxWords {
		text = open("…", true)
	}
	f.b.WriteString(text)
	f.bytes += len(text)
	f.some = true
}

func (f *field) end() {
	if f.some && len(f.out) < maxFields {
		f.out = append(f.out, f.b.String())
	}
	f.b.Reset()
	f.some = false
}

// addSplit adds what was not quoted.
func (f *field) addSplit(text string) {
	if !known(text) {
		f.add(text)
		return
	}
	for i, part := range strings.FieldsFunc(text, isBlank) {
		if i > 0 || isBlank(rune(text[0])) {
			f.end()
		}
		f.add(part)
	}
	if text != "" && isBlank(rune(text[len(text)-1])) {
		f.end()
	}
}

func isBlank(r rune) bool { return r == ' ' || r == '\t' || r == '\n' }

// split expands one word into any number.
func (m *machine) split(w *syntax.Word) []string {
	var f field
	m.splitInto(&f, w)
	return f.out
}

func (m *machine) splitInto(f *field, w *syntax.Word) {
	for _, part := range w.Parts {
		m.part(f, part)
	}
	f.end()
}

func (m *machine) part(f *field, part syntax.WordPart) {
	switch p := part.(type) {
	case *syntax.Lit:
		f.add(unescape(p.Value, ""))
	case *syntax.SglQuoted:
		f.add(m.single(p))
	case *syntax.DblQuoted:
		m.double(f, p)
	case *syntax.ParamExp:
		values, _ := m.param(p, false)
		for i, v := range values {
			if i > 0 {
				f.end()
			}
			f.addSplit(v)
		}
	case *syntax.CmdSubst:
		f.addSplit(m.substitute(p, false))
	case *syntax.ArithmExp:
		f.add(m.number(p.X, p))
	case *syntax.ProcSubst:
		m.runAside(p.Stmts)
		f.add(open(m.raw(p, "<(…)"), true))
	case *syntax.ExtGlob:
		f.add(p.Op.String() + p.Pattern.Value + ")")
	default:
		f.add(open(m.raw(part, "$(…)"), true))
	}
}

func (m *machine) single(p *syntax.SglQuoted) string {
	if p.Dollar {
		return escapes(p.Value)
	}
	return p.Value
}

func (m *machine) double(f *field, q *syntax.DblQuoted) {
	if len(q.Parts) == 0 {
		f.add("")
	}
	for _, part := range q.Parts {
		switch p := part.(type) {
		case *syntax.Lit:
			f.add(unescape(p.Value, "$`\"\\\n"))
		case *syntax.ParamExp:
			values, list := m.param(p, true)
			if !list {
				f.add(strings.Join(values, " "))
				continue
			}
			for i, v := range values {
				if i > 0 {
					f.end()
				}
				f.add(v)
			}
		case *syntax.CmdSubst:
			f.add(m.substitute(p, true))
		case *syntax.ArithmExp:
			f.add(m.number(p.X, p))
		default:
			f.add(open(m.raw(part, "…"), true))
		}
	}
}

// text expands a word to one, as where it is assigned, or a here-document.
func (m *machine) text(w *syntax.Word) string {
	if w == nil {
		return ""
	}
	var b strings.Builder
	for _, part := range w.Parts {
		var f field
		switch p := part.(type) { // neither is split here
		case *syntax.ParamExp:
			f.out, _ = m.param(p, true)
		case *syntax.CmdSubst:
			f.out = []string{m.substitute(p, true)}
		default:
			m.part(&f, part)
			f.end()
		}
		for i, text := range f.out {
			if i > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(text)
		}
		if b.Len() > maxWord {
			return open("…", true)
		}
	}
	return b.String()
}

// raw is how a node is written.
func (m *machine) raw(n syntax.Node, otherwise string) string {
	from, to := n.Pos().Offset(), n.End().Offset()
	if from < to && to <= uint(len(m.source)) && to-from < maxDepth {
		if s := m.source[from:to]; s[0] == '$' || s[0] == '`' || s[0] == '<' {
			return s
		}
	}
	return otherwise
}

func (m *machine) number(x syntax.ArithmExpr, n syntax.Node) string {
	if v, ok := m.arithm(x); ok {
		return strconv.Itoa(v)
	}
	return open(m.raw(n, "$((…))"), true)
}

// substitute is the output of a command, as far as it can be told.
func (m *machine) substitute(c *syntax.CmdSubst, quoted bool) string {
	if m.left--; m.left < 0 || m.depth > maxDepth {
		m.lost = true
		return open("$(…)", quoted)
	}
	m.depth++
	defer func() { m.depth-- }()
	if text, ok := m.outputs(c.Stmts); ok {
		text = strings.TrimRight(text, "\n")
		if quoted {
			return quote(text)
		}
		return text
	}
	m.runAside(c.Stmts)
	return open(m.raw(c, "$(…)"), quoted)
}

// runAside runs what is run for its output only.
func (m *machine) runAside(stmts []*syntax.Stmt) {
	if !m.aside {
		return
	}
	last, drop := m.now.last, m.now.drop
	m.subshell(func() (flow, verdict) { return m.stmts(stmts) })
	m.now.last, m.now.drop = last, drop
}

// unescape takes backslashes off: before any byte, or before those of only.
func unescape(s, only string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) && (only == "" || strings.IndexByte(only, s[i+1]) >= 0) {
			i++
			if s[i] == '\n' {
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// escapes replaces what echo -e, printf and $'…' know; octal and hexadecimal numbers included.
func escapes(s string) string {
	if strings.IndexByte(s, '\\') < 0 {
		return s
	}
	const letters, bytes = `abefnrtv\'"`, "\a\b\x1b\f\n\r\t\v\\'\""
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		if at := strings.IndexByte(letters, s[i]); at >= 0 {
			b.WriteByte(bytes[at])
			continue
		}
		value, width := numberEscape(s[i:])
		if width == 0 || strings.IndexByte(marks, value) >= 0 {
			b.WriteByte('\\')
			i--
			b.WriteByte(s[i+1])
			i++
			continue
		}
		b.WriteByte(value)
		i += width - 1
	}
	return b.String()
}

// numberEscape reads \0NNN, \NNN and \xHH behind their backslash.
func numberEscape(s string) (value byte, width int) {
	digits, base, at := "01234567", 8, 0
	if s[0] == 'x' {
		digits, base, at = "0123456789abcdefABCDEF", 16, 1
	}
	end := at
	for end < len(s) && end-at < 3 && strings.IndexByte(digits, s[end]) >= 0 {
		end++
	}
	if base == 16 {
		end = min(end, 3)
	}
	n, err := strconv.ParseUint(s[at:end], base, 8)
	if err != nil {
		return 0, 0
	}
	return byte(n), end
}
