// Package programs finds deckhand's other programs, and becomes them.
package programs

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/deckhand-engine/deckhand/internal/hint"
)

// MissingError says that a program is not installed.
type MissingError struct{ Name string }

// Error says where it was looked for.
func (e *MissingError) Error() string {
	return e.Name + " is neither beside this program nor in PATH"
}

// Hint is what installs it.
func (e *MissingError) Hint() string {
	return "install it:  go install github.com/deckhand-engine/deckhand/cmd/" + e.Name + "@latest"
}

// Find finds a program: beside this executable, then in PATH. The error is a *MissingError, with its hint, where it
// is in neither.
func Find(name string) (string, error) {
	if self, err := os.Executable(); err == nil {
		p := filepath.Join(filepath.Dir(self), name)
		if st, err := os.Stat(p); err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 {
			return p, nil
		}
	}
	p, err := exec.LookPath(name)
	if errors.Is(err, exec.ErrNotFound) {
		missing := &MissingError{name}
		return "", hint.With(missing, missing.Hint())
	}
	return p, err
}

// Become replaces this process by another program.
func Become(path string, argv []string) error {
	if err := syscall.Exec(path, argv, os.Environ()); err != nil {
		return fmt.Errorf("start %s: %w", path, err)
	}
	return nil
}
