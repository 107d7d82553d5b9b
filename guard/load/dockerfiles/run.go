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
	if len(effects.Users) > 0 {
		s.events = append(s.events, event{changes: effects.Users, as: s.user})
	}
}

// effects are what the step does, as far as it can be read.
func (s *stage) effects(in *dockerfile.Instruction) shell.Effects {
	if in.JSON {
		return shell.Argv(in.Args, s.scope.Get)
	}
	line := strings.Join(in.Args, " ")
	if len(in.Heredocs) == 0 {
		return s.line(line)
	}
	if h := in.Heredoc(line); h != nil { // nothing but the document
		body := in.Heredocs[0].Body()
		if interpreter, found := strings.CutPrefix(body, "#!"); found && !isShell(strings.Fields(firstLine(interpreter))) {
			return ofAnother(strings.TrimSpace(firstLine(interpreter)))
		}
		if strings.HasPrefix(body, "#!") {
			return shell.Line(body, s.scope.Get)
		}
		return s.line(body)
	}
	var whole strings.Builder
	whole.WriteString(line)
	for _, h := range in.Heredocs {
		whole.WriteString("\n" + h.Content + h.Name)
	}
	return s.line(whole.String())
}

// line reads a line for the stage's shell.
func (s *stage) line(line string) shell.Effects {
	if len(s.shell) > 0 && !isShell(s.shell) {
		return ofAnother(s.shell[0])
	}
	return shell.Line(line, s.scope.Get)
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
