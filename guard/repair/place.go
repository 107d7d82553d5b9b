package repair

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/deckhand-engine/deckhand/dockerfile"
	"github.com/deckhand-engine/deckhand/guard"
)

// place decides where the lines go.
func (e *editor) place() error {
	missing, tail := e.missing()
	work, user, existing := e.points(tail)
	if last := e.last(); work == len(e.stage.Instructions) || user == len(e.stage.Instructions) {
		if e.isOpen(last) {
			return errEntangled
		}
	}
	var before, volumes, late []line
	for _, l := range missing {
		switch {
		case l.env != "":
			late = append(late, l)
		case l.volume:
			volumes = append(volumes, l)
		default:
			before = append(before, l)
		}
	}
	if needsRoot(before) && !isRoot(e.userAt(e.stage, work)) {
		before = slices.Insert(before, 0, line{text: "USER 0", why: "what follows needs root"})
	}
	e.insertLines(work, append(before, volumes...))
	e.placeEnv(user, late)
	e.placeUser(user, existing)
	e.placeStart()
	return e.placeEmpty()
}

func needsRoot(lines []line) bool {
	return slices.ContainsFunc(lines, func(l line) bool { return l.root })
}

// missing are the lines that the stage does not have yet, and where its tail begins: what follows the last
// instruction that changes files, other than those lines.
func (e *editor) missing() ([]line, int) {
	have, set := map[string]bool{}, map[string]bool{}
	tail, ended := 0, false
	for i := range slices.Backward(e.stage.Instructions) {
		in := &e.stage.Instructions[i]
		text := strings.ReplaceAll(string(in.Range.In(e.file.Source)), "\r\n", "\n")
		ours := slices.ContainsFunc(e.lines, func(l line) bool { return l.text == text && !set[l.env] })
		have[text] = have[text] || ours
		if in.Keyword == "ENV" {
			for _, p := range in.Pairs {
				set[p.Name] = true
			}
		}
		if !makesFiles(in) {
			continue
		}
		if !ended {
			tail, ended = i+1, true
		}
		if !ours {
			break
		}
	}
	var missing []line
	for _, l := range e.lines {
		if !have[l.text] {
			have[l.text] = true
			missing = append(missing, l)
		}
	}
	return missing, tail
}

// makesFiles reports whether the instruction changes files, or may need root to.
func makesFiles(in *dockerfile.Instruction) bool {
	switch in.Keyword {
	case "RUN", "COPY", "ADD", "WORKDIR":
		return true
	}
	return false
}

// points are the indexes of the instructions before which the stage's last work and its USER belong, and the USER
// to replace: the last one that nothing but metadata follows. VOLUME is not passed: docker's first builder and
// buildah forget what is done below a volume.
func (e *editor) points(tail int) (work, user int, existing *dockerfile.Instruction) {
	work, user = len(e.stage.Instructions), len(e.stage.Instructions)
	for i := range slices.Backward(e.stage.Instructions[tail:]) {
		in := &e.stage.Instructions[tail+i]
		switch in.Keyword {
		case "CMD", "ENTRYPOINT":
			work = tail + i
			if existing == nil {
				user = work
			}
		case "VOLUME":
			work = tail + i
		case "USER":
			if existing == nil {
				existing = in
				work, user = tail+i, tail+i
			}
		}
	}
	return work, user, existing
}

// insertLines puts lines before the instruction of an index, or behind the last one.
func (e *editor) insertLines(index int, lines []line) {
	for _, l := range lines {
		text := e.written(l)
		if index == len(e.stage.Instructions) {
			e.insert(e.last().Range.End.Offset, e.newline+text)
		} else {
			e.insert(e.lineStart(index), text+e.newline)
		}
		e.added++
	}
}

// placeEnv puts variables before the USER, unless the stage gives them another value behind it.
func (e *editor) placeEnv(index int, lines []line) {
	for _, l := range lines {
		at := index
		for i := range e.stage.Instructions {
			if i >= index && sets(&e.stage.Instructions[i], l.env) {
				at = i + 1
			}
		}
		e.insertLines(at, []line{l})
	}
}

func sets(in *dockerfile.Instruction, name string) bool {
	return in.Keyword == "ENV" && slices.ContainsFunc(in.Pairs, func(p dockerfile.Pair) bool { return p.Name == name })
}

