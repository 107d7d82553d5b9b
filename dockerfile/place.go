package dockerfile

import (
	"bytes"
	"strings"
	"unicode"
)

// Position is a place in the source.
type Position struct {
	Offset int // in bytes, from 0
	Line   int // from 1
	Column int // in bytes, from 1
}

// Range is a part of the source; End is the first position behind it.
type Range struct {
	Start, End Position
}

// In is the part of the source.
func (r Range) In(source []byte) []byte { return source[r.Start.Offset:r.End.Offset] }

// lineCursor finds lines by number, in ascending order.
type lineCursor struct {
	source []byte
	line   int // from 1
	offset int // where it begins
}

// start is where the line begins.
func (c *lineCursor) start(line int) int {
	for c.line < line {
		i := bytes.IndexByte(c.source[c.offset:], '\n')
		if i < 0 {
			break
		}
		c.offset += i + 1
		c.line++
	}
	return c.offset
}

// end is where the line ends, before its line break.
func (c *lineCursor) end(line int) Position {
	start := c.start(line)
	text := cutBreak(firstLine(c.source[start:]))
	return Position{Offset: start + len(text), Line: c.line, Column: len(text) + 1}
}

// firstLine is the first line with its line break.
func firstLine(text []byte) []byte {
	if i := bytes.IndexByte(text, '\n'); i >= 0 {
		return text[:i+1]
	}
	return text
}

func cutBreak(line []byte) []byte { return bytes.TrimRight(line, "\r\n") }

// piece is a part of one line of the source that went into the joined line of an instruction.
type piece struct {
	text   int // where it begins in the joined line
	offset int // where it begins in the source
	length int
	line   int // counted from the instruction's first, from 0
	column int // from 1
}

// pieces are the parts of the source that make up the first size bytes of an instruction's joined line, by the
// rules of BuildKit's parser.
func (f *File) pieces(start, size int, yield func(piece) bool) {
	rest, at := f.Source[start:], 0
	for number := 0; len(rest) > 0; number++ {
		raw := firstLine(rest)
		offset := len(f.Source) - len(rest)
		rest = rest[len(raw):]
		line, skipped := cutBreak(raw), 0
		if number == 0 {
			line, skipped = trimStart(line, start == 0)
		} else if isSkipped(line) {
			continue
		}
		line, continued := f.cutContinuation(line)
		if !yield(piece{at, offset + skipped, len(line), number, skipped + 1}) {
			return
		}
		at += len(line)
		if !continued || at > size {
			return
		}
	}
}

// trimStart leaves out what stands before an instruction: blanks, and the mark at the beginning of the file.
func trimStart(line []byte, first bool) (trimmed []byte, skipped int) {
	trimmed = line
	if first {
		trimmed = bytes.TrimPrefix(trimmed, []byte("\xef\xbb\xbf"))
	}
	trimmed = bytes.TrimLeftFunc(trimmed, unicode.IsSpace)
	return trimmed, len(line) - len(trimmed)
}

// isSkipped reports whether a line between continued lines is a comment or empty.
func isSkipped(line []byte) bool {
	line = bytes.TrimLeftFunc(line, unicode.IsSpace)
	return len(line) == 0 || line[0] == '#'
}

// cutContinuation leaves out the escape character that continues a line. One that is escaped itself does not.
func (f *File) cutContinuation(line []byte) (cut []byte, continued bool) {
	trimmed := bytes.TrimRight(line, " \t")
	last := len(trimmed) - 1
	if last < 0 || trimmed[last] != f.Escape || last > 0 && trimmed[last-1] == f.Escape {
		return line, false
	}
	return trimmed[:last], true
}

// keywordPosition is where the instruction's keyword stands.
func (f *File) keywordPosition(in *Instruction) Position {
	blank := len(in.Text) - len(strings.TrimLeftFunc(in.Text, unicode.IsSpace))
	if p, found := f.position(in, blank); found {
		return p
	}
	return Position{Offset: in.offset, Line: in.firstLine, Column: 1}
}

// position is the place in the source of the byte at an offset of the text; found is false where there is none.
func (f *File) position(in *Instruction, offset int) (p Position, found bool) {
	offset += in.base
	f.pieces(in.offset, offset, func(part piece) bool {
		if offset >= part.text && offset < part.text+part.length {
			shift := offset - part.text
			p = Position{part.offset + shift, in.firstLine + part.line, part.column + shift}
			found = true
		}
		return !found
	})
	return p, found
}

// TextRange is the part of the source that the bytes from up to to (exclusive) of an instruction's Text come from.
// Escape characters, line breaks and comments between continued lines that lie within belong to it. Offsets outside
// of Text mean its ends.
func (f *File) TextRange(in *Instruction, from, to int) Range {
	from = min(max(from, 0), len(in.Text))
	to = min(max(to, from), len(in.Text))
	if from == to {
		if start, ok := f.position(in, from); ok {
			return Range{start, start}
		}
		end := f.TextRange(in, from-1, from).End
		return Range{end, end}
	}
	start, okStart := f.position(in, from)
	end, okEnd := f.position(in, to-1)
	if !okStart || !okEnd {
		return in.Range
	}
	end.Offset++
	end.Column++
	return Range{start, end}
}
