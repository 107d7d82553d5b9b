package units

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/guard"
)

// maxUnitBytes bounds a file that is read besides the document.
const maxUnitBytes = 1 << 20

var errNoFile = errors.New("no regular file, or too large")

// readNear reads a file that another names.
func readNear(name string) ([]byte, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0) // a pipe must not stop us
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxUnitBytes {
		return nil, fmt.Errorf("read %s: %w", name, errNoFile)
	}
	return io.ReadAll(io.LimitReader(f, maxUnitBytes))
}

// extended is the unit that a drop-in extends: what NAME.d is beside.
func extended(src guard.Source) (guard.Source, bool) {
	if src.File == "" || !dropIn(src.Path) {
		return guard.Source{}, false
	}
	file, isDir := strings.CutSuffix(filepath.Dir(src.File), ".d")
	path, shown := strings.CutSuffix(filepath.Dir(src.Path), ".d")
	if !isDir || !shown || dropIn(file) {
		return guard.Source{}, false
	}
	return guard.Source{Path: path, File: file}, true
}

// addDropIns puts the files of NAME.d behind the unit's own text, in the order of their names. What cannot be read
// is left out, as systemd does.
func (u *unit) addDropIns(src guard.Source) error {
	if src.File == "" || dropIn(src.Path) {
		return nil
	}
	entries, err := os.ReadDir(src.File + ".d")
	if err != nil {
		return nil //nolint:nilerr // almost no unit has drop-ins
	}
	for _, e := range entries {
		if !dropIn(e.Name()) {
			continue
		}
		data, err := readNear(filepath.Join(src.File+".d", e.Name()))
		if err != nil {
			continue
		}
		more, err := parse(filepath.Join(src.Path+".d", e.Name()), data)
		if err != nil {
			// Not wrapped: the line is none of the document's.
			return errors.New("read drop-in " + e.Name() + ": " + err.Error())
		}
		u.assignments = append(u.assignments, more.assignments...)
		for name, at := range more.sections {
			if _, seen := u.sections[name]; !seen {
				u.sections[name] = at
			}
		}
	}
	return nil
}

// near reads a file of the document's directory that the document names; nil: it is not there.
func (l loader) near(name string) *unit {
	if l.src.File == "" || name == "" || name != filepath.Base(name) {
		return nil
	}
	src := guard.Source{
		Path: filepath.Join(filepath.Dir(l.src.Path), name), File: filepath.Join(filepath.Dir(l.src.File), name),
	}
	data, err := readNear(src.File)
	if err != nil {
		return nil
	}
	u, err := parse(src.Path, data)
	if err != nil || u.addDropIns(src) != nil {
		return nil
	}
	return u
}
