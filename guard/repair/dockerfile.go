package repair

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/deckhand-engine/deckhand/dockerfile"
)

// Options say what is known of a build besides its Dockerfile. The zero value of all but User will do.
type Options struct {
	Target    string            // the stage that is built, by name or number; empty: the last
	BuildArgs map[string]string // --build-arg, for the names of base images
	User      string            // what the stage runs as: "9000:9000"
	BaseUser  string            // the user of the image that the stage is built from in the end; empty: root
	Comments  bool              // a comment above each added line says why it is there
	NoShell   bool              // the image has no /bin/sh: nothing can be run in it to change it
	// NoEntrypoint says that the image the stage is built from in the end has no ENTRYPOINT: one less to undo.
	NoEntrypoint bool
}

// Dockerfile edits a Dockerfile so that the stage that is built runs as the user, with the repairs in the order of
// the list. All other bytes stay as they are. What the stage already says in the same words is not said again. The
// error is a [*NoShellError] or a [*PathError] where a repair cannot be made, and a [*dockerfile.SyntaxError] where
// the source is none.
func Dockerfile(source []byte, o Options, repairs []Repair) ([]byte, error) {
	file, err := dockerfile.Parse(source)
	if err != nil {
		return nil, fmt.Errorf("read the Dockerfile: %w", err)
	}
	e, err := newEditor(file, o)
	if err != nil {
		return nil, err
	}
	for _, r := range repairs {
		if err := e.add(r); err != nil {
			return nil, err
		}
	}
	if err := e.place(); err != nil {
		return nil, err
	}
	return e.finish()
}

// editor collects what changes in one stage.
type editor struct {
	file    *dockerfile.File
	o       Options
	stage   *dockerfile.Stage
	posix   bool   // the stage's shell understands quotes, && and >>
	newline string // of the file
	lines   []line // that the repairs ask for
	start   *Repair
	whyRoot string // why the user is root
	empty   string // the stage without files that directories are copied from; empty: not needed
	changes []change
	added   int // instructions added, less those removed
}

// line is an instruction to add.
type line struct {
	text   string
	why    string
	env    string // the variable that it sets
	root   bool   // only root can run it
	volume bool   // it declares a volume: what is done to the volume comes before
}

// change replaces the bytes from start to end.
type change struct {
	start, end int
	text       string
}

func newEditor(file *dockerfile.File, o Options) (*editor, error) {
	stage, err := target(file, o.Target)
	if err != nil {
		return nil, err
	}
	e := &editor{file: file, o: o, stage: stage, newline: "\n"}
	if bytes.Contains(file.Source, []byte("\r\n")) {
		e.newline = "\r\n"
	}
	e.posix = e.isPosix()
	return e, nil
}

// target finds the stage that is built.
func target(file *dockerfile.File, name string) (*dockerfile.Stage, error) {
	if name == "" {
		return &file.Stages[len(file.Stages)-1], nil
	}
	i := file.StageNamed(name, len(file.Stages))
	if i < 0 {
		i = slices.IndexFunc(file.Stages, func(s dockerfile.Stage) bool { return strconv.Itoa(s.Index) == name })
	}
	if i >= 0 {
		return &file.Stages[i], nil
	}
	return nil, fmt.Errorf("find the target stage: the Dockerfile has no stage %q", name)
}

// insert puts instructions, or the line that ends before at, into the text.
func (e *editor) insert(at int, text string) {
	e.changes = append(e.changes, change{at, at, text})
}

// written is the line with its comment, without the last line break.
func (e *editor) written(l line) string {
	return e.comment(l.why) + strings.ReplaceAll(l.text, "\n", e.newline)
}

// comment is the line that says why, with its line break; empty if none is wanted.
func (e *editor) comment(why string) string {
	why = strings.Join(strings.FieldsFunc(readable(why), isLineBlank), " ")
	if !e.o.Comments || why == "" {
		return ""
	}
	return Mark + why + e.newline
}

func isLineBlank(r rune) bool {
	return r == ' ' || r == '\t' || r == '\n' || r == '\r' || r == '\v' || r == '\f'
}

// readable drops what cannot stand in a comment.
func readable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && !isLineBlank(r) || r == 0x7f {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
}

// finish makes the changes, and makes sure that what comes of them is what was meant.
func (e *editor) finish() ([]byte, error) {
	slices.SortStableFunc(e.changes, func(a, b change) int { return a.start - b.start })
	var out bytes.Buffer
	at := 0
	for _, c := range e.changes {
		if c.start < at {
			return nil, errEntangled
		}
		out.Write(e.file.Source[at:c.start])
		out.WriteString(c.text)
		at = c.end
	}
	out.Write(e.file.Source[at:])
	after, err := dockerfile.Parse(out.Bytes())
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errEntangled, err)
	}
	if count(after) != count(e.file)+e.added {
		return nil, errEntangled
	}
	return out.Bytes(), nil
}

// errEntangled says that the text is laid out so that lines cannot be added to it.
var errEntangled = errors.New("edit the Dockerfile: its lines run into one another where the repairs belong; " +
	"put each instruction on lines of its own")

// count is how many instructions a file has.
func count(f *dockerfile.File) int {
	n := len(f.Global) + len(f.Stages)
	for i := range f.Stages {
		n += len(f.Stages[i].Instructions)
	}
	return n
}
