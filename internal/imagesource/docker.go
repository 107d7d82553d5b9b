package imagesource

import (
	"context"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/ref"
)

// dockerImage is an element of a docker archive's manifest.json.
type dockerImage struct {
	Config   string
	RepoTags []string
	Layers   []string
}

const dockerManifest = "manifest.json"

// dockerArchive finds an image in a docker archive: FILE, FILE:REF, or FILE:@N, the image N from 0.
func (s *Source) dockerArchive(ctx context.Context, name string) (*guard.Image, error) {
	file, tag := cutTag(name)
	t, images, err := openDockerArchive(ctx, file)
	if err != nil {
		return nil, err
	}
	chosen, err := chooseDocker(images, tag)
	if err != nil {
		return nil, fmt.Errorf("archive %s: %w", file, err)
	}
	img := &guard.Image{From: "archive " + file, Local: true}
	if err := decode(ctx, t, chosen.Config, &img.Config); err != nil {
		return nil, fmt.Errorf("archive %s: %w", file, err)
	}
	ids := img.Config.RootFS.DiffIDs
	if len(ids) != len(chosen.Layers) {
		return nil, fmt.Errorf("archive %s: the image has %d layers, its config %d", file, len(chosen.Layers), len(ids))
	}
	layers := make([]*layer, len(ids))
	for i, id := range ids {
		if err := id.Validate(); err != nil {
			return nil, fmt.Errorf("archive %s: diff id %q: %w", file, id, err)
		}
		member := chosen.Layers[i]
		layers[i] = &layer{
			name: "layer " + member, diffID: id, check: true,
			open: func(ctx context.Context) (io.ReadCloser, error) { return t.open(ctx, member) },
		}
	}
	img.Files = newFiles(layers)
	return img, nil
}

func openDockerArchive(ctx context.Context, file string) (*tarFile, []dockerImage, error) {
	t, err := openTarFile(ctx, file)
	if err != nil {
		return nil, nil, err
	}
	if !t.has(dockerManifest) {
		if t.has(v1.ImageIndexFile) {
			return nil, nil, fmt.Errorf("%s holds an OCI layout: name it %s%s", file, schemeArchive, file)
		}
		return nil, nil, fmt.Errorf("%s is no docker archive: it has no %s", file, dockerManifest)
	}
	var images []dockerImage
	if err := decode(ctx, t, dockerManifest, &images); err != nil {
		return nil, nil, fmt.Errorf("archive %s: %w", file, err)
	}
	return t, images, nil
}

func chooseDocker(images []dockerImage, tag string) (*dockerImage, error) {
	var names []string
	for i := range images {
		if number, ok := strings.CutPrefix(tag, "@"); ok && number == strconv.Itoa(i) {
			return &images[i], nil
		}
		for _, t := range images[i].RepoTags {
			if sameReference(t, tag) {
				return &images[i], nil
			}
		}
		names = append(names, dockerName(images, i))
	}
	if tag == "" && len(images) == 1 {
		return &images[0], nil
	}
	return nil, otherNames(tag, names)
}

// dockerName is what one of several images is chosen by.
func dockerName(images []dockerImage, i int) string {
	if len(images[i].RepoTags) > 0 {
		return images[i].RepoTags[0]
	}
	return "@" + strconv.Itoa(i)
}

// maxNamed is how many names an error lists.
const maxNamed = 5

func otherNames(tag string, names []string) error {
	text := strings.Join(names[:min(len(names), maxNamed)], ", ")
	if len(names) > maxNamed {
		text += fmt.Sprintf(" and %d more", len(names)-maxNamed)
	}
	switch {
	case len(names) == 0:
		return fmt.Errorf("it holds no image")
	case tag == "":
		return fmt.Errorf("it holds %d images, of which one must be named: %s", len(names), text)
	}
	return fmt.Errorf("it does not hold %s but %s", tag, text)
}

// sameReference compares normalised names.
func sameReference(a, b string) bool {
	if a == b {
		return true
	}
	x, errX := ref.Parse(a)
	y, errY := ref.Parse(b)
	return errX == nil && errY == nil && x == y
}

// listArchive names the images of an archive or layout that has several.
func (s *Source) listArchive(ctx context.Context, scheme, name string) []string {
	file, tag := cutTag(name)
	if tag != "" {
		return nil
	}
	var tags []string
	if scheme == schemeDocker {
		_, images, err := openDockerArchive(ctx, file)
		if err != nil {
			return nil // the image itself is the error
		}
		for i := range images {
			tags = append(tags, dockerName(images, i))
		}
	} else {
		m, err := openLayout(ctx, scheme, file)
		if err != nil {
			return nil // likewise
		}
		tags = layoutTags(ctx, m)
	}
	var names []string
	for _, t := range tags {
		names = append(names, scheme+path.Clean(file)+":"+t)
	}
	return names
}
