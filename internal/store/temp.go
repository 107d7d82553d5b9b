package store

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

const tmpDir = "tmp"

// TempDir is a directory below tmp, locked by this process and removed by whoever finds it unlocked.
type TempDir struct {
	Path string

	lock *os.File
	once sync.Once
	err  error
}

// TempDir makes one.
func (s *Store) TempDir(prefix string) (*TempDir, error) {
	unguard, err := s.guardTemp()
	if err != nil {
		return nil, err
	}
	defer unguard()
	path := s.path(tmpDir, prefix+"-"+randomHex(8))
	if err := os.Mkdir(path, 0o700); err != nil {
		return nil, fmt.Errorf("make temporary directory: %w", err)
	}
	f, err := open(path, os.O_RDONLY, 0)
	if err == nil {
		err = flock(f, unix.LOCK_EX|unix.LOCK_NB)
	}
	if err != nil {
		_ = os.Remove(path) // nothing in it
		return nil, fmt.Errorf("make temporary directory: %w", err)
	}
	return &TempDir{Path: path, lock: f}, nil
}

// Close removes it; safe to call twice.
func (t *TempDir) Close() error {
	t.once.Do(func() {
		if err := os.RemoveAll(t.Path); err != nil {
			t.err = fmt.Errorf("remove temporary directory: %w", err)
		}
		unlock(t.lock)
	})
	return t.err
}

// tempFile makes a locked file below tmp.
func (s *Store) tempFile(prefix string) (*os.File, error) {
	unguard, err := s.guardTemp()
	if err != nil {
		return nil, err
	}
	defer unguard()
	path := s.path(tmpDir, prefix+"-"+randomHex(8))
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make temporary file: %w", err)
	}
	if err := flock(f, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		discard(f)
		return nil, fmt.Errorf("make temporary file: %w", err)
	}
	return f, nil
}

// discard removes a temporary file.
func discard(f *os.File) {
	_ = os.Remove(f.Name()) // if it stays, the next Open removes it
	_ = f.Close()
}

// guardTemp keeps sweepers out between the making and the locking of something below tmp.
func (s *Store) guardTemp() (func(), error) {
	tmp, err := open(s.path(tmpDir), os.O_RDONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("open tmp: %w", err)
	}
	if err := flock(tmp, unix.LOCK_SH); err != nil {
		_ = tmp.Close() // not locked
		return nil, err
	}
	return func() { unlock(tmp) }, nil
}

// sweep removes what dead processes left in tmp. What fails is left to the next one.
func (s *Store) sweep(names []string) {
	tmp, err := open(s.path(tmpDir), os.O_RDONLY, 0)
	if err != nil {
		return
	}
	defer unlock(tmp)
	if flock(tmp, unix.LOCK_EX|unix.LOCK_NB) != nil {
		return // somebody is making something, or sweeps
	}
	var dead []*os.File
	for _, name := range names {
		f, err := os.OpenFile(s.path(tmpDir, name), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
		if err != nil {
			continue
		}
		if flock(f, unix.LOCK_EX|unix.LOCK_NB) != nil {
			_ = f.Close() // somebody's
			continue
		}
		dead = append(dead, f)
	}
	_ = flock(tmp, unix.LOCK_UN) // holding what is dead is enough, and removing takes time
	for _, f := range dead {
		if err := os.RemoveAll(f.Name()); err != nil {
			s.log.Warn("cannot remove what a dead process left", "path", f.Name(), "error", err)
		}
		_ = f.Close() // only locked
	}
}

// trash moves path out of sight at once and then deletes it.
func (s *Store) trash(path string) error {
	tmp, err := s.TempDir("trash")
	if err != nil {
		return err
	}
	err = os.Rename(path, filepath.Join(tmp.Path, "x"))
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, tmp.Close())
}

func randomHex(bytes int) string {
	b := make([]byte, bytes)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// abandoned reports whether nobody holds something below tmp.
func abandoned(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false // gone
	}
	defer unlock(f)
	return flock(f, unix.LOCK_SH|unix.LOCK_NB) == nil
}
