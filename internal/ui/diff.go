package ui

import (
	"bytes"
	"fmt"
	"io"
)

// WriteDiff writes a unified diff, without the line that names a command.
func WriteDiff(w io.Writer, colored bool, unified []byte) error {
	for line := range bytes.Lines(unified) {
		if bytes.HasPrefix(line, []byte("diff ")) {
			continue
		}
		text := Clean(string(bytes.TrimSuffix(line, []byte("\n"))))
		if style := diffStyle(line); colored && style != "" {
			text = paint(style, text)
		}
		if _, err := io.WriteString(w, text+"\n"); err != nil {
			return fmt.Errorf("write diff: %w", err)
		}
	}
	return nil
}

// diffStyle is that of an added or a removed line.
func diffStyle(line []byte) Style {
	switch line[0] {
	case '+':
		return Green
	case '-':
		return Red
	}
	return ""
}
