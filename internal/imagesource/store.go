package imagesource

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"

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
		From: "the store", Manifest: img.Target.Digest, Config: img.Config, Files: storedFiles(ctx, s.Store, img), Local: true,
	}, nil
}

// storedFiles reads the unpacked layers where they are there, else the layers' blobs, which cost unpacking.
func storedFiles(ctx context.Context, st *store.Store, img *store.Image) *files {
	layers := make([]*layer, len(img.Manifest.Layers))
	if dirs := unpacked(ctx, st, img); dirs != nil {
		for i, dir := range dirs {
			layers[i] = &layer{
				name: "layer " + img.Config.RootFS.DiffIDs[i].String(),
				open: func(ctx context.Context) (io.ReadCloser, error) { return exported(ctx, dir), nil },
			}
		}
		return newFiles(layers)
	}
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

// unpacked are the directories of an image's layers; nil where they are not all there, or hold other ids than the
// image does: an ordinary user's are shifted, so that even the bottom layer's root is not root's.
func unpacked(ctx context.Context, st *store.Store, img *store.Image) []string {
	if os.Geteuid() != 0 || !st.HasLayers(img) {
		return nil
	}
	ids, err := st.ImageLayers(ctx, img)
	if err != nil {
		return nil
	}
	dirs := make([]string, len(ids))
	for i, id := range ids {
		dirs[i] = st.LayerDir(id)
	}
	var root unix.Stat_t
	if len(dirs) == 0 || unix.Lstat(dirs[0], &root) != nil || root.Uid != 0 {
		return nil
	}
	return dirs
}

// diffID is the diff id of layer i of n; empty where the config names more or fewer of them.
func diffID(ids []digest.Digest, i, n int) digest.Digest {
	if len(ids) != n {
		return ""
	}
	return ids[i]
}
