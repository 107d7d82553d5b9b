package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// GC removes what nothing refers to: blobs, layers, chain links, locks. It does nothing while another process
// holds a lease. Roots are images, those of trials among them, containers, and the layers that build cache records
// (cache/build/*, JSON with a top-level "Layers") name. On the way it makes layers written in this boot survive a power
// cut.
func (s *Store) GC(ctx context.Context) error {
	f, err := s.openLock(gcLock)
	if err != nil {
		return fmt.Errorf("collect garbage: %w", err)
	}
	defer unlock(f)
	if err := flock(f, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, errBusy) {
			return nil
		}
		return fmt.Errorf("collect garbage: %w", err)
	}
	live, err := s.mark()
	if err == nil {
		err = s.collect(ctx, live)
	}
	if err != nil {
		return fmt.Errorf("collect garbage: %w", err)
	}
	return nil
}

// live is what must stay.
type live struct {
	blobs  map[string]bool // hex digests
	layers map[string]bool // names below layers: ids and chain ids
}

func (s *Store) mark() (*live, error) {
	l := &live{blobs: make(map[string]bool), layers: make(map[string]bool)}
	records, err := s.records()
	if err != nil {
		return nil, err
	}
	trials, err := s.trials()
	if err != nil {
		return nil, err
	}
	for _, name := range trials {
		tried, err := s.trialRecords(name)
		if err != nil {
			return nil, err
		}
		records = append(records, tried...)
	}
	for _, rec := range records {
		s.markImage(l, rec)
	}
	containers, err := s.Containers()
	if err != nil {
		return nil, err
	}
	for _, c := range containers {
		s.markLayers(l, c.Layers)
	}
	return l, s.markBuildCache(l)
}

// markImage keeps what is readable of an image: a damaged one is no reason to delete more of it.
func (s *Store) markImage(l *live, rec *record) {
	l.blobs[rec.Digest.Encoded()] = true
	if _, err := s.blobPath(rec.Config); err == nil {
		l.blobs[rec.Config.Encoded()] = true
	}
	img, err := s.load(rec.Descriptor)
	if err != nil {
		s.log.Warn("cannot read image", "reference", rec.ref.Familiar(), "error", err)
		return
	}
	for _, layer := range img.Manifest.Layers {
		if _, err := s.blobPath(layer.Digest); err == nil {
			l.blobs[layer.Digest.Encoded()] = true
		}
	}
	var ids []string
	for _, chain := range chainIDs(img.Config.RootFS.DiffIDs) {
		ids = append(ids, chain.Encoded())
	}
	s.markLayers(l, ids)
}

// markLayers keeps layers, what their chain ids link to, and the blobs they came from: a layer packed a
// second time might give another digest.
func (s *Store) markLayers(l *live, ids []string) {
	for _, id := range ids {
		if !isHex(id) || l.layers[id] {
			continue
		}
		l.layers[id] = true
		if target, err := os.Readlink(s.path("layers", id)); err == nil {
			s.markLayers(l, []string{target})
			continue
		}
		if meta, err := s.readMeta(id); err == nil && meta.Blob.Digest != "" {
			l.blobs[meta.Blob.Digest.Encoded()] = true
		}
	}
}

func (s *Store) markBuildCache(l *live) error {
	names, err := readNames(s.path("cache", "build"))
	if err != nil {
		return fmt.Errorf("list build cache: %w", err)
	}
	for _, name := range names {
		data, err := os.ReadFile(s.path("cache", "build", name))
		if err != nil {
			continue // a directory, or removed meanwhile
		}
		var rec struct{ Layers []string }
		if json.Unmarshal(data, &rec) == nil {
			s.markLayers(l, rec.Layers)
		}
	}
	return nil
}

func (s *Store) collect(ctx context.Context, l *live) error {
	errs := []error{s.collectLayers(ctx, l), s.collectBlobs(ctx, l), s.settle(ctx)}
	locks, err := readNames(s.path("locks"))
	errs = append(errs, err)
	for _, name := range locks {
		if strings.HasPrefix(name, "unpack-") { // held only under a lease, and there is none
			errs = append(errs, removeFile(s.path("locks", name)))
		}
	}
	return errors.Join(errs...)
}

// collectLayers removes links before what they lead to: killed in between, it leaves none that leads nowhere.
func (s *Store) collectLayers(ctx context.Context, l *live) error {
	names, err := readNames(s.path("layers"))
	if err != nil {
		return err
	}
	var links, layers []string
	for _, name := range names {
		if l.layers[name] && s.HasLayer(name) {
			continue
		}
		if _, err := os.Readlink(s.path("layers", name)); err == nil {
			links = append(links, name)
		} else {
			layers = append(layers, name)
		}
	}
	for _, name := range append(links, layers...) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.trash(s.path("layers", name)); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) collectBlobs(ctx context.Context, l *live) error {
	names, err := readNames(s.path(blobDir))
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !l.blobs[name] {
			if err := removeFile(s.path(blobDir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// settle flushes the layers of this boot to the disk and marks them so.
func (s *Store) settle(ctx context.Context) error {
	names, err := readNames(s.path("layers"))
	if err != nil {
		return err
	}
	var unsynced []string
	for _, name := range names {
		path := s.path("layers", name, unsyncedFile)
		if boot, err := os.ReadFile(path); err == nil && string(boot) == bootID() {
			unsynced = append(unsynced, path)
		}
	}
	if len(unsynced) == 0 || ctx.Err() != nil {
		return ctx.Err()
	}
	dir, err := os.Open(s.path("layers"))
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }() // only synced
	if err := unix.Syncfs(int(dir.Fd())); err != nil {
		return fmt.Errorf("sync layers: %w", err)
	}
	for _, path := range unsynced {
		if err := removeFile(path); err != nil {
			return err
		}
	}
	return nil
}
