package ui

import (
	"strings"
	"testing"
)

func TestWriteDiff(t *testing.T) {
	const unified = "diff a/f b/f\n--- a/f\n+++ b/f\n@@ -1,2 +1,2 @@\n same\n-old\x1b[2J\n+new\ttext\n"
	tests := map[string]struct {
		colored bool
		want    string
	}{
		"plain":    {false, "--- a/f\n+++ b/f\n@@ -1,2 +1,2 @@\n same\n-old[2J\n+new text\n"},
		"coloured": {true, "\x1b[31m--- a/f\x1b[0m\n\x1b[32m+++ b/f\x1b[0m\n@@ -1,2 +1,2 @@\n same\n\x1b[31m-old[2J\x1b[0m\n\x1b[32m+new text\x1b[0m\n"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			if err := WriteDiff(&b, tt.colored, []byte(unified)); err != nil || b.String() != tt.want {
				t.Errorf("WriteDiff wrote %q, %v, want %q", b.String(), err, tt.want)
			}
		})
	}
}
