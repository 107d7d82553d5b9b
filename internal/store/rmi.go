package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/ref"
)

// Removed says what RemoveImage did.
type Removed struct {
	Untagged []string        // familiar references
	Deleted  []digest.Digest // image ids
}

// removal is one RemoveImage: the record found, all records of the same image, the containers made of it.
type removal struct {
	s     *Store
	given string
	byID  bool
	force bool
	found *record
	same  []*record // all of the image id, found among them
	out   Removed
}

// RemoveImage untags nameOrID and, when that was the last reference, deletes the image
// (force: also with several tags or stopped containers, as docker rmi -f). ErrNotFound, ErrInUse, ErrAmbiguous.
func (s *Store) RemoveImage(ctx context.Context, nameOrID string, force bool) (Removed, error) {
	out, err := s.removeImage(ctx, nameOrID, force)
	if err != nil || len(out.Deleted) == 0 {
		return out, err
	}
	return out, s.GC(ctx)
}

func (s *Store) removeImage(ctx context.Context, nameOrID string, force bool) (Removed, error) {
	lock, err := s.lock(ctx, imagesLock, unix.LOCK_EX)
	if err != nil {
		return Removed{}, err
	}
	defer unlock(lock)
	found, err := s.find(nameOrID)
	if err != nil {
		return Removed{}, err
	}
	records, err := s.records()
	if err != nil {
		return Removed{}, err
	}
	r := &removal{s: s, given: nameOrID, force: force, found: found}
	for _, rec := range records {
		if rec.Config == found.Config {
			r.same = append(r.same, rec)
		}
	}
	r.byID = r.givenByID()
	if r.byID {
		err = r.removeByID()
	} else {
		err = r.removeReference()
	}
	return r.out, err
}

// givenByID is docker's test: what the user typed is the beginning of the image's id.
func (r *removal) givenByID() bool {
	if r.found.ref == (ref.Reference{}) {
		return true
	}
	prefix := strings.TrimPrefix(r.given, "sha256:")
	if !ref.IsID(r.given) || !strings.HasPrefix(r.found.Config.Encoded(), prefix) && !strings.HasPrefix(r.found.Digest.Encoded(), prefix) {
		return false
	}
	parsed, err := ref.Parse(r.given)
	return err != nil || parsed != r.found.ref
}

// removeReference removes one name; with the last one goes the image, unless something needs it.
func (r *removal) removeReference() error {
	last := len(r.same) == 1
	if last && !r.force {
		user, _, err := r.users()
		if err != nil {
			return err
		}
		if user != nil {
			return problemf(ErrInUse, "conflict: unable to remove repository reference %q (must force) - "+
				"container %s is using its referenced image %s", r.given, user.ID[:12], shortID(r.found.Config))
		}
	}
	if !last {
		return r.untag(r.found)
	}
	_, running, err := r.users()
	if err != nil {
		return err
	}
	if running != nil {
		return r.hardConflict(running)
	}
	if err := r.untag(r.found); err != nil {
		return err
	}
	r.out.Deleted = append(r.out.Deleted, r.found.Config)
	return nil
}

// removeByID removes the image with all its names: several repositories or a container need force.
func (r *removal) removeByID() error {
	user, running, err := r.users()
	switch {
	case err != nil:
		return err
	case running != nil:
		return r.hardConflict(running)
	case !r.force && user != nil:
		return problemf(ErrInUse, "conflict: unable to delete %s (must be forced) - image is being used by stopped container %s",
			shortID(r.found.Config), user.ID[:12])
	case !r.force && r.repositories() > 1:
		return problemf(ErrInUse, "conflict: unable to delete %s (must be forced) - image is referenced in multiple repositories",
			shortID(r.found.Config))
	}
	for _, rec := range r.same {
		if err := r.untag(rec); err != nil {
			return err
		}
	}
	r.out.Deleted = append(r.out.Deleted, r.found.Config)
	return nil
}

func (r *removal) hardConflict(running *Container) error {
	return problemf(ErrInUse, "conflict: unable to delete %s (cannot be forced) - image is being used by running container %s",
		shortID(r.found.Config), running.ID[:12])
}

// repositories counts the names that differ in more than a digest; docker refuses two tags of one repository as well.
func (r *removal) repositories() int {
	names := make(map[string]bool)
	for _, rec := range r.same {
		if rec.ref != (ref.Reference{}) && rec.ref.Digest == "" {
			names[rec.ref.String()] = true
		}
	}
	return len(names)
}

// users returns some container made of the image, and a running one.
func (r *removal) users() (user, running *Container, err error) {
	containers, err := r.s.Containers()
	if err != nil {
		return nil, nil, err
	}
	for _, c := range containers {
		if c.ImageID != string(r.found.Config) {
			continue
		}
		user = c
		if r.s.Watched(c.ID) {
			return user, c, nil
		}
	}
	return user, nil, nil
}

func (r *removal) untag(rec *record) error {
	if err := os.Remove(rec.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("untag %s: %w", rec.ref.Familiar(), err)
	}
	if rec.ref != (ref.Reference{}) {
		r.out.Untagged = append(r.out.Untagged, rec.ref.Familiar())
		_ = os.Remove(r.s.path("images", repositoryDir(rec.ref))) // only if that was its last
	}
	return nil
}
