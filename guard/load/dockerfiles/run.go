package dockerfiles

import (
	"path"
	"slices"
	"strings"

	"github.com/deckhand-engine/deckhand/dockerfile"
	"github.com/deckhand-engine/deckhand/guard/shell"
	"github.com/deckhand-engine/deckhand/guard/users"
)

// run is RUN.
func (b *build) run(s *stage, from *site, in *dockerfile.Instruction) {
	effects := s.effects(in)
	effects.Step.Where = b.place(from, in.Range)
	s.steps = append(s.steps, effects.Step)
	s.events = append(s.events, event{changes: effects.Users, as: s.user, run: in, at: s.place(in)})
}

// maxRead is how many steps are read to find out whether they change a file.
const maxRead = 2000

// changes reports whether a step changes a file, or may.
func (b *build) changes(e *event, file string) bool {
	if e.run == nil {
		return false
	}
	line := script(e.run)
	if !strings.Contains(line, path.Base(file)) && !strings.ContainsAny(line, "*?[{") {
		return false
	}
	if b.read++; b.read > maxRead {
		return true
	}
	if e.run.JSON {
		return shell.ArgvWrites(e.run.Args, e.at, file)
	}
	return shell.Writes(line, e.at, file)
}

// effects are what the step does, as far as it can be read.
func (s *stage) effects(in *dockerfile.Instruction) shell.Effects {
	if in.JSON {
		return shell.Argv(in.Args, s.place(in))
	}
	line := strings.Join(in.Args, " ")
	if h := in.Heredoc(line); h != nil { // nothing but the document
		body := script(in)
		if interpreter, found := strings.CutPrefix(body, "#!"); found && !isShell(strings.Fields(firstLine(interpreter))) {
			return ofAnother(strings.TrimSpace(firstLine(interpreter)))
		}
		if strings.HasPrefix(body, "#!") {
			return shell.Line(body, s.place(in))
		}
		return s.line(body, s.place(in))
	}
	return s.line(script(in), s.place(in))
}

// script is what the shell is given.
func script(in *dockerfile.Instruction) string {
	line := strings.Join(in.Args, " ")
	if h := in.Heredoc(line); h != nil {
		return in.Heredocs[0].Body()
	}
	if len(in.Heredocs) == 0 {
		return line
	}
	var whole strings.Builder
	whole.WriteString(line)
	for _, h := range in.Heredocs {
		whole.WriteString("\n" + h.Content + h.Name)
	}
	return whole.String()
}

// line reads a line for the stage's shell.
func (s *stage) line(line string, at shell.Place) shell.Effects {
	if len(s.shell) > 0 && !isShell(s.shell) {
		return ofAnother(s.shell[0])
	}
	return shell.Line(line, at)
}

// place is where the step is run. The environment is known to its end where the base image is.
func (s *stage) place(in *dockerfile.Instruction) shell.Place {
	at := shell.Place{Env: s.scope.Get, Dir: s.workdir, Shell: s.shell}
	secret := slices.ContainsFunc(in.Flags, func(flag string) bool { return strings.Contains(flag, "env=") })
	if s.base.why == "" && !secret {
		at.Unset = func(name string) bool { return !s.scope.Declared(name) }
	}
	return at
}

// ofAnother are the effects of a script of another language: it may add users.
func ofAnother(interpreter string) shell.Effects {
	return shell.Effects{Users: []users.Change{{
		Kind: users.AddUser, Why: "a script of " + interpreter + " is run, which may add the user",
	}}}
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// isShell reports whether a command line begins with a shell of the Bourne family, be it by way of env.
func isShell(argv []string) bool {
	for i, arg := range argv {
		switch name := path.Base(arg); {
		case slices.Contains([]string{"sh", "bash", "ash", "dash", "ksh", "mksh", "zsh", "busybox"}, name):
			return true
		case i == 0 && name == "env", strings.HasPrefix(arg, "-"), strings.Contains(arg, "="):
		default:
			return false
		}
	}
	return false
}
