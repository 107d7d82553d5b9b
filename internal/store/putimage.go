package store

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/gzip"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/deckhand-engine/deckhand/internal/layer"
)

// PutImage exports each layer (bottom first; exported ones are not read again), completes
// config.RootFS.DiffIDs, writes config and manifest blobs and links the chain ids. It tags nothing.
// The caller holds a Lease until it has tagged the image.
func (s *Store) PutImage(ctx context.Context, config dockerspec.DockerOCIImage, layers []string) (*Image, error) {
	blobs := make([]v1.Descriptor, len(layers))
	diffIDs := make([]digest.Digest, len(layers))
	for i, id := range layers {
		meta, err := s.exportLayer(ctx, id)
		if err != nil {
			return nil, fmt.Errorf("put image: layer %s: %w", id, err)
		}
		blobs[i], diffIDs[i] = meta.Blob, meta.DiffID
	}
	if err := s.linkChains(diffIDs, layers); err != nil {
		return nil, fmt.Errorf("put image: %w", err)
	}
	s.fillConfig(&config)
	config.RootFS = v1.RootFS{Type: "layers", DiffIDs: diffIDs}
	return s.putManifest(config, blobs)
}

// putManifest writes config and manifest; the same input makes the same bytes.
func (s *Store) putManifest(config dockerspec.DockerOCIImage, layers []v1.Descriptor) (*Image, error) {
	data, err := json.Marshal(config)
	if err != nil {
		return nil, fmt.Errorf("encode config: %w", err)
	}
	desc, err := s.putBytes(v1.MediaTypeImageConfig, data)
	if err != nil {
		return nil, err
	}
	return s.putManifestFor(desc, config, layers)
}

func (s *Store) putManifestFor(desc v1.Descriptor, config dockerspec.DockerOCIImage, layers []v1.Descriptor) (*Image, error) {
	manifest := v1.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageManifest,
		Config: desc, Layers: layers,
	}
	if manifest.Layers == nil {
		manifest.Layers = []v1.Descriptor{} // an image from scratch: the spec wants the field
	}
	data, err := json.Marshal(manifest)
	if err != nil {
		return nil, fmt.Errorf("encode manifest: %w", err)
	}
	target, err := s.putBytes(v1.MediaTypeImageManifest, data)
	if err != nil {
		return nil, err
	}
	return &Image{Target: target, ID: desc.Digest, Manifest: manifest, Config: config}, nil
}

// exportLayer returns the layer's blob and diff id, and makes the blob if it is not there.
func (s *Store) exportLayer(ctx context.Context, id string) (layerMeta, error) {
	meta, err := s.readMeta(id)
	if err != nil {
		return meta, err
	}
	if _, ok := s.HasBlob(meta.Blob.Digest); ok && meta.DiffID != "" {
		return meta, nil
	}
	if !s.HasLayer(id) {
		return meta, problemf(ErrNotFound, "layer %s is not in the store", id)
	}
	if meta.Blob, meta.DiffID, err = s.packLayer(ctx, s.LayerDir(id)); err != nil {
		return meta, err
	}
	return meta, s.writeJSON(s.path("layers", id, "meta.json"), meta, false)
}

// packLayer writes the layer's tar, compressed, as a blob: one pass for both digests.
func (s *Store) packLayer(ctx context.Context, dir string) (v1.Descriptor, digest.Digest, error) {
	w, err := s.newBlob()
	if err != nil {
		return v1.Descriptor{}, "", err
	}
	z, err := gzip.NewWriterLevel(w, gzip.BestSpeed)
	if err != nil {
		w.abort()
		return v1.Descriptor{}, "", fmt.Errorf("compress layer: %w", err)
	}
	content := sha256.New()
	sink := newAsyncWriter(z)
	err = layer.Export(ctx, io.MultiWriter(content, sink), dir)
	err = errors.Join(err, sink.close())
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		w.abort()
		return v1.Descriptor{}, "", err
	}
	blob, err := w.commit(v1.Descriptor{MediaType: v1.MediaTypeImageLayerGzip})
	return blob, sumOf(content), err
}

// linkChains makes the layers known under the chain ids that the image's users will look for.
func (s *Store) linkChains(diffIDs []digest.Digest, layers []string) error {
	chains := chainIDs(diffIDs)
	for i, chain := range chains {
		if _, ok := s.resolveLayer(chain); ok {
			continue // the same content, unpacked or built before
		}
		if err := s.linkChain(chain.Encoded(), layers[i]); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) linkChain(chain, id string) error {
	if chain == id {
		return problemf(ErrNotFound, "layer %s is not in the store", id)
	}
	path := s.path("layers", chain)
	err := os.Symlink(id, path)
	if !errors.Is(err, os.ErrExist) {
		return err
	}
	if _, ok := s.resolveLayer(digest.NewDigestFromEncoded(digest.SHA256, chain)); ok {
		return nil // somebody was faster
	}
	if err := s.trash(path); err != nil {
		return err
	}
	if err := os.Symlink(id, path); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("link layer: %w", err)
	}
	return nil
}
