package shell

import (
	"path"
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
)

// Script is a script or program that a command runs, with the arguments it is given.
type Script struct {
	Path string // absolute, relative to the working directory, or to be looked for in PATH
	Args []string
}

// Scripts are the paths of the scripts that a command runs first, as far as they can be seen in it: argv[0], or
// the file that a shell, tini, dumb-init or the like is given.
func Scripts(argv []string) []string {
	var paths []string
	for _, s := range Started(argv) {
		paths = append(paths, s.Path)
	}
	return paths
}

// Started are the scripts and programs that a command runs as the user it is started as, in order, with their
// arguments as [ScriptDrop] wants them. Programs that only start others are taken off.
func Started(argv []string) []Script {
	if len(argv) == 0 || !plain(argv) {
		return nil
	}
	s := &starter{}
	m := newMachine(s, nil)
	m.program(call{argv: argv, exec: true})
	return s.scripts
}

// starter collects what is started.
type starter struct{ scripts []Script }

var _ listener = (*starter)(nil)

// maxStarted bounds what is looked at: the first of a line are those that matter.
const maxStarted = 8

func (s *starter) runs(m *machine, c call) verdict {
	argv := c.argv
	if script, ok := shellScript(argv); ok {
		argv = script
	}
	if known(argv[0]) && argv[0] != "" && !incidental(argv[0]) && !isShell(argv[0]) && len(s.scripts) < maxStarted {
		p := argv[0]
		if strings.Contains(p, "/") && m.now.cwd != "" && !path.IsAbs(p) {
			p = path.Join(m.now.cwd, p)
		}
		s.scripts = append(s.scripts, Script{Path: p, Args: allShown(argv[1:])})
	}
	return succeeds(c.argv)
}

func (s *starter) drops(*machine, guard.Drop, call) {}
func (s *starter) writes(*machine, write)           {}
func (s *starter) exits(*machine, bool)             {}
