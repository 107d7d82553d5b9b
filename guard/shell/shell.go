// Package shell reads shell lines and scripts for what they do to users, privileges and files of an image. It
// parses (mvdan.cc/sh), expands what it can, and never runs anything. What it cannot follow it says nothing about,
// except where saying nothing would be taken for a "no": then it answers with a range or with Certain false.
package shell

import (
	"path"
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/users"
)

// Effects is what a RUN step does.
type Effects struct {
	Step  guard.Step // without its place
	Users []users.Change
}

// Line reads a line for a shell, as of RUN's shell form (heredocs of RUN included: a whole script).
func Line(line string, at Place) Effects {
	if at.Dir != "/etc" && !interesting(line) {
		return Effects{}
	}
	e := &effects{}
	m := at.machine(e)
	e.machine, m.aside = m, true
	first, _, _ := strings.Cut(line, "\n")
	if !plain([]string{line}) || interpreter(first) != "sh" {
		e.stranger("a script")
		return e.out
	}
	m.bash = m.bash || isBash(path.Base(strings.TrimSpace(first)))
	m.follow(line)
	if m.lost {
		e.stranger("a line that cannot be followed")
	}
	return e.out
}

// Argv reads an exec form.
func Argv(argv []string, at Place) Effects {
	if len(argv) == 0 || !plain(argv) {
		return Effects{}
	}
	e := &effects{}
	m := at.machine(e)
	e.machine, m.aside = m, true
	m.program(call{argv: argv})
	if m.lost {
		e.stranger("a line that cannot be followed")
	}
	return e.out
}
