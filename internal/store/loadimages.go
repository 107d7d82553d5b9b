package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/deckhand-engine/deckhand/internal/layer"
	"github.com/deckhand-engine/deckhand/ref"
)

// images adopts the archive's images. Where it is both a docker archive and an OCI layout the layout's
// manifests count, because they keep their digests, and manifest.json's names.
func (a *archive) images() ([]namedImage, error) {
	var docker []dockerManifest
	_, isDocker := a.files["manifest.json"]
	if isDocker {
		if err := a.document("manifest.json", &docker); err != nil {
			return nil, err
		}
	}
	_, isIndex := a.files[v1.ImageIndexFile]
	_, isLayout := a.files[v1.ImageLayoutFile]
	if isIndex && isLayout {
		return a.layoutImages(docker)
	}
	if isDocker {
		return a.dockerImages(docker)
	}
	if _, ok := a.files["repositories"]; ok {
		return nil, fmt.Errorf("%w: an image archive of docker before 1.10 (it has no manifest.json): save it again with a newer one", layer.ErrMalformed)
	}
	return nil, fmt.Errorf("%w: neither a docker archive (manifest.json) nor an OCI layout (oci-layout, index.json); "+
		"a root filesystem is brought in with `deckhand import`", layer.ErrMalformed)
}

func (a *archive) document(name string, v any) error {
	f, err := a.find(name)
	if err != nil {
		return err
	}
	return a.decode(f, name, v)
}

func (a *archive) decode(f archiveFile, name string, v any) error {
	file, err := os.Open(f.path)
	if errors.Is(err, os.ErrNotExist) {
		file, err = a.s.OpenBlob(f.digest) // adopted for another image
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	defer func() { _ = file.Close() }() // only read
	data, err := io.ReadAll(io.LimitReader(file, maxDocumentBytes))
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%w: %s: %w", layer.ErrMalformed, name, err)
	}
	return nil
}

// layoutImages takes every image of an OCI layout's index.
func (a *archive) layoutImages(docker []dockerManifest) ([]namedImage, error) {
	var index v1.Index
	if err := a.document(v1.ImageIndexFile, &index); err != nil {
		return nil, err
	}
	var images []namedImage
	for _, d := range index.Manifests {
		if isAttestation(d) {
			continue
		}
		img, err := a.layoutImage(d, docker)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(images, func(o namedImage) bool { return o.manifest.Digest == img.manifest.Digest })
		if i < 0 {
			images = append(images, img)
			continue
		}
		images[i].refs = appendNew(images[i].refs, img.refs...)
	}
	if len(images) == 0 {
		return nil, fmt.Errorf("%w: its index names no image", layer.ErrMalformed)
	}
	return images, nil
}

// isAttestation recognises what buildx puts beside images.
func isAttestation(d v1.Descriptor) bool {
	return d.Annotations["vnd.docker.reference.type"] == "attestation-manifest"
}

func appendNew(refs []ref.Reference, more ...ref.Reference) []ref.Reference {
	for _, r := range more {
		if !slices.Contains(refs, r) {
			refs = append(refs, r)
		}
	}
	return refs
}

func (a *archive) layoutImage(d v1.Descriptor, docker []dockerManifest) (namedImage, error) {
	refs := annotatedNames(d)
	d, err := a.resolveIndex(d, 0)
	if err != nil {
		return namedImage{}, err
	}
	var manifest v1.Manifest
	f, err := a.blob(d.Digest)
	if err == nil {
		err = a.decode(f, "manifest", &manifest)
	}
	if err != nil {
		return namedImage{}, err
	}
	for _, blob := range append([]v1.Descriptor{manifest.Config}, manifest.Layers...) {
		content, err := a.blob(blob.Digest)
		if err == nil {
			err = a.adopt(content)
		}
		if err != nil {
			return namedImage{}, err
		}
	}
	named, err := a.dockerNames(docker, manifest.Config.Digest)
	if err != nil {
		return namedImage{}, err
	}
	d.Annotations = nil
	return namedImage{manifest: d, refs: appendNew(refs, named...)}, a.adopt(f)
}

// blob finds a blob in the archive or, as docker load does, in the store.
func (a *archive) blob(d digest.Digest) (archiveFile, error) {
	if _, err := a.s.blobPath(d); err != nil {
		return archiveFile{}, err
	}
	f, err := a.find(blobName(d))
	if err == nil {
		return f, nil
	}
	if size, ok := a.s.HasBlob(d); ok && a.known(blobName(d), d, size) == nil {
		return a.files[blobName(d)], nil
	}
	return archiveFile{}, err
}

