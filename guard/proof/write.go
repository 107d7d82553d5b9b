package proof

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/guard/profile"
	"github.com/deckhand-engine/deckhand/internal/hint"
)

// stagePrefix begins the names of the directories in which files are written before they are put in place.
const stagePrefix = ".deckhand-harden-"

// MayWrite reports whether [Write] would take the directory: it is not there yet, is empty, or holds an earlier proof.
// Who takes minutes to find a proof asks before.
func MayWrite(dir string) error {
	_, err := look(dir)
	return err
}

// Write writes the files of a proof into dir. A new directory appears whole or not at all. In one with an earlier
// proof each file is replaced at once, after all have been written; those that this proof has not go, and other
// files stay. A directory with other files and no proof is refused. Upon an error nothing half-written stays.
func Write(dir string, p *Proof) error {
	files, err := Files(p)
	if err != nil {
		return err
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("write proof: %w", err)
	}
	exists, err := look(dir)
	if err != nil {
		return err
	}
	at := dir
	if !exists {
		at = filepath.Dir(dir)
	}
	if err := writeBy(at, dir, files); err != nil {
		return fmt.Errorf("write proof into %s: %w", dir, err)
	}
	return nil
}

// look reports whether dir is there. The error says why it cannot be written into.
func look(dir string) (exists bool, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, lookAbove(dir)
	}
	if err != nil {
		return false, fmt.Errorf("write proof: %w", err)
	}
	there := map[string]fs.DirEntry{}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), stagePrefix) { // of somebody who was killed
			there[e.Name()] = e
		}
	}
	if len(there) > 0 && !isProof(filepath.Join(dir, FileName)) {
		return true, hint.With(fmt.Errorf("write proof: %s holds other files and no %s of deckhand harden", dir, FileName),
			"name a directory that is new or empty, or has an earlier proof:  deckhand harden --output DIR …")
	}
	for _, name := range names() {
		if e := there[name]; e != nil && e.IsDir() {
			return true, fmt.Errorf("write proof: %s is a directory", filepath.Join(dir, name))
		}
	}
	return true, mayMake(dir)
}

// mayMake reports what keeps files from being made in a directory.
func mayMake(dir string) error {
	if err := unix.Access(dir, unix.W_OK|unix.X_OK); err != nil {
		return fmt.Errorf("write proof: make files in %s: %w", dir, err)
	}
	return nil
}

// lookAbove says why dir cannot be made.
func lookAbove(dir string) error {
	if st, err := os.Lstat(dir); err == nil && st.Mode()&fs.ModeSymlink != 0 {
		return fmt.Errorf("write proof: %s is a link that leads nowhere", dir)
	}
	above := filepath.Dir(filepath.Clean(dir))
	st, err := os.Stat(above)
	if errors.Is(err, fs.ErrNotExist) {
		return hint.With(fmt.Errorf("write proof: there is no directory %s to make %s in", above, filepath.Base(dir)),
			"make it:  mkdir -p "+hint.Word(above))
	}
	if err == nil && !st.IsDir() {
		err = fmt.Errorf("%s is not a directory", above)
	}
	if err != nil {
		return fmt.Errorf("write proof: %w", err)
	}
	return mayMake(above)
}

// isProof reports whether the file is a proof, of any version.
func isProof(name string) bool {
	data, err := profile.ReadRegular(name, maxBytes)
	if err != nil {
		return false
	}
	var head struct {
		Version    *int             `json:"version"`
		Dockerfile *string          `json:"dockerfile"`
		Profile    *json.RawMessage `json:"profile"`
	}
	return json.Unmarshal(data, &head) == nil && head.Version != nil && head.Dockerfile != nil && head.Profile != nil
}

// writeBy writes the files in a directory below at, and has them take their places in dir.
func writeBy(at, dir string, files map[string][]byte) error {
	s, err := newStage(at)
	if err != nil {
		return err
	}
	for _, name := range names() {
		if content, ok := files[name]; ok && err == nil {
			err = s.write(name, content)
		}
	}
	if err == nil {
		err = s.dir.Sync()
	}
	if err == nil && at != dir {
		err = os.Rename(s.path, dir)
	} else if err == nil {
		err = s.replace(dir, files)
	}
	if err == nil {
		err = syncDirectory(at)
	}
	return errors.Join(err, s.close())
}

// stage is a directory in which files are written before they are put in place. It is locked, so that those that
// nobody locks any more are known.
type stage struct {
	path string
	dir  *os.File
}

// newStage makes a stage below at, and removes those that were left by somebody who was killed.
func newStage(at string) (*stage, error) {
	sweep(at)
	for {
		path := filepath.Join(at, stagePrefix+strings.ToLower(rand.Text()))
		if err := os.Mkdir(path, 0o755); err != nil { //nolint:gosec // the result is for everybody
			return nil, err
		}
		s := &stage{path: path}
		dir, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // swept before it was locked
		}
		if err == nil {
			s.dir = dir
			err = unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		}
		if errors.Is(err, unix.EWOULDBLOCK) || err == nil && !s.stands() {
			_ = dir.Close() // somebody sweeps it
			continue
		}
		if err != nil {
			return nil, errors.Join(err, s.close())
		}
		return s, nil
	}
}

// stands reports whether the stage is still where it was made.
func (s *stage) stands() bool {
	made, err := s.dir.Stat()
	there, err2 := os.Lstat(s.path)
	return err == nil && err2 == nil && os.SameFile(made, there)
}

// sweep removes stages that nobody works in. What cannot be removed stays: it is in nobody's way.
func sweep(at string) {
	entries, err := os.ReadDir(at)
	if err != nil {
		return
	}
	for _, e := range entries {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), stagePrefix) {
			continue
		}
		path := filepath.Join(at, e.Name())
		if dir, err := os.Open(path); err == nil {
			if unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
				_ = os.RemoveAll(path)
			}
			_ = dir.Close() // read only
		}
	}
}

// write makes a file that survives a power cut.
func (s *stage) write(name string, content []byte) error {
	mode := fs.FileMode(0o644)
	if name == RunName {
		mode = 0o755
	}
	f, err := os.OpenFile(filepath.Join(s.path, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// replace puts the files into their places in dir, and takes away those of an earlier proof that are no more.
func (s *stage) replace(dir string, files map[string][]byte) error {
	for _, name := range names() {
		place := filepath.Join(dir, name)
		var err error
		if _, ok := files[name]; ok {
			err = os.Rename(filepath.Join(s.path, name), place)
		} else if err = os.Remove(place); errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// close removes what is left of the stage, and unlocks it.
func (s *stage) close() error {
	err := os.RemoveAll(s.path)
	if s.dir != nil {
		_ = s.dir.Close() // read only
	}
	return err
}

// syncDirectory makes renames in a directory survive a power cut.
func syncDirectory(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only synced
	return f.Sync()
}
