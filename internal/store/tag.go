package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/ref"
)

const (
	danglingDir = "dangling"
	imagesLock  = "images"
)

// record is what a file below images or dangling holds: the manifest, and the image's id to find it by.
type record struct {
	v1.Descriptor
	Config digest.Digest `json:"config"`

	ref    ref.Reference
	tagged time.Time
	path   string
}

// repositoryDir escapes a name into one path element: no reference has a plus sign.
func repositoryDir(r ref.Reference) string { return strings.ReplaceAll(r.Name(), "/", "+") }

func (s *Store) tagPath(r ref.Reference) string {
	file := r.Tag
	if r.Digest != "" {
		file = "@" + r.Digest.String()
	}
	return s.root + "/images/" + repositoryDir(r) + "/" + file
}

func (s *Store) danglingPath(d digest.Digest) string { return s.path(danglingDir, d.Encoded()) }

// referenceOf undoes tagPath.
func referenceOf(dir, file string) (ref.Reference, bool) {
	registry, repository, ok := strings.Cut(dir, "+")
	r := ref.Reference{Registry: registry, Repository: strings.ReplaceAll(repository, "+", "/"), Tag: file}
	if d, isDigest := strings.CutPrefix(file, "@"); isDigest {
		r.Tag, r.Digest = "", digest.Digest(d)
	}
	return r, ok
}

func (s *Store) readRecord(path string, r ref.Reference) (*record, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	rec := &record{ref: r, tagged: st.ModTime(), path: path}
	if err := readJSON(path, rec); err != nil {
		return nil, err
	}
	if _, err := s.blobPath(rec.Digest); err != nil {
		return nil, problemf(ErrCorrupt, "%s is damaged: %v", path, err)
	}
	return rec, nil
}

// records reads all references and dangling images, but not those of trials. Damaged ones are logged and left out.
func (s *Store) records() ([]*record, error) {
	dirs, err := readNames(s.path("images"))
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	slices.Sort(dirs)
	var all []*record
	for _, dir := range dirs {
		records, err := s.repositoryRecords(dir)
		if err != nil {
			return nil, err
		}
		all = append(all, records...)
	}
	dangling, err := s.unnamed(danglingDir)
	return append(all, dangling...), err
}

// unnamed reads the records in a directory of images without names.
func (s *Store) unnamed(dir string) ([]*record, error) {
	files, err := readNames(s.path(dir))
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	slices.Sort(files)
	var records []*record
	for _, file := range files {
		records = s.appendRecord(records, s.path(dir, file), ref.Reference{})
	}
	return records, nil
}

func (s *Store) repositoryRecords(dir string) ([]*record, error) {
	files, err := readNames(s.path("images", dir))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil // removed meanwhile
	}
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	slices.Sort(files)
	var records []*record
	for _, file := range files {
		if r, ok := referenceOf(dir, file); ok {
			records = s.appendRecord(records, s.path("images", dir, file), r)
		}
	}
	return records, nil
}

func (s *Store) appendRecord(records []*record, path string, r ref.Reference) []*record {
	rec, err := s.readRecord(path, r)
	if err == nil {
		return append(records, rec)
	}
	if !errors.Is(err, os.ErrNotExist) {
		s.log.Warn("cannot read image reference", "error", err)
	}
	return records
}

// Tag points r at a manifest that is in the store (atomic). The image r named before stays, dangling.
// Of an index it takes this machine's platform.
func (s *Store) Tag(ctx context.Context, r ref.Reference, manifest v1.Descriptor) error {
	img, err := s.ImageByManifest(ctx, manifest)
	if err != nil {
		return fmt.Errorf("tag %s: %w", r.Familiar(), err)
	}
	lock, err := s.lock(ctx, imagesLock, unix.LOCK_EX)
	if err != nil {
		return err
	}
	defer unlock(lock)
	old, err := s.readRecord(s.tagPath(r), r)
	if err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, ErrCorrupt) {
		return fmt.Errorf("tag %s: %w", r.Familiar(), err)
	}
	if old != nil && old.Digest == img.Target.Digest {
		now := s.now()
		return os.Chtimes(old.path, now, now)
	}
	if err := s.keepOld(old); err != nil {
		return err
	}
	return s.writeTag(r, &record{Descriptor: img.Target, Config: img.ID})
}

// keepOld makes the image a reference is about to leave dangling, unless it has another name.
func (s *Store) keepOld(old *record) error {
	if old == nil {
		return nil
	}
	records, err := s.records()
	if err != nil {
		return err
	}
	for _, rec := range records {
		if rec.Digest == old.Digest && rec.path != old.path {
			return nil
		}
	}
	return s.writeJSON(s.danglingPath(old.Digest), old, true)
}

func (s *Store) writeTag(r ref.Reference, rec *record) error {
	// The blobs' own names must be there before the first name that leads to them.
	if err := syncDir(s.path(blobDir)); err != nil {
		return err
	}
	err := os.Mkdir(s.path("images", repositoryDir(r)), 0o700)
	if err == nil {
		err = syncDir(s.path("images"))
	}
	if err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("tag %s: %w", r.Familiar(), err)
	}
	if err := s.writeJSON(s.tagPath(r), rec, true); err != nil {
		return fmt.Errorf("tag %s: %w", r.Familiar(), err)
	}
	return removeFile(s.danglingPath(rec.Digest)) // it has a name now
}

// KeepUntagged records a manifest as a dangling image, unless some reference names it; in trials, as one of theirs.
func (s *Store) KeepUntagged(ctx context.Context, manifest v1.Descriptor) error {
	img, err := s.ImageByManifest(ctx, manifest)
	if err != nil {
		return fmt.Errorf("keep image: %w", err)
	}
	if s.opts.Trials != "" {
		return s.keepTrial(img)
	}
	lock, err := s.lock(ctx, imagesLock, unix.LOCK_EX)
	if err != nil {
		return err
	}
	defer unlock(lock)
	records, err := s.records()
	if err != nil {
		return err
	}
	for _, rec := range records {
		if rec.Digest == img.Target.Digest {
			return nil
		}
	}
	if err := syncDir(s.path(blobDir)); err != nil {
		return err
	}
	return s.writeJSON(s.danglingPath(img.Target.Digest), &record{Descriptor: img.Target, Config: img.ID}, true)
}
