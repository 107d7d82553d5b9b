package shell

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// pattern expands a word that is a pattern: what was quoted stands for itself.
func (m *machine) pattern(w *syntax.Word) string {
	if w == nil {
		return ""
	}
	var b strings.Builder
	for _, part := range w.Parts {
		switch p := part.(type) {
		case *syntax.Lit:
			b.WriteString(p.Value)
		case *syntax.ParamExp:
			values, _ := m.param(p, true)
			b.WriteString(strings.Join(values, " "))
		case *syntax.ExtGlob:
			b.WriteString(open("glob", true))
		default:
			b.WriteString(literal(m.text(&syntax.Word{Parts: []syntax.WordPart{part}})))
		}
	}
	return b.String()
}

// literal makes a text a pattern that matches only itself.
func literal(text string) string {
	if !strings.ContainsAny(text, `*?[\`) {
		return text
	}
	return strings.NewReplacer(`*`, `\*`, `?`, `\?`, `[`, `\[`, `\`, `\\`).Replace(text)
}

// matches says whether a word matches a pattern.
func (m *machine) matches(w *syntax.Word, text string) verdict {
	pattern := m.pattern(w)
	switch {
	case pattern == "*":
		return yes
	case !known(pattern) || len(text) > 4096 || len(pattern) > 1024:
		return perhaps
	case !known(text):
		return mayMatch(pattern, text)
	}
	return verdictOf(glob(pattern, text))
}

// mayMatch compares the beginnings: a pattern that begins otherwise does not match, whatever the rest is.
func mayMatch(pattern, text string) verdict {
	i := strings.IndexAny(text, marks)
	j := strings.IndexAny(pattern, `*?[\`)
	if j < 0 {
		j = len(pattern)
	}
	if n := min(i, j); text[:n] != pattern[:n] {
		return no
	}
	return perhaps
}

// glob matches a shell's pattern: * ? [ ] and backslashes. A slash is a byte like others.
func glob(pattern, text string) bool {
	star, back := -1, 0
	p, t := 0, 0
	for t < len(text) {
		if p < len(pattern) && pattern[p] == '*' {
			star, back = p, t
			p++
			continue
		}
		if width := matchOne(pattern[p:], text[t]); width > 0 {
			p += width
			t++
			continue
		}
		if star < 0 {
			return false
		}
		back++
		p, t = star+1, back
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// matchOne matches a byte with the first piece of a pattern, and returns the piece's length.
func matchOne(pattern string, c byte) int {
	switch {
	case pattern == "":
		return 0
	case pattern[0] == '?':
		return 1
	case pattern[0] == '\\' && len(pattern) > 1:
		if pattern[1] == c {
			return 2
		}
		return 0
	case pattern[0] == '[':
		if width, match, ok := bracket(pattern, c); ok {
			if match {
				return width
			}
			return 0
		}
	}
	if pattern[0] == c {
		return 1
	}
	return 0
}

// bracket matches [abc], [a-z] and [!abc]; ok is false where it is no bracket.
func bracket(pattern string, c byte) (width int, match, ok bool) {
	i := 1
	negated := i < len(pattern) && (pattern[i] == '!' || pattern[i] == '^')
	if negated {
		i++
	}
	for first := true; i < len(pattern); first = false {
		if pattern[i] == ']' && !first {
			return i + 1, match != negated, true
		}
		n, in := bracketItem(pattern[i:], c)
		match = match || in
		i += n
	}
	return 0, false, false
}

// bracketItem matches a byte, a range or a class of a bracket, and returns its length.
func bracketItem(item string, c byte) (width int, match bool) {
	if name, _, ok := strings.Cut(item, ":]"); ok && strings.HasPrefix(name, "[:") {
		return len(name) + 2, class(name[2:], c)
	}
	if len(item) > 2 && item[1] == '-' && item[2] != ']' {
		return 3, item[0] <= c && c <= item[2]
	}
	return 1, item[0] == c
}

// class is one of those of letters and digits.
func class(name string, c byte) bool {
	digit, letter := '0' <= c && c <= '9', 'a' <= c|32 && c|32 <= 'z'
	switch name {
	case "digit":
		return digit
	case "space", "blank":
		return isBlank(rune(c))
	case "upper":
		return letter && c < 'a'
	case "lower":
		return letter && c >= 'a'
	case "alpha":
		return letter
	case "alnum":
		return digit || letter
	}
	return false
}
