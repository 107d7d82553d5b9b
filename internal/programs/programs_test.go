package programs_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/deckhand-engine/deckhand/internal/programs"
)

func TestFind(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	for name, mode := range map[string]os.FileMode{"deckhand-there": 0o755, "deckhand-text": 0o644} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, mode); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := programs.Find("deckhand-there"); err != nil || got != filepath.Join(dir, "deckhand-there") {
		t.Errorf("Find = %s, %v", got, err)
	}
	for _, name := range []string{"deckhand-text", "deckhand-nowhere"} {
		_, err := programs.Find(name)
		missing, ok := errors.AsType[*programs.MissingError](err)
		if !ok || missing.Name != name || !strings.Contains(missing.Hint(), "/cmd/"+name+"@latest") {
			t.Errorf("Find(%s) fails with %v", name, err)
		}
	}
}

// TestFindBeside prefers a program beside this one to what is in PATH.
func TestFindBeside(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", t.TempDir())
	if got, err := programs.Find(filepath.Base(self)); err != nil || got != self {
		t.Errorf("Find = %s, %v, not %s", got, err, self)
	}
}

func TestBecome(t *testing.T) {
	if err := programs.Become(filepath.Join(t.TempDir(), "none"), []string{"none"}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what is not there is started: %v", err)
	}
}
