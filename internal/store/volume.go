package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/ref"
)

const (
	volumesDir  = "volumes"
	volumesLock = "volumes"
	volumeData  = "_data"
	volumeFile  = "volume.json"
)

// Volume is what is kept of a named volume in volumes/<name>/volume.json.
type Volume struct {
	Name      string
	Created   time.Time
	Labels    map[string]string `json:",omitempty"`
	Anonymous bool              `json:",omitempty"` // nobody named it: its name is random
}

// CheckVolumeName says in docker's words what is wrong with the name of a volume.
func CheckVolumeName(name string) error {
	switch {
	case ref.ValidName(name):
		return nil
	case len(name) < 2:
		return errors.New("volume name is too short, names should be at least two alphanumeric characters")
	}
	return fmt.Errorf("create %s: %q includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed", name, name)
}

// VolumeDir is where the volume's files lie, with the ids that containers see.
func (s *Store) VolumeDir(name string) string { return s.path(volumesDir, name, volumeData) }

// CreateVolume makes the volume, empty, unless it is there. An empty name is chosen.
func (s *Store) CreateVolume(v *Volume) error {
	if v.Name == "" {
		v.Name, v.Anonymous = randomHex(32), true
	}
	if err := CheckVolumeName(v.Name); err != nil {
		return err
	}
	if s.hasVolume(v.Name) {
		return nil
	}
	if v.Created.IsZero() {
		v.Created = s.now().UTC()
	}
	if err := s.makeVolume(v); err != nil {
		return fmt.Errorf("create volume %s: %w", v.Name, err)
	}
	return nil
}

// makeVolume makes it elsewhere, so that it is whole when it has its name.
func (s *Store) makeVolume(v *Volume) error {
	if err := os.Mkdir(s.path(volumesDir), 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	tmp, err := s.TempDir("volume")
	if err != nil {
		return err
	}
	dir := tmp.Path + "/x"
	err = fillVolume(dir, v)
	if err == nil {
		err = os.Rename(dir, s.path(volumesDir, v.Name))
	}
	if errors.Is(err, os.ErrExist) || errors.Is(err, unix.ENOTEMPTY) {
		err = nil // another process was first
	}
	if err == nil {
		err = syncDir(s.path(volumesDir))
	}
	return errors.Join(err, tmp.Close())
}

func fillVolume(dir string, v *Volume) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	for _, d := range []string{dir, dir + "/" + volumeData} {
		if err := os.Mkdir(d, 0o700); err != nil {
			return err
		}
	}
	if err := os.Chmod(dir+"/"+volumeData, 0o755); err != nil { //nolint:gosec // becomes a directory of containers
		return err
	}
	if err := errors.Join(touch(dir+"/lock"), writeNew(dir+"/"+volumeFile, data)); err != nil {
		return err
	}
	f, err := open(dir+"/"+volumeFile, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close(), syncDir(dir))
}

func (s *Store) hasVolume(name string) bool {
	var st unix.Stat_t
	return unix.Lstat(s.path(volumesDir, name), &st) == nil
}

// Volume finds by name. ErrNotFound.
func (s *Store) Volume(name string) (*Volume, error) {
	if !ref.ValidName(name) || !s.hasVolume(name) {
		return nil, problemf(ErrNotFound, "get %s: no such volume", name)
	}
	v := &Volume{}
	if err := readJSON(s.path(volumesDir, name, volumeFile), v); err != nil {
		if !s.hasVolume(name) { // removed meanwhile
			return nil, problemf(ErrNotFound, "get %s: no such volume", name)
		}
		s.log.Warn("cannot read a volume's record; its files are untouched", "volume", name, "error", err)
	}
	v.Name = name
	return v, nil
}

// Volumes lists all, by name.
func (s *Store) Volumes() ([]*Volume, error) {
	names, err := readNames(s.path(volumesDir))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list volumes: %w", err)
	}
	slices.SortFunc(names, strings.Compare)
	all := make([]*Volume, 0, len(names))
	for _, name := range names {
		v, err := s.Volume(name)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

// TakeVolume takes the volume out of sight; closing what it returns removes the files. The caller holds
// LockVolumes for removal and has seen that no container has the volume. ErrNotFound.
func (s *Store) TakeVolume(name string) (*TempDir, error) {
	if _, err := s.Volume(name); err != nil {
		return nil, err
	}
	tmp, err := s.TempDir("trash")
	if err != nil {
		return nil, err
	}
	if err := os.Rename(s.path(volumesDir, name), tmp.Path+"/x"); err != nil {
		return nil, errors.Join(fmt.Errorf("remove volume %s: %w", name, err), tmp.Close())
	}
	return tmp, nil
}

// VolumeLock is a lock on one volume or on all.
type VolumeLock struct {
	f    *os.File
	once sync.Once
}

// Unlock gives the lock back; safe to call twice.
func (l *VolumeLock) Unlock() { l.once.Do(func() { unlock(l.f) }) }

// LockVolumes keeps apart the recording of containers with volumes (shared) and the removal of volumes.
func (s *Store) LockVolumes(ctx context.Context, removal bool) (*VolumeLock, error) {
	how := unix.LOCK_SH
	if removal {
		how = unix.LOCK_EX
	}
	f, err := s.lock(ctx, volumesLock, how)
	if err != nil {
		return nil, err
	}
	return &VolumeLock{f: f}, nil
}

// LockVolume takes the exclusive lock of who changes a volume's content from outside of containers: its
// first filling, and a change of owners.
func (s *Store) LockVolume(ctx context.Context, name string) (*VolumeLock, error) {
	f, err := open(s.path(volumesDir, name, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock volume: %w", err)
	}
	if err := waitLock(ctx, f, unix.LOCK_EX); err != nil {
		_ = f.Close() // not locked
		return nil, err
	}
	return &VolumeLock{f: f}, nil
}
