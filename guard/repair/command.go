package repair

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/deckhand-engine/deckhand/internal/hint"
)

// NoShellError is a repair that must be made by a command, for an image in which none can be run.
type NoShellError struct{ Repair Repair }

// Error says what to do instead.
func (e *NoShellError) Error() string {
	return fmt.Sprintf("%s: the image has no shell to do it with; copy the file with COPY --chown=UID:GID or --chmod=MODE "+
		"where the Dockerfile copies it, or prepare it in an earlier stage", e.Repair)
}

// PathError is a repair whose path or text cannot be written into a Dockerfile.
type PathError struct {
	Repair Repair
	Text   string // the path or text
	Reason string
}

// Error says what is wrong with it.
func (e *PathError) Error() string { return fmt.Sprintf("%s: %q %s", e.Repair.Kind, e.Text, e.Reason) }

// add says a repair in instructions.
func (e *editor) add(r Repair) error {
	if err := r.check(); err != nil {
		return err
	}
	switch r.Kind {
	case Environ:
		name, value, _ := strings.Cut(r.Value, "=")
		e.lines = append(e.lines, line{text: "ENV " + name + "=" + e.value(value), why: r.Why, env: name})
	case Workdir:
		e.lines = append(e.lines, line{text: "WORKDIR " + e.value(r.Path), why: r.Why})
	case Entrypoint:
		e.start = &r
	case Root:
		e.whyRoot = r.Why
	default:
		return e.change(r)
	}
	return nil
}

// change says a repair of files in instructions. Of the other kinds, the image has nothing to say: whoever runs it
// does what they ask for.
func (e *editor) change(r Repair) error {
	switch r.Kind {
	case Chown:
		return e.own(r)
	case Volume:
		if err := e.own(r); err != nil {
			return err
		}
		e.lines = append(e.lines, line{text: "VOLUME " + array(e.literal(r.Path)), why: r.Why, volume: true})
	case Mode:
		return e.run(r, words("chmod", recursive(r), "o+rX", r.Path))
	case Passwd:
		return e.passwd(r)
	case StripCaps:
		return e.run(r, words("cp", "-p", r.Path, r.Path+".deckhand")+" && "+words("mv", r.Path+".deckhand", r.Path))
	case Config:
		return e.run(r, words("sed", "-i", script(r.Old, r.Value), r.Path))
	default:
	}
	return nil
}

// own gives the user a path. To root everything belongs.
func (e *editor) own(r Repair) error {
	if r.Owned || isRoot(e.o.User) && !r.Missing {
		return nil
	}
	command := words("chown", recursive(r), e.o.User, r.Path)
	if r.Missing {
		command = words("mkdir", "-p", r.Path) + " && " + command
	}
	if !e.o.NoShell || !r.Missing {
		return e.run(r, command)
	}
	e.empty = e.emptyStage()
	dir := strings.TrimSuffix(r.Path, "/") + "/"
	text := "COPY --from=" + e.empty + " --chown=" + e.o.User + " / " + dir
	if strings.ContainsFunc(dir, func(c rune) bool { return !isPlain(c) }) {
		text = "COPY --from=" + e.empty + " --chown=" + e.o.User + " " + array("/", e.literal(dir))
	}
	e.lines = append(e.lines, line{text: text, why: r.Why})
	return nil
}

// literal protects a path from the replacement of variables.
func (e *editor) literal(p string) string {
	escape := string(e.file.Escape)
	return strings.NewReplacer(escape, escape+escape, "$", escape+"$", `"`, escape+`"`, "'", escape+"'").Replace(p)
}

// run adds a command that root runs.
func (e *editor) run(r Repair, command string) error {
	if e.o.NoShell {
		return &NoShellError{Repair: r}
	}
	text := "RUN " + command
	if !e.posix {
		text = "RUN " + array("/bin/sh", "-c", command)
	}
	e.lines = append(e.lines, line{text: text, why: r.Why, root: true})
	return nil
}

