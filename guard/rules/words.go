package rules

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The most that a message shows of one value, of an explanation, and of a list.
const (
	maxValue = 80
	maxText  = 300
	maxList  = 6
)

// short is a value as a message may show it: on one line, not too long, without control characters.
func short(value string) string { return cut(value, maxValue) }

// cut is the first characters of a text, those that would change the look of a terminal replaced.
func cut(text string, limit int) string {
	n := 0
	clean := strings.Map(func(r rune) rune {
		n++
		switch {
		case n > limit:
			return -1
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return utf8.RuneError
		}
		return r
	}, text)
	if n > limit {
		clean += "…"
	}
	return clean
}

// list joins values, the first ones of many.
func list(values []string) string {
	shown := make([]string, 0, maxList)
	for _, v := range values[:min(len(values), maxList)] {
		shown = append(shown, short(v))
	}
	text := strings.Join(shown, ", ")
	if more := len(values) - len(shown); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// verb is "is" for one value and "are" for more.
func verb(values []string) string {
	if len(values) == 1 {
		return "is"
	}
	return "are"
}
