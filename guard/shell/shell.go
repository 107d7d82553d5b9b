// Package shell reads shell lines and scripts for what they do to users, privileges and files of an image. It
// parses (mvdan.cc/sh), expands what it can, and never runs anything. What it cannot follow it says nothing about,
// except where saying nothing would be taken for a "no": then it answers with a range or with Certain false.
package shell

import (
	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/users"
)

// Effects is what a RUN step does.
type Effects struct {
	Step  guard.Step // without its place
	Users []users.Change
}

// Line reads a line for /bin/sh, as of RUN's shell form (heredocs of RUN included: a whole script). env gives the
// values of ENV and ARG; it may be nil.
func Line(line string, env func(name string) (string, bool)) Effects { return Effects{} }

// Argv reads an exec form.
func Argv(argv []string) Effects { return Effects{} }

// CommandDrop says whether a command that is started as root gives it up by what stands in the command itself:
// "gosu redis redis-server", "/bin/sh -c 'exec su-exec app …'", "setpriv --reuid=1000 …", "chroot --userspec=…",
// "s6-setuidgid", "su -c", "runuser", "sudo -u", "chpst -u", "start-stop-daemon --chuid". Where is left to the caller.
func CommandDrop(argv []string) *guard.Drop { return nil }

// Scripts are the paths of the scripts that a command runs first, as far as they can be seen in it: argv[0], or
// the file that a shell, tini, dumb-init or the like is given.
func Scripts(argv []string) []string { return nil }

// ScriptDrop says whether a start-up script that is started as root with these arguments gives it up; nil: no, or
// it cannot be seen.
func ScriptDrop(script []byte, args []string) *guard.Drop { return nil }
