package build

import (
	"context"
	"fmt"
	"slices"
	"time"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/deckhand-engine/deckhand/internal/store"
)

// export puts the result into the store and tags it.
func (s *solver) export(ctx context.Context, o Options, rawConfig []byte, out solved, step Step) (*store.Image, error) {
	if out.tree != nil {
		return nil, errLocalRoot
	}
	cfg, err := decodeConfig[dockerspec.DockerOCIImage](rawConfig)
	if err != nil {
		return nil, err
	}
	completeHistory(&cfg, out.Layers, out.created)
	img, err := s.b.Store.PutImage(ctx, cfg, out.Layers)
	if err != nil {
		return nil, fmt.Errorf("write image: %w", err)
	}
	step.Log(fmt.Appendf(nil, "writing image %s done\n", img.ID))
	if len(o.Tags) == 0 {
		return img, s.b.Store.KeepUntagged(ctx, img.Target)
	}
	for _, t := range o.Tags {
		if err := s.b.Store.Tag(ctx, t, img.Target); err != nil {
			return nil, fmt.Errorf("tag %s: %w", t.Familiar(), err)
		}
		step.Log(fmt.Appendf(nil, "naming to %s done\n", t.String()))
	}
	return img, nil
}

// completeHistory makes the history tell of exactly these layers, with the times at which they were made, and
// dates the image like its newest step. So a rebuild that ran nothing gives the same image id.
func completeHistory(cfg *dockerspec.DockerOCIImage, layers []string, created map[string]createdAt) {
	cfg.RootFS = v1.RootFS{Type: "layers"} // the store fills in the diff ids of our layers
	h := slices.Clone(cfg.History)
	news := slices.IndexFunc(h, func(e v1.History) bool { return e.Created == nil })
	h = dateLayers(h, layers, created)
	if news >= 0 {
		dateHistory(h, news)
	}
	cfg.History = h
	cfg.Created = nil
	for i := range h {
		if t := h[i].Created; t != nil && (cfg.Created == nil || t.After(*cfg.Created)) {
			cfg.Created = t
		}
	}
}

// dateLayers dates the entries of layers, as many as there are layers.
func dateLayers(h []v1.History, layers []string, created map[string]createdAt) []v1.History {
	with := 0
	for i := range h {
		if h[i].EmptyLayer {
			continue
		}
		if with >= len(layers) { // a base image whose history tells of more layers than it has
			h[i].EmptyLayer = true
			continue
		}
		if t, ok := created[layers[with]]; ok && h[i].Created == nil {
			h[i].Created = &t
		}
		with++
	}
	for _, id := range layers[with:] { // … or of fewer
		e := v1.History{Comment: "deckhand"}
		if t, ok := created[id]; ok {
			e.Created = &t
		}
		h = append(h, e)
	}
	return h
}

// dateHistory gives an entry without a time, such as ENV, that of the layer below it. The entries from news on are
// new: those before the first new layer get that layer's time, not the base image's.
func dateHistory(h []v1.History, news int) {
	var last *time.Time
	if i := slices.IndexFunc(h[news:], func(e v1.History) bool { return e.Created != nil }); i >= 0 {
		last = h[news+i].Created
	} else if news > 0 {
		last = h[news-1].Created
	}
	for i := news; i < len(h); i++ {
		if h[i].Created == nil {
			h[i].Created = last
		}
		last = h[i].Created
	}
}
