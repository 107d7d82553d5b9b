package images

import (
	"encoding/json"
	"iter"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/shell"
)

// steps are what an image's history says was done to make it. Builders write an instruction into created_by in
// several ways:
//
//	RUN /bin/sh -c apt-get update # buildkit
//	RUN |1 VERSION=2 /bin/sh -c make # buildkit
//	COPY --chown=app:app . /srv # buildkit
//	/bin/sh -c apt-get update
//	|1 VERSION=2 /bin/sh -c make
//	/bin/sh -c #(nop) COPY file:0123 in /srv
func steps(img *guard.Image, at guard.Location) []guard.Step {
	var all []guard.Step
	dir := "/"
	for _, h := range img.Config.History {
		word, rest := instruction(h.CreatedBy)
		var s guard.Step
		switch word {
		case "RUN":
			args, line := cutArgs(rest)
			s = runStep(img, args, line)
		case "COPY", "ADD":
			s = copyStep(rest, dir)
		case "WORKDIR":
			dir = path.Join("/", relativeTo(dir, strings.TrimSpace(rest)))
			continue
		default:
			continue
		}
		if !isEmpty(s) {
			s.Where = at
			all = append(all, s)
		}
	}
	return all
}

// instruction takes created_by apart; the word is empty for what no Dockerfile made.
func instruction(createdBy string) (word, rest string) {
	text := strings.TrimSpace(createdBy)
	text = strings.TrimSpace(strings.TrimSuffix(text, "# buildkit"))
	if nop, ok := strings.CutPrefix(text, "/bin/sh -c #(nop)"); ok {
		text = strings.TrimSpace(nop)
	} else if strings.HasPrefix(text, "/bin/sh -c ") || strings.HasPrefix(text, "|") || strings.HasPrefix(text, "/bin/bash ") {
		return "RUN", text
	}
	word, rest, _ = strings.Cut(text, " ")
	switch word {
	case "RUN", "COPY", "ADD", "WORKDIR", "ARG":
		return word, strings.TrimSpace(rest)
	}
	return "", ""
}

// cutArgs takes off the build arguments that stand before a command: "|2 A=1 B=2 /bin/sh -c …". Their values are
// not quoted, so one with blanks in it reaches into the next.
func cutArgs(text string) (args []string, rest string) {
	count, after, ok := strings.Cut(text, " ")
	n, err := strconv.Atoi(strings.TrimPrefix(count, "|"))
	if !ok || !strings.HasPrefix(count, "|") || err != nil || n < 0 {
		return nil, text
	}
	command := commandStart(after)
	for f := range strings.FieldsSeq(after[:command]) {
		if name, _, found := strings.Cut(f, "="); (found && isName(name)) && len(args) < n {
			args = append(args, f)
		} else if len(args) > 0 {
			args[len(args)-1] += " " + f
		}
	}
	return args, after[command:]
}

// commandStart is where the command begins after build arguments: at the shell, if there is one.
func commandStart(text string) int {
	for _, start := range []string{"/bin/sh -", "/bin/bash -", "/bin/ash -", "/usr/bin/bash -", "/bin/zsh -"} {
		if i := strings.Index(text, start); i >= 0 {
			return i
		}
	}
	at := 0
	for at < len(text) {
		word, _, more := strings.Cut(text[at:], " ")
		if !strings.Contains(word, "=") || !more {
			break
		}
		at += len(word) + 1
	}
	return at
}

func isName(s string) bool {
	return s != "" && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") == ""
}

// runStep reads a command, without the shell that ran it.
func runStep(img *guard.Image, args []string, line string) guard.Step {
	env := func(name string) (string, bool) {
		for _, list := range [][]string{img.Config.Config.Env, args} {
			for _, e := range list {
				if value, ok := strings.CutPrefix(e, name+"="); ok {
					return value, true
				}
			}
		}
		return "", false
	}
	return shell.Line(withoutShell(line), shell.Place{Env: env}).Step
}

// withoutShell is the line that a shell was given: of "/bin/bash -o pipefail -c make install", "make install".
func withoutShell(line string) string {
	first, rest, _ := strings.Cut(line, " ")
	switch path.Base(first) {
	case "sh", "bash", "ash", "dash", "zsh", "ksh":
	default:
		return line
	}
	for rest != "" {
		word, after, _ := strings.Cut(rest, " ")
		switch {
		case strings.HasPrefix(word, "-") && strings.HasSuffix(word, "c"):
			return after
		case strings.HasPrefix(word, "-"), word == "pipefail", word == "errexit", word == "nounset":
			rest = after
		default:
			return line // a script
		}
	}
	return line
}

// copyStep reads who gets what COPY and ADD bring.
func copyStep(rest, dir string) guard.Step {
	owner := ""
	for strings.HasPrefix(rest, "--") {
		flag, after, _ := strings.Cut(rest, " ")
		if value, ok := strings.CutPrefix(flag, "--chown="); ok {
			owner = value
		}
		rest = strings.TrimSpace(after)
	}
	target := destination(rest)
	if owner == "" || target == "" || isRootOwner(owner) {
		return guard.Step{}
	}
	return guard.Step{Gives: []guard.Ownership{{
		Path: path.Join("/", relativeTo(dir, target)), Owner: owner, Recursive: true, Copy: true,
	}}}
}

func destination(rest string) string {
	var words []string
	if json.Unmarshal([]byte(rest), &words) != nil {
		words = strings.Fields(rest)
	}
	if len(words) < 2 {
		return ""
	}
	return words[len(words)-1]
}

func isRootOwner(owner string) bool {
	user, _, _ := strings.Cut(owner, ":")
	return user == "root" || strings.Trim(user, "0") == ""
}

func relativeTo(dir, name string) string {
	if path.IsAbs(name) {
		return name
	}
	return path.Join(dir, name)
}

func isEmpty(s guard.Step) bool {
	return s.Manager == "" && !s.Sudoers &&
		len(s.Installs)+len(s.Removes)+len(s.Setuid)+len(s.Opens)+len(s.Gives) == 0
}

// historyArgs are the build arguments that an entry of the history shows.
func historyArgs(createdBy string) iter.Seq2[string, string] {
	word, rest := instruction(createdBy)
	var args []string
	switch word {
	case "RUN":
		args, _ = cutArgs(rest)
	case "ARG":
		args = slices.DeleteFunc(strings.Fields(rest), func(f string) bool { return !strings.Contains(f, "=") })
	}
	return func(yield func(string, string) bool) {
		for _, a := range args {
			name, value, _ := strings.Cut(a, "=")
			if !yield(name, value) {
				return
			}
		}
	}
}