func (e *editor) placeUser(index int, existing *dockerfile.Instruction) {
	why := "the service works without root"
	if e.whyRoot != "" {
		why = e.whyRoot
	}
	if existing == nil {
		e.insertLines(index, []line{{text: "USER " + e.o.User, why: why}})
		return
	}
	place := e.file.ArgsRange(existing)
	if string(place.In(e.file.Source)) == e.o.User {
		return
	}
	if c := e.comment(why); c != "" {
		e.insert(e.offsetOf(existing.Line()), c)
	}
	e.changes = append(e.changes, change{place.Start.Offset, place.End.Offset, e.o.User})
}

// last is the stage's last instruction.
func (e *editor) last() *dockerfile.Instruction {
	if n := len(e.stage.Instructions); n > 0 {
		return &e.stage.Instructions[n-1]
	}
	return e.stage.From
}

// isOpen reports whether the file ends in the middle of the instruction: a line behind it would continue it.
func (e *editor) isOpen(in *dockerfile.Instruction) bool {
	text := in.Range.In(e.file.Source)
	last := bytes.TrimSpace(text[bytes.LastIndexByte(text, '\n')+1:])
	switch {
	case len(in.Heredocs) > 0:
		return false
	case len(last) == 0:
		return true
	}
	return last[0] == '#' || last[len(last)-1] == e.file.Escape
}

// lineStart is where the instruction's first line begins, or the comment right above it.
func (e *editor) lineStart(index int) int {
	above := e.stage.From
	if index > 0 {
		above = &e.stage.Instructions[index-1]
	}
	return e.commentStart(e.stage.Instructions[index].Line(), above.Range.End.Line)
}

// commentStart is where the comment above a line begins that is not above another line.
func (e *editor) commentStart(number, limit int) int {
	for number-1 > limit {
		rest := e.file.Source[e.offsetOf(number-1):]
		if !bytes.HasPrefix(bytes.TrimLeft(rest, " \t"), []byte("#")) {
			break
		}
		number--
	}
	return e.offsetOf(number)
}

// offsetOf is where a line begins.
func (e *editor) offsetOf(number int) int {
	at, _ := guard.Offset(e.file.Source, number, 1) // it is one of the file's
	return at
}

// parent is the stage that a stage is built from; nil: an image.
func (e *editor) parent(s *dockerfile.Stage) *dockerfile.Stage {
	if i := e.file.StageNamed(e.base(s), s.Index); i >= 0 {
		return &e.file.Stages[i]
	}
	return nil
}

// base is the name after FROM, with its variables replaced.
func (e *editor) base(s *dockerfile.Stage) string {
	scope, err := e.file.Scope(dockerfile.Options{Args: e.o.BuildArgs, Target: e.o.Target})
	if err != nil {
		return s.Base
	}
	base, err := scope.Expand(s.Base)
	if err != nil {
		return s.Base
	}
	return base.Value
}

// instructionAt is the last instruction that decides something before the index of a stage, or in those it is built
// from, ONBUILD included; nil: the image does.
func (e *editor) instructionAt(s *dockerfile.Stage, before int, keyword string) *dockerfile.Instruction {
	for i := range slices.Backward(s.Instructions[:before]) {
		if in := &s.Instructions[i]; in.Keyword == keyword {
			return in
		}
	}
	p := e.parent(s)
	if p == nil {
		return nil
	}
	for i := range slices.Backward(p.Instructions) {
		if t := p.Instructions[i].Trigger; t != nil && t.Keyword == keyword {
			return t
		}
	}
	return e.instructionAt(p, len(p.Instructions), keyword)
}

// userAt is who runs what stands before the index.
func (e *editor) userAt(s *dockerfile.Stage, before int) string {
	in := e.instructionAt(s, before, "USER")
	if in == nil || len(in.Args) == 0 {
		return e.o.BaseUser
	}
	return strings.TrimSpace(in.Args[0])
}

// isRoot reports whether the user is certainly uid 0.
func isRoot(user string) bool {
	name, _, _ := strings.Cut(user, ":")
	n, err := strconv.Atoi(name)
	return name == "" || name == "root" || err == nil && n == 0
}

// isPosix reports whether RUN's shell, at the stage's end, understands the language of /bin/sh.
func (e *editor) isPosix() bool {
	in := e.instructionAt(e.stage, len(e.stage.Instructions), "SHELL")
	if in == nil || len(in.Args) == 0 {
		return true
	}
	name := in.Args[0][strings.LastIndexByte(in.Args[0], '/')+1:]
	return slices.Contains([]string{"sh", "bash", "ash", "dash", "ksh", "mksh", "zsh"}, name) &&
		strings.HasPrefix(in.Args[len(in.Args)-1], "-") && strings.HasSuffix(in.Args[len(in.Args)-1], "c")
}