// resolveIndex picks from a nested index this machine's platform, or the only one the archive has.
func (a *archive) resolveIndex(d v1.Descriptor, depth int) (v1.Descriptor, error) {
	if d.MediaType != v1.MediaTypeImageIndex && d.MediaType != dockerIndexType {
		return d, nil
	}
	if depth > 4 {
		return d, fmt.Errorf("%w: indexes nested too deeply", layer.ErrMalformed)
	}
	var index v1.Index
	f, err := a.blob(d.Digest)
	if err == nil {
		err = a.decode(f, "index", &index)
	}
	if err != nil {
		return d, err
	}
	var there []v1.Descriptor
	for _, m := range index.Manifests {
		if _, err := a.blob(m.Digest); err == nil && !isAttestation(m) {
			there = append(there, m)
		}
	}
	i := slices.IndexFunc(there, matchesPlatform)
	switch {
	case i >= 0:
	case len(there) == 1:
		i = 0
	default:
		return d, fmt.Errorf("%w: its index %s has %d images and none for this machine", layer.ErrMalformed, d.Digest, len(there))
	}
	return a.resolveIndex(there[i], depth+1)
}

// annotatedNames reads an index entry's names: containerd's annotation, else the spec's where it is a name and
// not only a tag.
func annotatedNames(d v1.Descriptor) []ref.Reference {
	name := d.Annotations[annotationName]
	if name == "" {
		name = d.Annotations[v1.AnnotationRefName]
		if !strings.ContainsAny(name, ":/") {
			return nil
		}
	}
	r, err := ref.Parse(name)
	if err != nil {
		return nil
	}
	return []ref.Reference{r}
}

// dockerNames reads manifest.json's names for the image with this config.
func (a *archive) dockerNames(docker []dockerManifest, id digest.Digest) ([]ref.Reference, error) {
	var refs []ref.Reference
	for _, m := range docker {
		f, err := a.find(m.Config)
		if err != nil || f.digest != id {
			continue
		}
		named, err := parseTags(m.RepoTags)
		if err != nil {
			return nil, err
		}
		refs = append(refs, named...)
	}
	return refs, nil
}

func parseTags(tags []string) ([]ref.Reference, error) {
	var refs []ref.Reference
	for _, tag := range tags {
		r, err := ref.Parse(tag)
		if err != nil {
			return nil, fmt.Errorf("%w: manifest.json: tag %q: %w", layer.ErrMalformed, tag, err)
		}
		refs = appendNew(refs, r)
	}
	return refs, nil
}

// dockerImages takes the images of a docker archive; their manifests are made here.
func (a *archive) dockerImages(docker []dockerManifest) ([]namedImage, error) {
	var images []namedImage
	for _, m := range docker {
		img, err := a.dockerImage(m)
		if err != nil {
			return nil, err
		}
		images = append(images, img)
	}
	if len(images) == 0 {
		return nil, fmt.Errorf("%w: manifest.json names no image", layer.ErrMalformed)
	}
	return images, nil
}

func (a *archive) dockerImage(m dockerManifest) (namedImage, error) {
	refs, err := parseTags(m.RepoTags)
	if err != nil {
		return namedImage{}, err
	}
	var config dockerspec.DockerOCIImage
	f, err := a.find(m.Config)
	if err == nil {
		err = a.decode(f, m.Config, &config)
	}
	if err == nil {
		err = a.adopt(f)
	}
	if err != nil {
		return namedImage{}, err
	}
	layers, err := a.dockerLayers(m, config.RootFS.DiffIDs)
	if err != nil {
		return namedImage{}, err
	}
	desc := v1.Descriptor{MediaType: v1.MediaTypeImageConfig, Digest: f.digest, Size: f.size}
	img, err := a.s.putManifestFor(desc, config, layers)
	if err != nil {
		return namedImage{}, err
	}
	return namedImage{manifest: img.Target, refs: refs}, nil
}

func (a *archive) dockerLayers(m dockerManifest, diffIDs []digest.Digest) ([]v1.Descriptor, error) {
	if len(m.Layers) != len(diffIDs) {
		return nil, problemf(ErrCorrupt, "the archive is damaged: manifest.json has %d layers, %s %d", len(m.Layers), m.Config, len(diffIDs))
	}
	layers := make([]v1.Descriptor, len(m.Layers))
	for i, name := range m.Layers {
		f, err := a.find(name)
		if err != nil {
			return nil, err
		}
		mediaType, err := layerMediaType(f.head)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if mediaType == v1.MediaTypeImageLayer && f.digest != diffIDs[i] {
			return nil, problemf(ErrCorrupt, "the archive is damaged: %s has digest %s, but the image's config says %s", name, f.digest, diffIDs[i])
		}
		if err := a.adopt(f); err != nil {
			return nil, err
		}
		layers[i] = v1.Descriptor{MediaType: mediaType, Digest: f.digest, Size: f.size}
	}
	return layers, nil
}

func layerMediaType(head []byte) (string, error) {
	switch c := layer.Sniff(head); c {
	case layer.Plain:
		return v1.MediaTypeImageLayer, nil
	case layer.Gzip:
		return v1.MediaTypeImageLayerGzip, nil
	case layer.Zstd:
		return v1.MediaTypeImageLayerZstd, nil
	default:
		return "", fmt.Errorf("%w: a layer compressed with %s", layer.ErrMalformed, c)
	}
}
