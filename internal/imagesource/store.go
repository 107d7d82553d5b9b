package imagesource

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/opencontainers/go-digest"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/internal/store"
	"github.com/deckhand-engine/deckhand/registry"
)

var (
	errNoStore       = errors.New("there is no store")
	errOtherPlatform = errors.New("the store has it for another platform")
)

// stored finds an image in the store, by reference or id.
func (s *Source) stored(ctx context.Context, name string) (*guard.Image, error) {
	if s.Store == nil {
		return nil, errNoStore
	}
	img, err := s.Store.Image(ctx, name)
	if err != nil {
		return nil, err
	}
	if want := s.platform(); want.OS != "" && img.Config.Architecture != "" && !registry.Matches(want, img.Config.Platform) {
		return nil, fmt.Errorf("%w: %s", errOtherPlatform, registry.FormatPlatform(img.Config.Platform))
	}
	return &guard.Image{
		From: "the store", Manifest: img.Target.Digest, Config: img.Config, Files: storedFiles(s.Store, img), Local: true,
	}, nil
}

// storedFiles reads the blobs of the layers, which are there whether the image was ever unpacked or not.
func storedFiles(st *store.Store, img *store.Image) *files {
	layers := make([]*layer, len(img.Manifest.Layers))
	for i, d := range img.Manifest.Layers {
		layers[i] = &layer{
			name: "layer " + d.Digest.String(), diffID: diffID(img.Config.RootFS.DiffIDs, i, len(layers)),
			open: func(context.Context) (io.ReadCloser, error) {
				f, err := st.OpenBlob(d.Digest)
				if err != nil {
					return nil, err
				}
				return verify(f, d.Digest)
			},
		}
	}
	return newFiles(layers)
}

// diffID is the diff id of layer i of n; empty where the config names more or fewer of them.
func diffID(ids []digest.Digest, i, n int) digest.Digest {
	if len(ids) != n {
		return ""
	}
	return ids[i]
}
