package guard_test

import (
	"errors"
	"testing"

	"github.com/deckhand-engine/deckhand/guard"
)

func edit(line, column, endColumn int, text string) guard.Edit {
	return guard.Edit{At: guard.Location{Line: line, Column: column, EndLine: line, EndColumn: endColumn}, Text: text}
}

func TestApply(t *testing.T) {
	const source = "FROM a\r\nUSER app\nCMD b"
	tests := map[string]struct {
		edits []guard.Edit
		want  string
		err   error
	}{
		"none":            {nil, source, nil},
		"replace":         {[]guard.Edit{edit(2, 6, 9, "1000")}, "FROM a\r\nUSER 1000\nCMD b", nil},
		"insert a line":   {[]guard.Edit{edit(3, 1, 1, "USER 1\n")}, "FROM a\r\nUSER app\nUSER 1\nCMD b", nil},
		"at the end":      {[]guard.Edit{edit(3, 6, 6, "\nUSER 1\n")}, source + "\nUSER 1\n", nil},
		"out of order":    {[]guard.Edit{edit(3, 5, 6, "c"), edit(1, 6, 7, "z")}, "FROM z\r\nUSER app\nCMD c", nil},
		"the same twice":  {[]guard.Edit{edit(2, 6, 9, "7"), edit(2, 6, 9, "7")}, "FROM a\r\nUSER 7\nCMD b", nil},
		"overlap":         {[]guard.Edit{edit(2, 1, 7, "x"), edit(2, 6, 9, "y")}, "", guard.ErrOverlap},
		"two insertions":  {[]guard.Edit{edit(2, 1, 1, "x"), edit(2, 1, 1, "y")}, "", guard.ErrOverlap},
		"whole last line": {[]guard.Edit{edit(3, 1, 6, "")}, "FROM a\r\nUSER app\n", nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := guard.Apply([]byte(source), tt.edits)
			if !errors.Is(err, tt.err) || string(got) != tt.want {
				t.Errorf("Apply = %q, %v; want %q, %v", got, err, tt.want, tt.err)
			}
		})
	}
	for _, outside := range []guard.Edit{edit(4, 1, 1, ""), edit(0, 1, 1, ""), edit(3, 7, 7, ""), edit(2, 5, 2, "")} {
		if _, err := guard.Apply([]byte(source), []guard.Edit{outside}); err == nil {
			t.Errorf("Apply(%v) succeeds", outside.At)
		}
	}
}