// passwd adds the user's entry, and that of its group.
func (e *editor) passwd(r Repair) error {
	uid, gid, _ := strings.Cut(e.o.User, ":")
	if gid == "" {
		gid = "0"
	}
	home := r.Path
	if home == "" {
		home = "/"
	}
	user := r.Value + ":x:" + uid + ":" + gid + "::" + home + ":/usr/sbin/nologin"
	group := r.Value + ":x:" + gid + ":"
	if e.o.NoShell && r.Missing {
		e.lines = append(e.lines,
			line{text: "COPY <<\"EOF\" /etc/passwd\nroot:x:0:0:root:/root:/usr/sbin/nologin\n" + user + "\nEOF", why: r.Why},
			line{text: "COPY <<\"EOF\" /etc/group\nroot:x:0:\n" + group + "\nEOF", why: r.Why})
		return nil
	}
	return e.run(r, "echo "+hint.Quoted(user)+" >> /etc/passwd && echo "+hint.Quoted(group)+" >> /etc/group")
}

// check refuses what a Dockerfile cannot say.
func (r Repair) check() error {
	texts := append([]string{r.Path, r.Value, r.Old}, r.Argv...)
	for _, text := range texts {
		if !utf8.ValidString(text) || strings.ContainsFunc(text, isControl) {
			return &PathError{r, text, "holds a line break, a control character or what is not UTF-8"}
		}
	}
	switch r.Kind {
	case Chown, Volume, Mode, StripCaps, Config, Workdir:
		return r.reject(!path.IsAbs(r.Path), r.Path, "is not an absolute path")
	case Environ:
		name, _, set := strings.Cut(r.Value, "=")
		return r.reject(!set || !isName(name), r.Value, "is not NAME=VALUE")
	case Passwd:
		return r.reject(r.Value == "" || strings.ContainsAny(r.Value+r.Path, `:\`), r.Value, "cannot be an entry of /etc/passwd")
	case Entrypoint:
		return r.reject(len(r.Argv) == 0, "", "names no program")
	default:
	}
	return nil
}

func (r Repair) reject(wrong bool, text, reason string) error {
	if wrong {
		return &PathError{r, text, reason}
	}
	return nil
}

// isControl reports whether a character cannot be written; a tab can.
func isControl(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }

func isName(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(c rune) bool {
		return c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z')
	})
}

func recursive(r Repair) string {
	if r.Recursive {
		return "-R"
	}
	return ""
}

// words is a command for a shell. Empty words are left out.
func words(argv ...string) string {
	return hint.Command(slices.DeleteFunc(argv, func(word string) bool { return word == "" })...)
}

// isPlain reports whether the character means itself to a Dockerfile.
func isPlain(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("/._-+:@%,=", c)
}

// value is the value of a variable as ENV has it.
func (e *editor) value(value string) string {
	if value != "" && !strings.ContainsFunc(value, func(c rune) bool { return !isPlain(c) }) {
		return value
	}
	escape := string(e.file.Escape)
	return `"` + strings.NewReplacer(escape, escape+escape, "$", escape+"$", `"`, escape+`"`).Replace(value) + `"`
}

// array is a JSON form.
func array(argv ...string) string {
	elements := make([]string, len(argv))
	for i, arg := range argv {
		var b bytes.Buffer
		encoder := json.NewEncoder(&b)
		encoder.SetEscapeHTML(false)
		_ = encoder.Encode(arg) // a string can be encoded
		elements[i] = strings.TrimSuffix(b.String(), "\n")
	}
	return "[" + strings.Join(elements, ", ") + "]"
}

// script is the program of sed that replaces a whole line. It uses nothing that BusyBox lacks.
func script(old, value string) string {
	mark := "/"
	for _, c := range []string{"/", "|", ",", "#", "%", "@", "!", "~", ";", "="} {
		if !strings.Contains(old+value, c) {
			mark = c
			break
		}
	}
	escape := func(text, special string) string {
		var b strings.Builder
		for _, c := range text {
			if strings.ContainsRune(special+mark, c) {
				b.WriteByte('\\')
			}
			b.WriteRune(c)
		}
		return b.String()
	}
	pattern := "^" + escape(old, `\.*[^$`) + "$"
	switch {
	case value != "":
		return "s" + mark + pattern + mark + escape(value, `\&`) + mark
	case mark == "/":
		return "/" + pattern + "/d"
	}
	return `\` + mark + pattern + mark + "d"
}
