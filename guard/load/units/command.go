package units

import (
	"path"
	"slices"
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
)

// commandLine is one command of ExecStart= or its like.
type commandLine struct {
	prefix   string // "-", "+", "!", "@", ":" and combinations
	prefixAt guard.Location
	words    []word // not empty
}

// full reports whether the command starts with root's rights, whatever User= says. "!!" is for systems without
// ambient capabilities, which no kernel of the last ten years is.
func (l commandLine) full() bool {
	return strings.Contains(l.prefix, "+") || strings.Count(l.prefix, "!") == 1
}

// command is what is started.
func (l commandLine) command() guard.Command {
	first, last := l.words[0].at, l.words[len(l.words)-1].at
	c := guard.Command{Where: guard.Location{
		Path: first.Path, Line: first.Line, Column: first.Column, EndLine: last.EndLine, EndColumn: last.EndColumn,
	}}
	words := l.words
	if strings.Contains(l.prefix, "@") && len(words) > 1 { // the second word is what the program shall take for its name
		words = slices.Concat(words[:1], words[2:])
	}
	for _, w := range words {
		c.Args = append(c.Args, w.text)
	}
	c.Shell = len(c.Args) > 2 && c.Args[1] == "-c" && isShell(c.Args[0])
	return c
}

func isShell(program string) bool {
	switch path.Base(program) {
	case "sh", "bash", "dash", "ash":
		return true
	}
	return false
}

// commands are the commands of a key.
func (s *service) commands(key string) []commandLine {
	var all []commandLine
	for _, a := range s.list(section, key) {
		var words []word
		for _, w := range a.words() {
			if w.text == ";" && w.plain {
				all = appendCommand(all, words)
				words = nil
				continue
			}
			words = append(words, w)
		}
		all = appendCommand(all, words)
	}
	return all
}

// appendCommand takes the prefix off a command.
func appendCommand(all []commandLine, words []word) []commandLine {
	if len(words) == 0 {
		return all
	}
	first := words[0]
	program := strings.TrimLeft(first.text, "-@:+!|")
	if program == "" {
		return all
	}
	n := len(first.text) - len(program)
	l := commandLine{prefix: first.text[:n], prefixAt: first.at}
	if first.plain {
		l.prefixAt.EndColumn = first.at.Column + max(n, 1)
	}
	l.words = append([]word{first.from(n)}, words[1:]...)
	return append(all, l)
}

// runs is the container that a command starts; nil: it starts none.
func (s *service) runs(l commandLine) *container {
	words := s.engineWords(l.words)
	if len(words) == 0 {
		return nil
	}
	run, rest, ok := runCommand(words)
	if !ok {
		return nil
	}
	c := &container{
		kind: guard.KindContainer, title: "service " + s.name + ", container", where: words[0].at, home: s.home,
	}
	c.commandLine(run, rest)
	if !run.plain || run.at.Path != s.path {
		c.slot = nil
	}
	if c.image.text == "" {
		return nil
	}
	if c.name == "" {
		c.name = c.image.text
	}
	return c
}

// engineWords are the words from the name of an engine on, variables replaced: behind env, in a shell's line.
func (s *service) engineWords(words []word) []word {
	words = s.expand(words)
	switch {
	case len(words) == 0:
		return nil
	case isEngine(words[0].text):
		return words
	case path.Base(words[0].text) == "env":
		i := slices.IndexFunc(words, func(w word) bool { return isEngine(w.text) })
		if i > 0 {
			return words[i:]
		}
	case isShell(words[0].text) && len(words) > 2 && words[1].text == "-c":
		return s.shellWords(words[2])
	}
	return nil
}

// shellWords are the words of the first engine command in a shell's line. All are where the line is.
func (s *service) shellWords(line word) []word {
	var words []word
	for rest := line.text; ; {
		rest = strings.TrimLeft(rest, " \t\r\n")
		if rest == "" {
			break
		}
		text, n := cutWord(rest)
		rest = rest[n:]
		ended := strings.HasSuffix(text, ";")
		w := word{text: strings.TrimRight(text, ";"), at: line.at}
		operator := w.text == "" || strings.Trim(w.text, "&|") == ""
		switch {
		case len(words) > 0 && operator:
			return words
		case len(words) > 0 || isEngine(w.text):
			words = append(words, w)
		}
		if len(words) > 0 && ended {
			return words
		}
	}
	return words
}

// expand replaces ${NAME}, and $NAME where it is a word of its own, by what Environment= says.
func (s *service) expand(words []word) []word {
	var all []word
	for _, w := range words {
		if name, ok := strings.CutPrefix(w.text, "$"); ok && !strings.HasPrefix(name, "{") {
			if value, set := s.env[name]; set {
				for field := range strings.FieldsSeq(value) {
					all = append(all, word{text: field, at: w.at})
				}
				continue
			}
		}
		if text := s.replace(w.text); text != w.text {
			w = word{text: text, at: w.at}
		}
		all = append(all, w)
	}
	return all
}

// replace replaces ${NAME} in a text.
func (s *service) replace(text string) string {
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(text, "${")
		name, after, closed := strings.Cut(rest, "}")
		value, set := s.env[name]
		if !ok || !closed {
			return b.String() + text
		}
		b.WriteString(before)
		if set {
			b.WriteString(value)
		} else {
			b.WriteString("${" + name + "}")
		}
		text = after
	}
}
