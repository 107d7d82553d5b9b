package hint

import "strings"

// Word is a word as it is typed in a POSIX shell: between quotes where it must be.
func Word(text string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-./:=,@%+", r)
	}
	if text != "" && strings.TrimFunc(text, plain) == "" {
		return text
	}
	return Quoted(text)
}

// Quoted is a word between quotes, whatever it consists of.
func Quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// Command is a command line of words.
func Command(words ...string) string {
	typed := make([]string, len(words))
	for i, text := range words {
		typed[i] = Word(text)
	}
	return strings.Join(typed, " ")
}
