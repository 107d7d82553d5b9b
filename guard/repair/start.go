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

// placeStart makes the stage start what a repair says. Where the stage's CMD is the end of that, it stays, so that
// arguments can still be given in its place. A CMD of the base goes by itself: an ENTRYPOINT resets it.
func (e *editor) placeStart() {
	if e.start == nil {
		return
	}
	argv, why := e.start.Argv, e.start.Why
	entrypoint, command := e.lastOwn("ENTRYPOINT"), e.lastOwn("CMD")
	switch {
	case entrypoint == nil && command == nil:
		e.insertLines(len(e.stage.Instructions), []line{{text: "ENTRYPOINT " + array(argv...), why: why}})
		return
	case entrypoint == nil:
		e.replaceCommand(command)
		return
	case command != nil && command.JSON && len(command.Args) > 0 && hasSuffix(argv, command.Args):
		argv = argv[:len(argv)-len(command.Args)]
	default:
		e.removeAll("CMD")
	}
	if len(argv) == 0 && e.noEntrypoint() {
		e.removeAll("ENTRYPOINT")
		return
	}
	e.replace(entrypoint, line{text: "ENTRYPOINT " + array(argv...), why: why})
}

// replaceCommand gives a CMD without an ENTRYPOINT in its stage the new command. One that the base may have would
// take that for its arguments.
func (e *editor) replaceCommand(command *dockerfile.Instruction) {
	text := "CMD " + array(e.start.Argv...)
	if e.noEntrypoint() {
		e.replace(command, line{text: text, why: e.start.Why})
		return
	}
	e.replace(command, line{text: "ENTRYPOINT []" + e.newline + text, why: e.start.Why})
	e.added++
}

func hasSuffix(argv, end []string) bool {
	return len(argv) >= len(end) && slices.Equal(argv[len(argv)-len(end):], end)
}

// lastOwn is the stage's last instruction of a kind.
func (e *editor) lastOwn(keyword string) *dockerfile.Instruction {
	for i := range slices.Backward(e.stage.Instructions) {
		if in := &e.stage.Instructions[i]; in.Keyword == keyword {
			return in
		}
	}
	return nil
}

// noEntrypoint reports whether the stage certainly inherits no ENTRYPOINT.
func (e *editor) noEntrypoint() bool {
	s := e.stage
	for p := e.parent(s); p != nil; p = e.parent(s) {
		if e.instructionAt(p, len(p.Instructions), "ENTRYPOINT") != nil || triggers(p, "ENTRYPOINT") {
			return false
		}
		s = p
	}
	return e.o.NoEntrypoint || e.base(s) == "scratch"
}

// triggers reports whether a stage puts off an instruction of the kind for those built from it.
func triggers(s *dockerfile.Stage, keyword string) bool {
	return slices.ContainsFunc(s.Instructions, func(in dockerfile.Instruction) bool {
		return in.Trigger != nil && in.Trigger.Keyword == keyword
	})
}

// replace writes something in an instruction's place, with a comment above it.
func (e *editor) replace(in *dockerfile.Instruction, l line) {
	if string(in.Range.In(e.file.Source)) == l.text {
		return
	}
	if c := e.comment(l.why); c != "" {
		e.insert(e.offsetOf(in.Line()), c)
	}
	e.changes = append(e.changes, change{in.Range.Start.Offset, in.Range.End.Offset, l.text})
}

// removeAll takes the stage's instructions of a kind out, with their lines.
func (e *editor) removeAll(keyword string) {
	for i := range e.stage.Instructions {
		in := &e.stage.Instructions[i]
		if in.Keyword != keyword {
			continue
		}
		end := in.Range.End.Offset
		if i := bytes.IndexByte(e.file.Source[end:], '\n'); i >= 0 {
			end += i + 1
		} else {
			end = len(e.file.Source)
		}
		e.changes = append(e.changes, change{e.offsetOf(in.Line()), end, ""})
		e.added--
	}
}

// emptyName is the stage that holds no files.
const emptyName = "deckhand-empty"

// emptyStage is the name of a stage without files before the one that is built: one that is there, or a new one.
func (e *editor) emptyStage() string {
	name := emptyName
	for n := 2; ; n++ {
		i := slices.IndexFunc(e.file.Stages, func(s dockerfile.Stage) bool { return s.Name == name })
		if i < 0 || i < e.stage.Index && e.file.Stages[i].Base == "scratch" && len(e.file.Stages[i].Instructions) == 0 {
			return name
		}
		name = fmt.Sprint(emptyName, "-", n)
	}
}

// placeEmpty adds the stage without files, if lines use one that is not there.
func (e *editor) placeEmpty() error {
	if e.empty == "" || slices.ContainsFunc(e.file.Stages, func(s dockerfile.Stage) bool { return s.Name == e.empty }) {
		return nil
	}
	if _, err := strconv.Atoi(e.o.Target); err == nil {
		return errNumbered
	}
	limit := 0
	if n := e.stage.Index; n > 0 {
		above := &e.file.Stages[n-1]
		limit = above.From.Range.End.Line
		if k := len(above.Instructions); k > 0 {
			limit = above.Instructions[k-1].Range.End.Line
		}
	} else if k := len(e.file.Global); k > 0 {
		limit = e.file.Global[k-1].Range.End.Line
	}
	at := e.offsetOf(e.stage.From.Line())
	if limit > 0 {
		at = e.commentStart(e.stage.From.Line(), limit)
	}
	e.insert(at, strings.Join([]string{"FROM scratch AS " + e.empty, "", ""}, e.newline))
	e.added++
	return nil
}

// errNumbered says that a stage cannot be added without giving others another number.
var errNumbered = errors.New("edit the Dockerfile: a stage must be added before the one that is built, which would " +
	"change its number; give the target stage a name (FROM … AS NAME) and build it by that")
