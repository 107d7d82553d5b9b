package dockerfiles

import (
	"path"
	"strings"

	"github.com/deckhand-engine/deckhand/dockerfile"
	"github.com/deckhand-engine/deckhand/guard"
)

// do follows one instruction.
func (b *build) do(s *stage, from *site, in *dockerfile.Instruction) error {
	err := b.dispatch(s, from, in)
	if err == nil || from.at != nil {
		return err
	}
	return fault(in, err)
}

func (b *build) dispatch(s *stage, from *site, in *dockerfile.Instruction) error {
	switch in.Keyword {
	case "USER":
		return b.setUser(s, from, in)
	case "ENV", "ARG":
		return b.setVariables(s, from, in)
	case "WORKDIR":
		return s.setWorkdir(in)
	case "SHELL":
		s.shell = in.Args
	case "CMD":
		s.cmd, s.cmdSet = s.newCommand(in, b.place(from, in.Range)), true
	case "ENTRYPOINT":
		s.entrypoint = s.newCommand(in, b.place(from, in.Range))
		if !s.cmdSet {
			s.cmd = command{}
		}
	case "EXPOSE":
		return b.expose(s, from, in)
	case "RUN":
		b.run(s, from, in)
	case "COPY", "ADD":
		return b.copy(s, from, in)
	}
	return nil
}

// setVariables is ENV or ARG.
func (b *build) setVariables(s *stage, from *site, in *dockerfile.Instruction) error {
	names := make([]string, len(in.Pairs))
	for i, p := range in.Pairs {
		names[i] = p.Name
		if in.Keyword == "ENV" {
			e, err := s.scope.Expand(p.Name)
			if err != nil {
				return err
			}
			names[i] = e.Value
		}
	}
	if err := s.scope.Apply(in); err != nil {
		return err
	}
	for i := range in.Pairs {
		value, _ := s.scope.Get(names[i])
		s.variables = append(s.variables, guard.Variable{
			Name: names[i], Value: value, Arg: in.Keyword == "ARG", Where: b.place(from, from.file.ArgRange(in, i)),
		})
	}
	return nil
}

func (s *stage) setWorkdir(in *dockerfile.Instruction) error {
	e, err := s.scope.Expand(in.Args[0])
	if err != nil {
		return err
	}
	if len(e.Empty) > 0 && s.base.why != "" {
		s.workdir = "" // the base image may set what it is made of
		return nil
	}
	s.workdir = joinPath(s.workdir, e.Value)
	return nil
}

// joinPath is the absolute path of a name in a directory; empty: the directory is needed and not known.
func joinPath(dir, name string) string {
	switch {
	case path.IsAbs(name):
		return path.Clean(name)
	case dir == "":
		return ""
	}
	return path.Join(dir, name)
}

// command is CMD or ENTRYPOINT.
type command struct {
	args  []string // argv
	shell bool     // shell form
	where guard.Location
}

func (s *stage) newCommand(in *dockerfile.Instruction, where guard.Location) command {
	if in.JSON {
		return command{args: in.Args, where: where}
	}
	shell := s.shell
	if len(shell) == 0 {
		shell = []string{"/bin/sh", "-c"}
	}
	argv := make([]string, 0, len(shell)+1)
	argv = append(argv, shell...)
	return command{args: append(argv, strings.Join(in.Args, " ")), shell: true, where: where}
}

// command is what the image starts.
func (s *stage) command() guard.Command {
	if len(s.entrypoint.args) == 0 {
		return guard.Command{Args: s.cmd.args, Shell: s.cmd.shell, Where: s.cmd.where}
	}
	argv := make([]string, 0, len(s.entrypoint.args)+len(s.cmd.args))
	argv = append(append(argv, s.entrypoint.args...), s.cmd.args...)
	return guard.Command{Args: argv, Shell: s.entrypoint.shell, Where: s.entrypoint.where}
}
