package store

import (
	"archive/tar"
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/deckhand-engine/deckhand/ref"
)

// annotationName is containerd's (and docker's) annotation for a full reference in an index.
const annotationName = "io.containerd.image.name"

// dockerManifest is an element of a docker archive's manifest.json.
type dockerManifest struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// Save writes a docker archive that is an OCI layout as well (as docker save does since 25). Blobs are
// verified on the way; ErrCorrupt.
func (s *Store) Save(ctx context.Context, w io.Writer, images []*Image) error {
	lease, err := s.Lease(ctx)
	if err != nil {
		return err
	}
	defer lease.Release()
	buffered := bufio.NewWriterSize(w, 256<<10)
	x := &saver{s: s, tw: tar.NewWriter(buffered), saved: make(map[digest.Digest]bool)}
	if err := x.save(ctx, images); err != nil {
		return fmt.Errorf("save: %w", err)
	}
	if err := x.tw.Close(); err != nil {
		return fmt.Errorf("save: %w", err)
	}
	if err := buffered.Flush(); err != nil {
		return fmt.Errorf("save: %w", err)
	}
	return nil
}

type saver struct {
	s     *Store
	tw    *tar.Writer
	saved map[digest.Digest]bool
}

func (x *saver) save(ctx context.Context, images []*Image) error {
	for _, dir := range []string{"blobs/", blobDir + "/"} {
		hdr := &tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o755, ModTime: time.Unix(0, 0)}
		if err := x.tw.WriteHeader(hdr); err != nil {
			return err
		}
	}
	index := v1.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageIndex}
	var manifests []*dockerManifest
	for _, group := range groupByManifest(images) {
		manifest, err := x.image(ctx, group[0])
		if err != nil {
			return fmt.Errorf("image %s: %w", group[0].Name(), err)
		}
		for _, img := range group {
			index.Manifests = append(index.Manifests, indexEntry(img))
			if img.Ref != (ref.Reference{}) && img.Ref.Tag != "" {
				manifest.RepoTags = append(manifest.RepoTags, img.Ref.Familiar())
			}
		}
		manifests = append(manifests, manifest)
	}
	return errors.Join(
		x.document(v1.ImageIndexFile, index),
		x.document("manifest.json", manifests),
		x.document(v1.ImageLayoutFile, v1.ImageLayout{Version: v1.ImageLayoutVersion}),
	)
}

// groupByManifest puts an image's references together, in the order given.
func groupByManifest(images []*Image) [][]*Image {
	var groups [][]*Image
	for _, img := range images {
		i := slices.IndexFunc(groups, func(g []*Image) bool { return g[0].Target.Digest == img.Target.Digest })
		if i < 0 {
			groups = append(groups, []*Image{img})
			continue
		}
		if !slices.ContainsFunc(groups[i], func(o *Image) bool { return o.Ref == img.Ref }) {
			groups[i] = append(groups[i], img)
		}
	}
	return groups
}

func indexEntry(img *Image) v1.Descriptor {
	d := img.Target
	d.Annotations = nil
	if img.Ref != (ref.Reference{}) {
		d.Annotations = map[string]string{annotationName: img.Ref.String()}
		if img.Ref.Tag != "" {
			d.Annotations[v1.AnnotationRefName] = img.Ref.Tag
		}
	}
	return d
}

// image writes the image's blobs.
func (x *saver) image(ctx context.Context, img *Image) (*dockerManifest, error) {
	m := &dockerManifest{Config: blobName(img.ID), RepoTags: []string{}, Layers: []string{}}
	blobs := append([]v1.Descriptor{img.Target, img.Manifest.Config}, img.Manifest.Layers...)
	for _, d := range blobs {
		if err := x.blob(ctx, d.Digest); err != nil {
			return nil, err
		}
	}
	for _, d := range img.Manifest.Layers {
		m.Layers = append(m.Layers, blobName(d.Digest))
	}
	return m, nil
}

func blobName(d digest.Digest) string { return blobDir + "/" + d.Encoded() }

func (x *saver) blob(ctx context.Context, d digest.Digest) error {
	if x.saved[d] {
		return nil
	}
	x.saved[d] = true
	f, err := x.s.OpenBlob(d)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read
	st, err := f.Stat()
	if err != nil {
		return fmt.Errorf("read blob: %w", err)
	}
	if err := x.header(blobName(d), st.Size()); err != nil {
		return err
	}
	hash := sha256.New()
	sink := newAsyncWriter(hash)
	n, err := io.CopyBuffer(struct{ io.Writer }{x.tw}, contextReader{ctx, io.TeeReader(f, sink)}, make([]byte, 256<<10))
	err = errors.Join(err, sink.close())
	if err != nil {
		return err
	}
	if n != st.Size() || sumOf(hash) != d {
		return x.s.corruptBlob(d)
	}
	return nil
}

func (x *saver) header(name string, size int64) error {
	return x.tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644, ModTime: time.Unix(0, 0)})
}

func (x *saver) document(name string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s: %w", name, err)
	}
	if err := x.header(name, int64(len(data))); err != nil {
		return err
	}
	_, err = x.tw.Write(data)
	return err
}
