package units

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/deckhand-engine/deckhand/guard"
)

// word is a word of a value, its quotes and escapes undone.
type word struct {
	text  string
	at    guard.Location // with its quotes
	plain bool           // it has neither quotes nor escapes, and is on one line
}

// from is the word from an offset on. Where its quotes hide the place it is that of all.
func (w word) from(offset int) word {
	if w.plain {
		w.at.Column += offset
	}
	w.text = w.text[offset:]
	return w
}

// words splits a value as systemd does: quotes of both kinds, C escapes.
func (a assignment) words() []word {
	var all []word
	for i := 0; ; {
		for i < len(a.value) && strings.IndexByte(blank, a.value[i]) >= 0 {
			i++
		}
		if i == len(a.value) {
			return all
		}
		text, n := cutWord(a.value[i:])
		at := a.at(i, i+n)
		all = append(all, word{text, at, text == a.value[i:i+n] && at.Line == at.EndLine})
		i += n
	}
}

// cutWord reads the word that a text begins with, and says how long it is with its quotes.
func cutWord(s string) (text string, n int) {
	var b strings.Builder
	quote := byte(0)
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s):
			value, used := unescape(s[i+1:])
			b.WriteString(value)
			i += used
		case c == quote && quote != 0:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case quote == 0 && strings.IndexByte(blank, c) >= 0:
			return b.String(), i
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), len(s)
}

// unescape reads what follows a backslash, and how much of it. An escape that is not known stays.
func unescape(s string) (text string, n int) {
	if i := strings.IndexByte("abfnrtvs", s[0]); i >= 0 {
		return string("\a\b\f\n\r\t\v "[i]), 1
	}
	switch s[0] {
	case '\\', '"', '\'':
		return s[:1], 1
	case 'x':
		return number(s, 1, 2, 16)
	case 'u':
		return number(s, 1, 4, 16)
	case 'U':
		return number(s, 1, 8, 16)
	case '0', '1', '2', '3':
		return number(s, 0, 3, 8)
	}
	return `\` + s[:1], 1
}

// number reads the code of a character.
func number(s string, start, digits, base int) (text string, n int) {
	if len(s) < start+digits {
		return `\` + s[:1], 1
	}
	bits := 32
	if digits < 4 {
		bits = 8
	}
	code, err := strconv.ParseUint(s[start:start+digits], base, bits)
	if err != nil || code == 0 {
		return `\` + s[:1], 1
	}
	if bits == 8 {
		return string([]byte{byte(code & 0xff)}), start + digits
	}
	if code > utf8.MaxRune {
		return `\` + s[:1], 1
	}
	return string(rune(code)), start + digits
}

// allWords are the words of several assignments.
func allWords(as []assignment) []word {
	var all []word
	for _, a := range as {
		all = append(all, a.words()...)
	}
	return all
}

// specifier finds a % that systemd replaces, as in %i; empty: there is none.
func specifier(s string) string {
	for i := 0; i+1 < len(s); i++ {
		if s[i] != '%' {
			continue
		}
		if s[i+1] != '%' {
			return s[i : i+2]
		}
		i++
	}
	return ""
}
