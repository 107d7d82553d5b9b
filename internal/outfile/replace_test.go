package outfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TestReplace keeps the mode, and touches nothing that is not what it is taken for.
func TestReplace(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "file")
	if err := os.WriteFile(name, []byte("before"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("file", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, was string
		want      error
	}{
		{"file", "something else", ErrChanged},
		{".", "before", ErrChanged},
		{"none", "before", fs.ErrNotExist},
	}
	for _, tt := range tests {
		if err := Replace(filepath.Join(dir, tt.name), []byte(tt.was), []byte("after")); !errors.Is(err, tt.want) {
			t.Errorf("Replace(%s, %q) = %v, want %v", tt.name, tt.was, err, tt.want)
		}
	}
	if err := Replace(filepath.Join(dir, "link"), []byte("before"), []byte("after")); err == nil {
		t.Error("a symbolic link was replaced")
	}
	if got, err := os.ReadFile(name); err != nil || string(got) != "before" {
		t.Errorf("it holds %q, %v", got, err)
	}
	if err := Replace(name, []byte("before"), []byte("after")); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(name)
	info, statErr := os.Stat(name)
	if errors.Join(err, statErr) != nil || string(got) != "after" || info.Mode().Perm() != 0o640 {
		t.Errorf("it holds %q, %v, %v", got, info, errors.Join(err, statErr))
	}
	noneLeft(t, dir)
}
