package shell

import (
	"bytes"
	"path"
	"slices"
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/users"
)

// last is a set of programs that may be the last that a script ran in the foreground.
type last uint8

const (
	lastAsRoot last = 1 << iota
	lastDropped
)

// startup finds out as whom a start-up ends: by the program that takes the script's place, or else by the last
// that it waits for.
type startup struct {
	image  Image
	does   effects // what is done to users before
	found  *guard.Drop
	asRoot bool // a way leads to a program that is run as root
}

var _ listener = (*startup)(nil)

func (s *startup) runs(m *machine, c call) verdict {
	s.does.runs(m, c)
	switch {
	case c.exec:
		s.asRoot = true
	case !incidental(c.argv[0]):
		m.now.last = lastAsRoot
	}
	return succeeds(c.argv)
}

func (s *startup) drops(m *machine, d guard.Drop, c call) {
	if d.To == notRoot() {
		switch u := s.user(userPart(d.Spec)); {
		case u.Root(): // by another name
			s.runs(m, call{argv: []string{d.By}, exec: c.exec})
			return
		case u.Missing == "" && (u.UID != guard.AnyID() || s.sets(userPart(d.Spec))): // otherwise it fails, or nothing is known
			d.To, d.Certain = u.UID, d.Certain && u.NotRoot()
		}
	}
	if c.exec {
		s.take(&d)
		return
	}
	m.now.last, m.now.drop = lastDropped, &d
}

// user resolves a name, as things are.
func (s *startup) user(name string) guard.User {
	if s.image.User != nil {
		return s.image.User(name, s.does.out.Users)
	}
	return users.Unknown("").After(name, s.does.out.Users)
}

// sets reports whether something was done to the user, or to everybody.
func (s *startup) sets(name string) bool {
	return slices.ContainsFunc(s.does.out.Users, func(c users.Change) bool {
		return c.Name == name && (c.Kind == users.AddUser || c.Kind == users.SetUser) || c.Kind == users.Replaced && c.Name != "group"
	})
}

func (s *startup) writes(m *machine, w write) { s.does.writes(m, w) }

// exits looks at what ran last. A script that fails starts nothing.
func (s *startup) exits(m *machine, failure bool) {
	if failure {
		return
	}
	if m.now.last&lastDropped != 0 && m.now.drop != nil {
		s.take(m.now.drop)
	}
	if m.now.last&lastAsRoot != 0 {
		s.asRoot = true
	}
}

func (s *startup) take(d *guard.Drop) {
	if s.found == nil {
		c := *d
		s.found = &c
		return
	}
	f := s.found
	f.To = guard.ID{Least: min(f.To.Least, d.To.Least), Most: max(f.To.Most, d.To.Most)}
	f.Certain = f.Certain && d.Certain
}

// result is the drop, if there is one.
func (s *startup) result(lost bool) *guard.Drop {
	if s.found == nil {
		return nil
	}
	s.found.Certain = s.found.Certain && !s.asRoot && !lost
	return s.found
}

// incidental reports whether a program only prepares: what it does is not what the container is for.
func incidental(name string) bool {
	if !known(name) {
		return false
	}
	c := classOf(path.Base(name))
	return c == tool || c == account || c == query || c == mode
}

// succeeds is a program's exit status, as far as it can be told: those that ask something may fail.
func succeeds(argv []string) verdict {
	if !known(argv[0]) {
		return perhaps
	}
	if classOf(path.Base(argv[0])) == query {
		return perhaps
	}
	return yes
}

// Image is what is known of the image that a command starts in. The zero value knows nothing.
type Image struct {
	Env  func(name string) (value string, set bool)  // its variables
	File func(name string) (content []byte, ok bool) // the content of a script; nil: of none
	// User resolves a name after changes of the image's users; nil: all names that are not root's are somebody else's.
	User func(name string, after []users.Change) guard.User
}

// CommandDrop is [Image.CommandDrop] in an image of which nothing is known.
func CommandDrop(argv []string) *guard.Drop { return Image{}.CommandDrop(argv) }

// ScriptDrop is [Image.ScriptDrop] in an image of which nothing is known.
func ScriptDrop(script []byte, args []string) *guard.Drop { return Image{}.ScriptDrop(script, args) }

// CommandDrop says whether a command that is started as root gives it up by what stands in the command itself:
// "gosu redis redis-server", "/bin/sh -c 'exec su-exec app …'", "setpriv --reuid=1000 …", "chroot --userspec=…",
// "s6-setuidgid", "su -c", "runuser", "sudo -u", "chpst -u", "start-stop-daemon --chuid". Where is left to the caller.
func (i Image) CommandDrop(argv []string) *guard.Drop {
	if len(argv) == 0 || !plain(argv) || !mentionsDrop(strings.Join(argv, " ")) {
		return nil
	}
	s := &startup{image: i}
	m := newMachine(s, i.Env)
	m.file, s.does.machine = i.File, m
	m.program(call{argv: argv, exec: true})
	return s.result(m.lost)
}

// ScriptDrop says whether a start-up script that is started as root with these arguments gives it up; nil: no, or
// it cannot be seen.
func (i Image) ScriptDrop(script []byte, args []string) *guard.Drop {
	if !plain(args) || bytes.ContainsAny(script, marks) || len(script) > maxSource {
		return nil
	}
	text := string(script)
	if !mentionsDrop(text) && !mentionsDrop(strings.Join(args, " ")) {
		return nil
	}
	s := &startup{image: i}
	m := newMachine(s, i.Env)
	m.file, s.does.machine = i.File, m
	m.name = "/entrypoint"
	m.now.params = args
	line, _, _ := strings.Cut(text, "\n")
	m.bash = strings.Contains(line, "bash") || strings.Contains(line, "zsh")
	switch interpreter(line) {
	case "sh":
		if f, _ := m.follow(text); !f.ends() || f&back != 0 {
			m.exits(m, false)
		}
	case "execline":
		m.program(call{argv: append(execline(text), args...), exec: true})
	default:
		return nil
	}
	return s.result(m.lost)
}

func plain(words []string) bool { return !strings.ContainsAny(strings.Join(words, ""), marks) }

// mentionsDrop is a quick look for any program that becomes somebody else.
func mentionsDrop(text string) bool {
	for _, name := range []string{
		"gosu", "su", "setuidgid", "uidgid", "setpriv", "chroot", "runuser", "doas", "chpst", "start-stop-daemon", "capsh",
		"unshare", "nsenter",
	} {
		if strings.Contains(text, name) {
			return true
		}
	}
	return false
}

// interpreter says what a script's first line makes of it: "sh", "execline", or "" for anything else.
func interpreter(line string) string {
	rest, ok := strings.CutPrefix(line, "#!")
	if !ok {
		return "sh" // a text without that line is run by the shell that starts it
	}
	for word := range strings.FieldsSeq(rest) {
		base := path.Base(word)
		_, wraps := wrapperOf(base)
		switch {
		case isShell(base):
			return "sh"
		case base == "execlineb":
			return "execline"
		case wraps, base == "env", strings.HasPrefix(word, "-"):
		default:
			return ""
		}
	}
	if strings.Contains(rest, "with-contenv") {
		return "execline"
	}
	return ""
}

// execline are the words of an execline script, which are one command.
func execline(text string) []string {
	var words []string
	for line := range strings.Lines(text) {
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		words = append(words, strings.Fields(line)...)
	}
	return words
}
