package imagesource

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/ref"
	"github.com/deckhand-engine/deckhand/registry"
)

var errOffline = errors.New("no registry was asked")

// remote finds an image in its registry: manifest and config, no layers.
func (s *Source) remote(ctx context.Context, name string) (*guard.Image, error) {
	if s.Offline || s.Client == nil {
		return nil, errOffline
	}
	if names, many, err := s.listRegistry(ctx, name); err != nil {
		return nil, err
	} else if many {
		return nil, fmt.Errorf("it stands for %d images", len(names))
	}
	r, err := ref.Parse(name)
	if err != nil {
		return nil, err
	}
	var found *registry.Image
	err = s.ask(ctx, r.Registry, func(ctx context.Context) (err error) {
		found, err = s.Client.Image(ctx, r)
		return err
	})
	if err != nil {
		return nil, err
	}
	img := &guard.Image{
		From: "registry " + r.Registry, Manifest: found.Manifest.Digest, Config: found.Config, Local: s.Layers,
	}
	layers := make([]*layer, len(found.Layers))
	for i, d := range found.Layers {
		layers[i] = &layer{
			name: "layer " + d.Digest.String(), diffID: diffID(img.Config.RootFS.DiffIDs, i, len(layers)),
			open: func(ctx context.Context) (io.ReadCloser, error) { return s.Client.OpenLayer(ctx, r, d) },
		}
	}
	img.Files = newFiles(layers)
	return img, nil
}
