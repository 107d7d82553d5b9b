package store

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/ref"
)

// RemoveDangling deletes those of the images (by id) that have no name and that no container was made of, and
// collects garbage once. The others stay as they are.
func (s *Store) RemoveDangling(ctx context.Context, ids []digest.Digest) error {
	removed, err := s.removeDangling(ctx, ids)
	if err != nil || !removed {
		return err
	}
	return s.GC(ctx)
}

func (s *Store) removeDangling(ctx context.Context, ids []digest.Digest) (removed bool, err error) {
	lock, err := s.lock(ctx, imagesLock, unix.LOCK_EX)
	if err != nil {
		return false, err
	}
	defer unlock(lock)
	records, err := s.records()
	if err != nil {
		return false, err
	}
	containers, err := s.Containers()
	if err != nil {
		return false, err
	}
	doomed := make(map[digest.Digest]bool, len(ids))
	for _, id := range ids {
		doomed[id] = true
	}
	for _, c := range containers {
		delete(doomed, digest.Digest(c.ImageID))
	}
	for _, rec := range records {
		if rec.ref != (ref.Reference{}) {
			delete(doomed, rec.Config)
		}
	}
	for _, rec := range records {
		if !doomed[rec.Config] {
			continue
		}
		if err := os.Remove(rec.path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return removed, fmt.Errorf("remove image %s: %w", shortID(rec.Config), err)
		}
		removed = true
	}
	return removed, nil
}
