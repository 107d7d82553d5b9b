package yamltree

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
)

// syntaxError says where the parser gave up. It tells so in words only, and counts lines from 0 in one half of them.
func (t *Tree) syntaxError(d *document, err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(text, "offset "); ok {
		number, message, _ := strings.Cut(rest, ": ")
		offset, _ := strconv.Atoi(number) // 0 where it is none
		line, _ := t.place(d.offset + min(max(offset, 0), len(d.source)))
		return &guard.SyntaxError{Line: line, Text: message}
	}
	context, line, message := dissect(text)
	if strings.HasPrefix(text, "while parsing") {
		context, line = context+1, line+1
	}
	lines := breaks(bytes.TrimRight(d.source, " \t\r\n"))
	switch {
	case strings.HasPrefix(text, "while scanning a simple key"), strings.HasPrefix(text, "while scanning a quoted"),
		line > len(lines): // the problem is found at the end of what began there
		line = context
	}
	line = min(max(line, 1), len(lines))
	at, _ := t.place(d.offset + lines[line-1])
	return &guard.SyntaxError{Line: at, Text: message}
}

// dissect cuts "while parsing X at line 1, column 2: line 3, column 4: message".
func dissect(text string) (context, problem int, message string) {
	message = text
	if rest, ok := strings.CutPrefix(text, "while "); ok {
		if _, behind, found := strings.Cut(rest, " at "); found {
			context, message = mark(behind)
			problem = context
		}
	}
	if strings.HasPrefix(message, "line ") || strings.HasPrefix(message, "<unknown position>: ") {
		problem, message = mark(message)
	}
	return context, problem, message
}

// mark cuts "line 1, column 2: message" or "<unknown position>: message"; its line is 0 then.
func mark(text string) (int, string) {
	position, message, found := strings.Cut(text, ": ")
	if !found {
		return 0, text
	}
	position, _, _ = strings.Cut(strings.TrimPrefix(position, "line "), ",")
	line, _ := strconv.Atoi(position) // 0 where it is unknown
	return line, message
}
