package shell

import (
	"slices"
	"strconv"
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
)

// Words are strings in which what could not be expanded stands between two marks, as it was written. The marks
// cannot be part of a shell's word; a text that holds one is no shell script.
const (
	mark      = "\x00"
	looseMark = "\x01" // it was not quoted: it may become no word, or several
	marks     = mark + looseMark
)

// open is a part of a word that could not be expanded.
func open(raw string, quoted bool) string {
	if quoted {
		return mark + raw + mark
	}
	return looseMark + raw + looseMark
}

// known reports whether all of a word could be expanded; loose, whether it may become no word or several.
func known(word string) bool { return !strings.ContainsAny(word, marks) }
func loose(word string) bool { return strings.Contains(word, looseMark) }

// shown is the word for people: what could not be expanded as it was written.
func shown(word string) string {
	if known(word) {
		return word
	}
	return strings.NewReplacer(mark, "", looseMark, "").Replace(word)
}

// quote makes a word's open parts quoted ones.
func quote(word string) string { return strings.ReplaceAll(word, looseMark, mark) }

// allShown are the words for people.
func allShown(words []string) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = shown(w)
	}
	return out
}

func anyLoose(words []string) bool {
	return slices.ContainsFunc(words, loose)
}

// parseID reads a uid or gid as programs do: digits, and perhaps a plus.
func parseID(word string) (guard.ID, bool) {
	n, err := strconv.ParseUint(strings.TrimPrefix(word, "+"), 10, 31)
	if err != nil {
		return guard.ID{}, false
	}
	return guard.Exactly(uint32(n)), true
}

// notRoot is the id of a user of whom only that is known.
func notRoot() guard.ID { return guard.ID{Least: 1, Most: guard.MaxID} }
