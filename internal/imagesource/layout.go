package imagesource

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/registry"
)

// annotationName is containerd's and docker's annotation for a full reference in an index.
const annotationName = "io.containerd.image.name"

// maxIndexes is how deep an index may hold indexes.
const maxIndexes = 4

// layout finds an image in an OCI layout in a directory: DIR or DIR:TAG.
func (s *Source) layout(ctx context.Context, name string) (*guard.Image, error) {
	return s.fromLayout(ctx, schemeLayout, name)
}

// layoutArchive finds an image in a tar of an OCI layout.
func (s *Source) layoutArchive(ctx context.Context, name string) (*guard.Image, error) {
	return s.fromLayout(ctx, schemeArchive, name)
}

func (s *Source) fromLayout(ctx context.Context, scheme, name string) (*guard.Image, error) {
	file, tag := cutTag(name)
	m, err := openLayout(ctx, scheme, file)
	if err != nil {
		return nil, err
	}
	from := "layout "
	if scheme == schemeArchive {
		from = "archive "
	}
	img, err := s.imageOf(ctx, m, tag)
	if err != nil {
		return nil, fmt.Errorf("%s%s: %w", from, file, err)
	}
	img.From = from + file
	return img, nil
}

func openLayout(ctx context.Context, scheme, file string) (members, error) {
	if scheme == schemeArchive {
		t, err := openTarFile(ctx, file)
		if err != nil {
			return nil, err
		}
		if !t.has(v1.ImageIndexFile) {
			return nil, fmt.Errorf("%s is no OCI layout: it has no %s", file, v1.ImageIndexFile)
		}
		return t, nil
	}
	d := directory(file)
	if !d.has(v1.ImageIndexFile) {
		_, err := d.open(ctx, v1.ImageIndexFile)
		return nil, fmt.Errorf("%s is no OCI layout: %w", file, err)
	}
	return d, nil
}

func (s *Source) imageOf(ctx context.Context, m members, tag string) (*guard.Image, error) {
	var index v1.Index
	if err := decode(ctx, m, v1.ImageIndexFile, &index); err != nil {
		return nil, err
	}
	d, err := s.chooseEntry(index.Manifests, tag)
	if err != nil {
		return nil, err
	}
	manifest, d, err := s.manifest(ctx, m, d)
	if err != nil {
		return nil, err
	}
	img := &guard.Image{Manifest: d.Digest, Local: true}
	config, err := blob(ctx, m, manifest.Config.Digest)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(config, &img.Config); err != nil {
		return nil, fmt.Errorf("parse config: %w", err)
	}
	layers := make([]*layer, len(manifest.Layers))
	for i, d := range manifest.Layers {
		layers[i] = &layer{
			name: "layer " + d.Digest.String(), diffID: diffID(img.Config.RootFS.DiffIDs, i, len(layers)),
			open: func(ctx context.Context) (io.ReadCloser, error) { return openBlob(ctx, m, d.Digest) },
		}
	}
	img.Files = newFiles(layers)
	return img, nil
}

// chooseEntry picks an entry of the index: the one that is named, or the only one, or the platform's.
func (s *Source) chooseEntry(entries []v1.Descriptor, tag string) (v1.Descriptor, error) {
	var names []string
	var named []v1.Descriptor
	for i, d := range entries {
		if isAttestation(d) {
			continue
		}
		if isNamed(d, i, tag) {
			named = append(named, d)
		}
		if name := entryName(d, i); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	switch {
	case len(named) == 1:
		return named[0], nil
	case len(named) == 0, tag == "" && len(names) > 1 && !unnamed(named):
		return v1.Descriptor{}, otherNames(tag, names)
	}
	if d := registry.Choose(named, s.platform()); d != nil {
		return *d, nil
	}
	return v1.Descriptor{}, errNoPlatform
}

// isNamed reports whether the tag names entry i; no tag names all.
func isNamed(d v1.Descriptor, i int, tag string) bool {
	switch tag {
	case "", entryName(d, i), "@" + strconv.Itoa(i), d.Annotations[v1.AnnotationRefName]:
		return true
	}
	return sameReference(d.Annotations[annotationName], tag)
}

var errNoPlatform = errors.New("it holds no image for the platform")

// unnamed reports whether entries differ in their platforms only.
func unnamed(entries []v1.Descriptor) bool {
	return !slices.ContainsFunc(entries, func(d v1.Descriptor) bool {
		return d.Platform == nil || d.Annotations[v1.AnnotationRefName] != "" || d.Annotations[annotationName] != ""
	})
}

// isAttestation recognises what buildx puts beside images.
func isAttestation(d v1.Descriptor) bool {
	return d.Annotations["vnd.docker.reference.type"] == "attestation-manifest"
}

func entryName(d v1.Descriptor, i int) string {
	if name := d.Annotations[annotationName]; name != "" {
		return name
	}
	if name := d.Annotations[v1.AnnotationRefName]; name != "" {
		return name
	}
	return "@" + strconv.Itoa(i)
}

// layoutTags are the names that the images of a layout are chosen by.
func layoutTags(ctx context.Context, m members) []string {
	var index v1.Index
	if decode(ctx, m, v1.ImageIndexFile, &index) != nil {
		return nil
	}
	entries := slices.DeleteFunc(slices.Clone(index.Manifests), isAttestation)
	if unnamed(entries) {
		return nil // one image for several platforms
	}
	var names []string
	for i, d := range index.Manifests {
		if name := entryName(d, i); !isAttestation(d) && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// either is a manifest or an index.
type either struct {
	v1.Manifest

	Manifests []v1.Descriptor `json:"manifests"`
}

// manifest reads the manifest that a descriptor leads to, through indexes for the platform.
func (s *Source) manifest(ctx context.Context, m members, d v1.Descriptor) (*v1.Manifest, v1.Descriptor, error) {
	for range maxIndexes {
		data, err := blob(ctx, m, d.Digest)
		if err != nil {
			return nil, d, err
		}
		var doc either
		if err := json.Unmarshal(data, &doc); err != nil {
			return nil, d, fmt.Errorf("parse manifest %s: %w", d.Digest, err)
		}
		if doc.Config.Digest != "" {
			return &doc.Manifest, d, nil
		}
		there := slices.DeleteFunc(doc.Manifests, func(e v1.Descriptor) bool {
			return isAttestation(e) || e.Digest.Validate() != nil || !m.has(blobName(e.Digest))
		})
		next := registry.Choose(there, s.platform())
		if next == nil && len(there) == 1 && s.platform().OS == "" {
			next = &there[0]
		}
		if next == nil {
			return nil, d, errNoPlatform
		}
		d = *next
	}
	return nil, d, fmt.Errorf("more than %d indexes in each other", maxIndexes)
}

func blobName(d digest.Digest) string { return "blobs/" + d.Algorithm().String() + "/" + d.Encoded() }

func openBlob(ctx context.Context, m members, d digest.Digest) (io.ReadCloser, error) {
	if err := d.Validate(); err != nil {
		return nil, fmt.Errorf("digest %q: %w", d, err)
	}
	r, err := m.open(ctx, blobName(d))
	if err != nil {
		return nil, err
	}
	return verify(r, d)
}

// blob reads a small blob.
func blob(ctx context.Context, m members, d digest.Digest) ([]byte, error) {
	r, err := openBlob(ctx, m, d)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }() // only read
	data, err := io.ReadAll(io.LimitReader(withContext(ctx, r), maxDocumentBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", d, err)
	}
	if len(data) > maxDocumentBytes {
		return nil, fmt.Errorf("read %s: more than %d bytes", d, maxDocumentBytes)
	}
	return data, nil
}
