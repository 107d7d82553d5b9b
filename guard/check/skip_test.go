package check_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/check"
	"github.com/deckhand-engine/deckhand/guard/load"
	"github.com/deckhand-engine/deckhand/guard/policy"
)

// TestSkipUnknown names all files of a directory, as a hook does with those of a commit.
func TestSkipUnknown(t *testing.T) {
	dir := t.TempDir()
	var args []string
	for _, f := range []struct{ name, content string }{
		{"Dockerfile", "FROM scratch\n"},
		{"notes.yaml", "a: b\n"},
		{"main.go", "package main\n"},
		{"vendored/Dockerfile", "FROM scratch\n"},
	} {
		name := filepath.Join(dir, f.name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(f.content), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, name)
	}
	p, err := policy.Parse(filepath.Join(dir, "deckhand.yaml"), []byte("version: 1\ncheck:\n  exclude: [\"vendored/**\"]\n"), policy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		skip bool
		want []string
	}{
		"all that are named":  {false, []string{"Dockerfile", "notes.yaml: " + check.ErrUnknownKind.Error(), "main.go: " + check.ErrUnknownKind.Error(), "vendored/Dockerfile"}},
		"what can be checked": {true, []string{"Dockerfile"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var got []string
			err := (&check.Checker{Texts: load.Texts{}, Policy: p}).Run(t.Context(), args, check.RunOptions{SkipUnknown: tt.skip}, func(doc *guard.Document) error {
				rel, err := filepath.Rel(dir, doc.Path)
				if doc.Err != nil {
					rel += ": " + doc.Err.Error()
				}
				got = append(got, rel)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
