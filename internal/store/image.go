package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/deckhand-engine/deckhand/ref"
)

// Docker's names for what the image-spec calls index and manifest.
const (
	dockerIndexType    = "application/vnd.docker.distribution.manifest.list.v2+json"
	dockerManifestType = "application/vnd.docker.distribution.manifest.v2+json"
)

// Image is a loaded image.
type Image struct {
	Ref      ref.Reference // zero for a dangling image
	Target   v1.Descriptor // the manifest
	ID       digest.Digest // digest of the config
	Manifest v1.Manifest
	Config   dockerspec.DockerOCIImage
	Tagged   time.Time // when the reference was written
}

// Name is how to speak of the image: its familiar reference, else its short id.
func (i *Image) Name() string {
	if name := i.Ref.Familiar(); name != "" {
		return name
	}
	return shortID(i.ID)
}

// shortID is docker's 12 digits.
func shortID(id digest.Digest) string {
	_, encoded, _ := strings.Cut(string(id), ":")
	return encoded[:min(12, len(encoded))]
}

// Image finds by reference, then by id or unique id prefix, as docker does. ErrNotFound, ErrAmbiguous; ErrCorrupt
// if the image is there but cannot be used.
func (s *Store) Image(_ context.Context, nameOrID string) (*Image, error) {
	rec, err := s.find(nameOrID)
	if err != nil {
		return nil, err
	}
	return s.loadRecord(rec)
}

// loadRecord loads and says of a broken image how to mend it.
func (s *Store) loadRecord(rec *record) (*Image, error) {
	img, err := s.load(rec.Descriptor)
	if err != nil {
		name := rec.ref.Familiar()
		if name == "" {
			name = shortID(rec.Config)
		}
		if errors.Is(err, ErrNotFound) {
			err = problemf(ErrCorrupt, "%v; get it again: deckhand pull %s", err, name)
		}
		return nil, fmt.Errorf("image %s: %w", name, err)
	}
	img.Ref, img.Tagged = rec.ref, rec.tagged
	return img, nil
}

// ImageByManifest loads the image of a manifest descriptor. Of an index it takes this machine's platform.
func (s *Store) ImageByManifest(_ context.Context, d v1.Descriptor) (*Image, error) {
	d, err := s.resolveIndex(d)
	if err != nil {
		return nil, err
	}
	return s.load(d)
}

func (s *Store) load(d v1.Descriptor) (*Image, error) {
	img := &Image{Target: d}
	if err := s.readDocument(d.Digest, &img.Manifest); err != nil {
		return nil, fmt.Errorf("manifest: %w", err)
	}
	img.ID = img.Manifest.Config.Digest
	if img.ID == "" {
		return nil, problemf(ErrCorrupt, "manifest %s (%s) is not an image's: it names no config", d.Digest, d.MediaType)
	}
	if err := s.readDocument(img.ID, &img.Config); err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	if layers, ids := len(img.Manifest.Layers), len(img.Config.RootFS.DiffIDs); layers != ids {
		return nil, problemf(ErrCorrupt, "manifest %s has %d layers, its config %d", d.Digest, layers, ids)
	}
	return img, nil
}

func (s *Store) readDocument(d digest.Digest, v any) error {
	data, err := s.ReadBlob(d)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return problemf(ErrCorrupt, "%s is no image document: %v", d, err)
	}
	return nil
}

// resolveIndex picks the manifest for this machine's platform.
func (s *Store) resolveIndex(d v1.Descriptor) (v1.Descriptor, error) {
	for depth := 0; d.MediaType == v1.MediaTypeImageIndex || d.MediaType == dockerIndexType; depth++ {
		if depth > 4 {
			return d, problemf(ErrCorrupt, "index %s: indexes nested too deeply", d.Digest)
		}
		var index v1.Index
		if err := s.readDocument(d.Digest, &index); err != nil {
			return d, fmt.Errorf("index: %w", err)
		}
		i := slices.IndexFunc(index.Manifests, matchesPlatform)
		if i < 0 {
			return d, problemf(ErrNotFound, "index %s has no image for linux/%s", d.Digest, runtime.GOARCH)
		}
		d = index.Manifests[i]
	}
	return d, nil
}

