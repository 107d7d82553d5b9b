package lsp

import (
	"context"
	"testing"

	"github.com/deckhand-engine/deckhand/guard"
)

// counter counts what is checked.
type counter struct{ calls int }

// Text finds nothing.
func (c *counter) Text(context.Context, guard.Source, guard.Kind) *guard.Document {
	c.calls++
	return &guard.Document{}
}

// TestTooLarge leaves out texts that nobody wrote.
func TestTooLarge(t *testing.T) {
	for size, want := range map[int]int{maxTextBytes: 1, maxTextBytes + 1: 0} {
		i := &inspection{source: guard.Source{Data: make([]byte, size)}, done: make(chan struct{})}
		c := &counter{}
		i.run(t.Context(), c, nil, 0)
		if c.calls != want || i.result == nil {
			t.Errorf("%d bytes are checked %d times, want %d; the result is %v", size, c.calls, want, i.result)
		}
	}
}

func TestSource(t *testing.T) {
	tests := map[string]struct{ uri, path, file string }{
		"a file":                {"file:///a/Dockerfile", "/a/Dockerfile", "/a/Dockerfile"},
		"a host":                {"file://localhost/a/b", "/a/b", "/a/b"},
		"spaces and the like":   {"file:///a%20b/%C3%A9", "/a b/é", "/a b/é"},
		"never saved":           {"untitled:Untitled-1", "untitled:Untitled-1", ""},
		"of another machine":    {"vscode-remote://ssh/a/Dockerfile", "vscode-remote://ssh/a/Dockerfile", ""},
		"no URI":                {"%zz", "%zz", ""},
		"a file without a path": {"file:", "file:", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := source(tt.uri, nil); got.Path != tt.path || got.File != tt.file {
				t.Errorf("source = %q, file %q; want %q, file %q", got.Path, got.File, tt.path, tt.file)
			}
		})
	}
}
