package profile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/deckhand-engine/deckhand/internal/hint"
)

// Named loads the profile that a command line names, by its directory or by the file itself, and gives the directory's
// absolute path. usage is the command line to show where there is none. The error has hints.
func Named(name, usage string) (p *Profile, dir string, err error) {
	if name == "" {
		return nil, "", hint.With(errors.New("--profile names no directory"), "the one that holds "+FileName+":  "+usage)
	}
	dir, err = filepath.Abs(name)
	if err != nil {
		return nil, "", err
	}
	if st, err := os.Stat(dir); err == nil && st.Mode().IsRegular() && filepath.Base(dir) == FileName {
		dir = filepath.Dir(dir)
	}
	p, err = Load(dir)
	if err != nil {
		return nil, "", explain(err, name, usage)
	}
	return p, dir, nil
}

// explain says what to do about a profile that cannot be used.
func explain(err error, name, usage string) error {
	if errors.Is(err, fs.ErrNotExist) {
		return hint.With(err, "a directory that holds "+FileName+" is needed:  "+usage)
	}
	if e, ok := errors.AsType[*Error](err); ok {
		hints := []string{"what it may say:  docs/profile.md"}
		if e.Hint != "" {
			hints = append([]string{e.Hint}, hints...)
		}
		return hint.With(fmt.Errorf("the profile in %s cannot be obeyed: %w", name, err), hints...)
	}
	return err
}

// FilterContent reads the seccomp file beside the profile; nil where the profile names none and the default one is
// meant.
func (p *Profile) FilterContent(dir string) ([]byte, error) {
	if p.Seccomp == "" {
		return nil, nil
	}
	content, err := ReadRegular(filepath.Join(dir, p.Seccomp), maxBytes)
	if err != nil {
		return nil, fmt.Errorf("read seccomp profile: %w", err)
	}
	return content, nil
}
