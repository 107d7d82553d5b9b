// Package store keeps images, layers and containers on disk, safely for any number of processes.
//
// It is no daemon and has no database: what is there is files, made elsewhere and renamed into place, and
// flocks. Its invariant: whatever moment a process is killed at, and whoever else is at work, every name a
// reader can see names something whole. See docs/storage.md for the layout.
package store

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/deckhand-engine/deckhand/internal/layer"
)

// Errors callers test for with errors.Is.
var (
	ErrNotFound  = errors.New("not found")
	ErrInUse     = errors.New("in use")
	ErrConflict  = errors.New("name already in use")
	ErrCorrupt   = errors.New("corrupt")
	ErrAmbiguous = errors.New("ambiguous")
)

// Options configure Open; the zero value works.
type Options struct {
	Rootless bool // running inside the rootless user namespace: ownership errors in single-id mode are noted, not fatal
	SingleID bool
	Log      *slog.Logger // nil: silent
	Trials   string       // the name of Trials to take part in; empty: none

	MaxLayerEntries int64 // most entries a layer may have; 0: layer.DefaultMaxEntries
	MaxLayerBytes   int64 // largest layer, uncompressed; 0: layer.DefaultMaxBytes
}

// Store is one data root. Its methods may be called from several goroutines and processes.
type Store struct {
	root string
	opts Options
	log  *slog.Logger
	now  func() time.Time
}

// directories of a store; tmp is made last, so that a store with a tmp has the others.
var directories = [...]string{
	"", "blobs", blobDir, "images", danglingDir, "layers", "containers", "names", "live",
	"cache", "cache/build", "locks", tmpDir,
}

// Open makes the directories that are missing and clears what dead processes left in tmp.
func Open(root string, o Options) (*Store, error) {
	abs, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if o.Trials != "" && !isTrials(o.Trials) {
		return nil, fmt.Errorf("open store: trials have no such name: %q", o.Trials)
	}
	s := &Store{root: abs, opts: o, log: o.Log, now: time.Now} //nolint:forbidigo // the store's one clock; tests set their own
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	names, err := readNames(s.path(tmpDir))
	if errors.Is(err, os.ErrNotExist) {
		return s, s.makeDirectories()
	}
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if len(names) > 0 {
		s.sweep(names)
	}
	return s, nil
}

// makeDirectories keeps everybody else out: layers hold setuid programs whose ids are not shifted yet.
func (s *Store) makeDirectories() error {
	if err := os.MkdirAll(filepath.Dir(s.root), 0o755); err != nil { //nolint:gosec // not ours: as mkdir -p would
		return fmt.Errorf("make data root: %w", err)
	}
	for _, dir := range directories {
		if err := os.Mkdir(s.path(dir), 0o700); err != nil && !errors.Is(err, os.ErrExist) {
			return fmt.Errorf("make data root: %w", err)
		}
	}
	return nil
}

// Root is the data root's path.
func (s *Store) Root() string { return s.root }

func (s *Store) path(elem ...string) string {
	return s.root + "/" + filepath.Join(elem...)
}

func (s *Store) layerOptions() layer.Options {
	return layer.Options{
		UserXattr: s.opts.Rootless, TolerateOwner: s.opts.SingleID,
		MaxEntries: s.opts.MaxLayerEntries, MaxBytes: s.opts.MaxLayerBytes,
	}
}

// problem is an error whose text is for users and whose kind is one of the sentinels.
type problem struct {
	kind error
	msg  string
}

func (p *problem) Error() string { return p.msg }
func (p *problem) Unwrap() error { return p.kind }

func problemf(kind error, format string, args ...any) error {
	return &problem{kind: kind, msg: fmt.Sprintf(format, args...)}
}
