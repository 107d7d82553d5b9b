package proof

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// markup are the characters that Markdown, or a table in it, sees something in.
const markup = "\\`*_[]<>&~|#$!"

// prose is a text within Markdown in which nothing is markup. It can stand in a table.
func prose(text string) string {
	var b strings.Builder
	runes := []rune(plain(text))
	for i, r := range runes {
		within := i > 0 && i < len(runes)-1 && isLetter(runes[i-1]) && isLetter(runes[i+1])
		if strings.ContainsRune(markup, r) && (r != '_' || !within) { // one within a word is no markup
			fmt.Fprintf(&b, "&#%d;", r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

func isLetter(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// code is a text as it was found: a path, a command. It can stand in a table.
func code(text string) string {
	text = plain(text)
	switch {
	case text == "":
		return ""
	case strings.ContainsAny(text, "`|\\") || strings.TrimSpace(text) != text:
		return "<code>" + prose(text) + "</code>" // no quotes there could be in a code span
	}
	return "`" + text + "`"
}

// codes are texts as they were found, with commas between them.
func codes(list []string) string {
	quoted := make([]string, len(list))
	for i, text := range list {
		quoted[i] = code(text)
	}
	return strings.Join(quoted, ", ")
}

// fenced is a block of text as it was found, but for what cannot be seen.
func fenced(language, text string) string {
	text = strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || strconv.IsPrint(r) {
			return r
		}
		return '?'
	}, strings.ToValidUTF8(text, "?"))
	fence := "```"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	return fence + language + "\n" + strings.TrimSuffix(text, "\n") + "\n" + fence + "\n"
}

// table is a table: the first row is its head. Empty where there are no other rows.
func table(rows ...[]string) string {
	if len(rows) < 2 {
		return ""
	}
	var b strings.Builder
	for i, row := range rows {
		b.WriteString("| " + strings.Join(row, " | ") + " |\n")
		if i == 0 {
			b.WriteString(strings.Repeat("|---", len(row)) + "|\n")
		}
	}
	return b.String()
}

// counted is a number of things: "1 trial", "3 trials".
func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