// matchesPlatform also takes a manifest that names no platform, as single-platform layouts do.
func matchesPlatform(d v1.Descriptor) bool {
	return d.Platform == nil || d.Platform.OS == "linux" && d.Platform.Architecture == runtime.GOARCH
}

// Images lists every reference and dangling image, newest first. Images that cannot be read are logged and left out.
func (s *Store) Images(_ context.Context) ([]*Image, error) {
	records, err := s.records()
	if err != nil {
		return nil, err
	}
	var images []*Image
	for _, rec := range records {
		img, err := s.loadRecord(rec)
		if err != nil {
			s.log.Warn("cannot read image", "error", err)
			continue
		}
		images = append(images, img)
	}
	slices.SortStableFunc(images, func(a, b *Image) int {
		if c := created(b).Compare(created(a)); c != 0 {
			return c
		}
		if c := b.Tagged.Compare(a.Tagged); c != 0 {
			return c
		}
		return strings.Compare(a.Ref.String(), b.Ref.String())
	})
	return images, nil
}

func created(img *Image) time.Time {
	if img.Config.Created == nil {
		return time.Time{}
	}
	return *img.Config.Created
}

// find looks a record up by what a user typed.
func (s *Store) find(nameOrID string) (*record, error) {
	if id, ok := fullID(nameOrID); ok {
		return s.findID(nameOrID, id)
	}
	r, parseErr := ref.Parse(nameOrID)
	if parseErr == nil {
		rec, err := s.findReference(r)
		if err == nil || !errors.Is(err, os.ErrNotExist) {
			return rec, err
		}
	}
	if ref.IsID(nameOrID) {
		return s.findID(nameOrID, strings.TrimPrefix(nameOrID, "sha256:"))
	}
	if parseErr != nil {
		return nil, parseErr
	}
	return nil, noSuchImage(r.Familiar())
}

func noSuchImage(name string) error { return problemf(ErrNotFound, "No such image: %s", name) }

func fullID(s string) (string, bool) {
	encoded := strings.TrimPrefix(s, "sha256:")
	return encoded, isSHA256(encoded)
}

// findReference reads the reference's record. A digest may also be that of an image known by a tag.
func (s *Store) findReference(r ref.Reference) (*record, error) {
	rec, err := s.readRecord(s.tagPath(r), r)
	if r.Digest == "" || !errors.Is(err, os.ErrNotExist) {
		return rec, err
	}
	records, listErr := s.repositoryRecords(repositoryDir(r))
	if listErr != nil {
		return nil, err
	}
	for _, rec := range records {
		if rec.Digest == r.Digest {
			return rec, nil
		}
	}
	return nil, err
}

// findID finds by the beginning of the config's or manifest's digest.
func (s *Store) findID(given, prefix string) (*record, error) {
	records, err := s.records()
	if err != nil {
		return nil, err
	}
	if s.opts.Trials != "" {
		tried, err := s.trialRecords(s.opts.Trials)
		if err != nil {
			return nil, err
		}
		records = append(records, tried...)
	}
	prefix = "sha256:" + prefix
	var found *record
	for _, rec := range records {
		if !strings.HasPrefix(string(rec.Config), prefix) && !strings.HasPrefix(string(rec.Digest), prefix) {
			continue
		}
		if found != nil && found.Config != rec.Config {
			return nil, problemf(ErrAmbiguous, "multiple IDs found with provided prefix: %s", given)
		}
		if found == nil || found.ref == (ref.Reference{}) {
			found = rec
		}
	}
	if found == nil {
		return nil, noSuchImage(given)
	}
	return found, nil
}
