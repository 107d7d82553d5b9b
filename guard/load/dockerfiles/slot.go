package dockerfiles

import (
	"bytes"
	"strings"

	"github.com/deckhand-engine/deckhand/dockerfile"
	"github.com/deckhand-engine/deckhand/guard"
)

// slot is where the stage sets its user, or would: a new line before what starts the image, behind everything that
// may need root to be built.
func (b *build) slot(s *stage) *guard.Slot {
	if s.user.by != nil && s.user.stage == s.def.Index && s.owns(s.user.by) {
		return &guard.Slot{At: b.at(b.file.ArgRange(s.user.by, 0))}
	}
	lineBreak := "\n"
	if bytes.Contains(b.file.Source, []byte("\r\n")) {
		lineBreak = "\r\n"
	}
	if start := s.start(); start != nil {
		line := start.Line()
		return &guard.Slot{
			At:     guard.Location{Path: b.src.Path, Line: line, Column: 1, EndLine: line, EndColumn: 1},
			Before: "USER ", After: lineBreak,
		}
	}
	last := s.def.From
	if n := len(s.def.Instructions); n > 0 {
		last = &s.def.Instructions[n-1]
	}
	if b.isOpen(last) {
		return nil
	}
	end := dockerfile.Range{Start: last.Range.End, End: last.Range.End}
	return &guard.Slot{At: b.at(end), Before: lineBreak + "USER "}
}

// owns reports whether the instruction is one of the stage's, and not what an ONBUILD elsewhere put off.
func (s *stage) owns(in *dockerfile.Instruction) bool {
	for i := range s.def.Instructions {
		if in == &s.def.Instructions[i] {
			return true
		}
	}
	return false
}

// start is the first CMD or ENTRYPOINT behind the last instruction that a user can break.
func (s *stage) start() *dockerfile.Instruction {
	var start *dockerfile.Instruction
	for i := range s.def.Instructions {
		in := &s.def.Instructions[i]
		switch in.Keyword {
		case "RUN", "WORKDIR":
			start = nil
		case "CMD", "ENTRYPOINT":
			if start == nil {
				start = in
			}
		}
	}
	return start
}

// isOpen reports whether the file ends in the middle of the instruction: a line behind it would continue it.
func (b *build) isOpen(in *dockerfile.Instruction) bool {
	text := in.Range.In(b.file.Source)
	line := strings.TrimRight(string(text[bytes.LastIndexByte(text, '\n')+1:]), " \t\r")
	if len(in.Heredocs) > 0 {
		return false
	}
	trimmed := strings.TrimSpace(line)
	return trimmed == "" || trimmed[0] == '#' || trimmed[len(trimmed)-1] == b.file.Escape
}
