package policy

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Names are the names of a policy file, the best first.
func Names() []string { return []string{"deckhand.yaml", ".deckhand.yaml", "deckhand.yml"} }

// Find is the nearest policy file of a directory and those above it; empty: there is none. The search ends with a
// directory that has a .git, so that a repository is judged alike wherever it is checked out.
func Find(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("find policy: %w", err)
	}
	for at := abs; ; at = filepath.Dir(at) {
		for _, name := range Names() {
			file := filepath.Join(at, name)
			info, err := os.Stat(file)
			switch {
			case err == nil && info.Mode().IsRegular():
				return file, nil
			case err != nil && !errors.Is(err, fs.ErrNotExist):
				return "", fmt.Errorf("find policy: %w", err)
			}
		}
		if _, err := os.Lstat(filepath.Join(at, ".git")); err == nil || at == filepath.Dir(at) {
			return "", nil
		}
	}
}

// WorkTree is the nearest directory of dir and those above it that has a .git; empty: none has.
func WorkTree(dir string) string {
	at, err := filepath.Abs(dir)
	if err != nil {
		return ""
	}
	for ; ; at = filepath.Dir(at) {
		if _, err := os.Lstat(filepath.Join(at, ".git")); err == nil {
			return at
		}
		if at == filepath.Dir(at) {
			return ""
		}
	}
}
