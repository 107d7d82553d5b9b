package compose

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/load/yamltree"
)

// refusal is compose-go's error with the line that it speaks of: of the value whose path it names, of the service it
// names, or as it says itself.
func (f *file) refusal(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	whole := err.Error()
	text := whole
	for _, prefix := range []string{"validating ", "failed to parse "} {
		if rest, ok := strings.CutPrefix(text, prefix); ok {
			if _, message, found := strings.Cut(rest, ": "); found {
				text = message
			}
		}
	}
	for _, prefix := range []string{"yaml: ", "construct errors:"} {
		text = strings.TrimSpace(strings.TrimPrefix(text, prefix))
	}
	text, _, _ = strings.Cut(text, "\n") // what follows are further errors, or advice
	if key, ok := strings.CutSuffix(text, " false schema"); ok {
		text = key + " is no key of compose files"
	}
	line, text := ownLine(text)
	if line == 0 {
		line = f.lineOf(text)
	}
	if line == 0 {
		line = f.taken(whole)
	}
	return &guard.SyntaxError{Line: max(line, 1), Text: strings.TrimSpace(text)}
}

// ownLine cuts the lines that a message begins with. The last is the most exact; it is 0 where there is none.
func ownLine(text string) (int, string) {
	last := 0
	for {
		rest, ok := strings.CutPrefix(text, "line ")
		number, message, found := strings.Cut(rest, ": ")
		line, err := strconv.Atoi(number)
		if !ok || !found || err != nil {
			return last, text
		}
		last, text = line, strings.TrimPrefix(message, "yaml: ")
	}
}

// lineOf is the line of what a message names; 0 where it names nothing that is there.
func (f *file) lineOf(text string) int {
	sections := []string{"services", "jobs", "networks", "volumes", "configs", "secrets", "include", "models", "name"}
	for word := range strings.FieldsSeq(text) {
		word = strings.Trim(word, `:;,"'`)
		first, _, _ := strings.Cut(word, ".")
		if !slices.Contains(sections, first) || first == word {
			continue
		}
		for _, document := range f.documents {
			if n := deepest(document, word); n.Exists() && n.KeyPlace().Line > 0 {
				return n.KeyPlace().Line
			}
		}
	}
	parts := strings.Split(text, `"`)
	for i := 1; i < len(parts); i += 2 {
		for _, section := range sections {
			if n := f.get(section, parts[i]); n.Exists() {
				return n.KeyPlace().Line
			}
		}
	}
	return f.unwanted(text)
}

// unwanted is the line of a key at the top that should not be there.
func (f *file) unwanted(text string) int {
	for _, document := range f.documents {
		for key, value := range document.Pairs() {
			if strings.Contains(text, "'"+key+"'") {
				return value.KeyPlace().Line
			}
		}
	}
	return 0
}

// taken is the line of the file or service that is included or extended, and that a message names.
func (f *file) taken(text string) int {
	words := strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \n,;", r) })
	named := func(n yamltree.Node) bool {
		return n.Text() != "" && slices.Contains(words, f.environment.expand(n.Text()))
	}
	for _, section := range []string{"services", "jobs"} {
		for _, service := range f.get(section).Pairs() {
			extends := service.Get("extends")
			if named(extends.Get("file")) || named(extends.Get("service")) || named(extends) {
				return extends.KeyPlace().Line
			}
		}
	}
	for _, item := range f.get("include").Items() {
		paths := append(item.Get("path").Items(), item, item.Get("path"))
		if slices.ContainsFunc(paths, named) {
			return item.Line()
		}
	}
	return 0
}

// deepest follows a path with points as far as there is something. Names may have points themselves.
func deepest(n yamltree.Node, path string) yamltree.Node {
	for path != "" {
		next, rest := yamltree.Node{}, ""
		head, tail, _ := strings.Cut(path, ".")
		if i, err := strconv.Atoi(strings.Trim(head, "[]")); err == nil {
			next, rest = n.Get(i), tail
		}
		for key, value := range n.Pairs() {
			if path == key {
				next, rest = value, ""
			} else if behind, ok := strings.CutPrefix(path, key+"."); ok {
				next, rest = value, behind
			}
		}
		if !next.Exists() {
			return n
		}
		n, path = next, rest
	}
	return n
}
