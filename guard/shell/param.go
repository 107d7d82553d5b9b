package shell

import (
	"slices"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// value is a parameter's.
type value struct {
	words []string
	list  bool // $@: as many words as there are
	unset bool // nobody sets it, as far as can be seen: whoever starts the program may
	never bool // nobody does
}

func oneWord(s string) value { return value{words: []string{s}} }

// joined is the value as one word.
func (v value) joined() string { return strings.Join(v.words, " ") }

// param expands a parameter; list says that each is a word by itself.
func (m *machine) param(p *syntax.ParamExp, quoted bool) (words []string, list bool) {
	if m.left--; m.left < 0 || m.depth > maxDepth {
		m.lost = true
		return []string{open("$…", quoted)}, false
	}
	m.depth++
	defer func() { m.depth-- }()
	v, ok := m.expandParam(p)
	if !ok {
		return []string{open(m.raw(p, "$…"), quoted)}, false
	}
	if quoted && !v.list {
		for i := range v.words {
			v.words[i] = quote(v.words[i])
		}
	}
	return v.words, v.list
}

func (m *machine) expandParam(p *syntax.ParamExp) (value, bool) {
	if odd(p) {
		return value{}, false
	}
	v := m.lookup(p.Param.Value, p.Index)
	switch {
	case p.Length:
		return lengthOf(v, p)
	case p.Slice != nil:
		return m.slice(v, p.Slice)
	case p.Repl != nil:
		return m.replaced(v, p.Repl)
	case p.Exp != nil:
		return m.operated(p, v)
	case v.never:
		return oneWord(""), true
	case v.unset:
		return value{}, false
	}
	return value{words: slices.Clone(v.words), list: v.list}, true
}

// odd reports whether an expansion is of a kind that is not followed.
func odd(p *syntax.ParamExp) bool {
	return p.Param == nil || p.Excl || p.Width || p.IsSet || p.Flags != nil || p.Names != 0 || p.NestedParam != nil
}

// lookup finds a parameter's value.
func (m *machine) lookup(name string, index syntax.ArithmExpr) value {
	switch name {
	case "@", "*":
		return value{words: m.now.params, list: name == "@"}
	case "#":
		if anyLoose(m.now.params) {
			return value{unset: true}
		}
		return oneWord(strconv.Itoa(len(m.now.params)))
	case "0", "BASH_SOURCE":
		return oneWord(m.name)
	case "EUID", "UID":
		if v := m.variable(name, index); m.bash && v.unset {
			return oneWord("0") // it is started as root
		}
	case "FUNCNAME":
		return m.element(m.functionNames(), index)
	}
	if n, err := strconv.Atoi(name); err == nil {
		return m.positional(n)
	}
	return m.variable(name, index)
}

func (m *machine) variable(name string, index syntax.ArithmExpr) value {
	if words, ok := m.now.arrays[name]; ok {
		return m.element(words, index)
	}
	if s, ok := m.now.vars[name]; ok {
		return oneWord(s)
	}
	if m.env != nil {
		if s, ok := m.env(name); ok && known(s) {
			return oneWord(s)
		}
	}
	return value{unset: true, never: m.isUnset(name)}
}

func (m *machine) positional(n int) value {
	for i, w := range m.now.params {
		if loose(w) {
			return value{unset: true}
		}
		if i == n-1 {
			return oneWord(w)
		}
	}
	return oneWord("")
}

// functionNames are bash's FUNCNAME.
func (m *machine) functionNames() []string {
	if len(m.calls) == 0 {
		return nil
	}
	var names []string
	for _, c := range slices.Backward(m.calls) {
		names = append(names, c.name)
	}
	return append(names, "main")
}

// element is what an index takes from an array: all, or one.
func (m *machine) element(words []string, index syntax.ArithmExpr) value {
	n := 0
	if w, ok := index.(*syntax.Word); ok && (w.Lit() == "@" || w.Lit() == "*") {
		return value{words: words, list: w.Lit() == "@"}
	}
	if index != nil {
		var ok bool
		if n, ok = m.arithm(index); !ok {
			return value{unset: true}
		}
	}
	if anyLoose(words) {
		return value{unset: true}
	}
	if n < 0 || n >= len(words) {
		return oneWord("")
	}
	return oneWord(words[n])
}

func lengthOf(v value, p *syntax.ParamExp) (value, bool) {
	if v.unset || anyLoose(v.words) {
		return value{}, false
	}
	if w, ok := p.Index.(*syntax.Word); v.list || ok && w.Lit() == "*" {
		return oneWord(strconv.Itoa(len(v.words))), true
	}
	if s := v.joined(); known(s) {
		return oneWord(strconv.Itoa(len(s))), true
	}
	return value{}, false
}

// slice is ${name:from:length}, of characters or of words.
func (m *machine) slice(v value, s *syntax.Slice) (value, bool) {
	from, ok := m.arithm(s.Offset)
	length, okLength := m.arithm(s.Length)
	if v.unset || anyLoose(v.words) || s.Offset != nil && !ok || s.Length != nil && (!okLength || length < 0) {
		return value{}, false
	}
	if v.list {
		all := append([]string{m.name}, v.words...) // $@ counts from $0
		all = cut(all, from, length, s.Length != nil)
		return value{words: append([]string(nil), all...), list: true}, true
	}
	text := v.joined()
	if !known(text) {
		return value{}, false
	}
	return oneWord(string(cut([]byte(text), from, length, s.Length != nil))), true
}

func cut[T any](all []T, from, length int, limited bool) []T {
	if from < 0 {
		from = max(len(all)+from, 0)
	}
	all = all[min(from, len(all)):]
	if limited {
		all = all[:min(length, len(all))]
	}
	return all
}

// replaced is ${name/from/to} for a text that is no pattern.
func (m *machine) replaced(v value, r *syntax.Replace) (value, bool) {
	from, to := m.text(r.Orig), m.text(r.With)
	text := v.joined()
	if v.unset || v.list || from == "" || !known(text) || !known(from) || !known(to) || strings.ContainsAny(from, `*?[\#%`) {
		return value{}, false
	}
	times := 1
	if r.All {
		times = -1
	}
	if times < 0 && len(text)*(len(to)+1) > maxWord {
		return value{}, false
	}
	return oneWord(strings.Replace(text, from, to, times)), true
}

// operated is a parameter with an operator: a default, or a part taken off.
func (m *machine) operated(p *syntax.ParamExp, v value) (value, bool) {
	switch p.Exp.Op {
	case syntax.DefaultUnset, syntax.DefaultUnsetOrNull, syntax.AssignUnset, syntax.AssignUnsetOrNull:
		return m.defaulted(p, v)
	case syntax.AlternateUnset, syntax.AlternateUnsetOrNull:
		return m.alternate(p, v)
	case syntax.ErrorUnset, syntax.ErrorUnsetOrNull:
		return v, !v.unset
	default:
	}
	return m.changed(p, v)
}

// changed is a parameter in other letters, or with a part taken off.
func (m *machine) changed(p *syntax.ParamExp, v value) (value, bool) {
	text := v.joined()
	if v.unset || v.list || !known(text) {
		return value{}, false
	}
	switch p.Exp.Op {
	case syntax.UpperAll:
		return oneWord(strings.ToUpper(text)), p.Exp.Word == nil
	case syntax.LowerAll:
		return oneWord(strings.ToLower(text)), p.Exp.Word == nil
	default:
	}
	pattern := m.pattern(p.Exp.Word)
	if !known(pattern) || len(text) > 1024 || len(pattern) > 128 {
		return value{}, false
	}
	m.left -= len(text) / 8 // it is compared once for every byte
	return trimmed(text, pattern, p.Exp.Op)
}

// defaulted is ${name:-word}. A variable that nobody sets is taken for unset: the word is what happens, as long
// as whoever starts the program wants nothing else. An empty default says nothing of that.
func (m *machine) defaulted(p *syntax.ParamExp, v value) (value, bool) {
	orNull := p.Exp.Op == syntax.DefaultUnsetOrNull || p.Exp.Op == syntax.AssignUnsetOrNull
	text := v.joined()
	if !v.unset && (!orNull || text != "") {
		return v, !orNull || known(text) || v.list
	}
	word := m.text(p.Exp.Word)
	if v.unset && !v.never && word == "" {
		return value{}, false
	}
	if p.Exp.Op == syntax.AssignUnset || p.Exp.Op == syntax.AssignUnsetOrNull {
		m.now.vars[p.Param.Value] = word
	}
	return oneWord(word), true
}

// alternate is ${name:+word}.
func (m *machine) alternate(p *syntax.ParamExp, v value) (value, bool) {
	text := v.joined()
	switch {
	case v.never:
		return oneWord(""), true
	case v.unset || !known(text):
		return value{}, false
	case text == "" && p.Exp.Op == syntax.AlternateUnsetOrNull, v.list && len(v.words) == 0:
		return oneWord(""), true
	}
	return value{words: []string{m.text(p.Exp.Word)}}, true
}

// trimmed takes off what the pattern matches, at the beginning or the end.
func trimmed(text, pattern string, op syntax.ParExpOperator) (value, bool) {
	length := len(text)
	for i := range length + 1 {
		var match bool
		var rest string
		switch op {
		case syntax.RemSmallPrefix:
			match, rest = glob(pattern, text[:i]), text[i:]
		case syntax.RemLargePrefix:
			match, rest = glob(pattern, text[:length-i]), text[length-i:]
		case syntax.RemSmallSuffix:
			match, rest = glob(pattern, text[length-i:]), text[:length-i]
		case syntax.RemLargeSuffix:
			match, rest = glob(pattern, text[i:]), text[:i]
		default:
			return value{}, false
		}
		if match {
			return oneWord(rest), true
		}
	}
	return oneWord(text), true
}
