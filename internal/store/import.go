package store

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"runtime"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/deckhand-engine/deckhand/internal/layer"
)

// Import makes a one-layer image of a root filesystem tar (plain, gzip, zstd, xz, bzip2). The caller tags
// it, holding a Lease from before the call. The layer's blob is the archive as given, or what is inside it
// where a layer may not be compressed like that. Nothing is stored of an archive that cannot be unpacked:
// see internal/layer for the errors.
func (s *Store) Import(ctx context.Context, r io.Reader, config dockerspec.DockerOCIImage) (*Image, error) {
	blob, diffID, err := s.importLayer(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("import: %w", err)
	}
	s.fillConfig(&config)
	config.RootFS = v1.RootFS{Type: "layers", DiffIDs: []digest.Digest{diffID}}
	if len(config.History) == 0 {
		config.History = []v1.History{{Created: config.Created, Comment: "imported by deckhand"}}
	}
	return s.putManifest(config, []v1.Descriptor{blob})
}

// fillConfig sets what every config must have.
func (s *Store) fillConfig(config *dockerspec.DockerOCIImage) {
	if config.Created == nil {
		now := s.now().UTC()
		config.Created = &now
	}
	if config.OS == "" {
		config.OS = "linux"
	}
	if config.Architecture == "" {
		config.Architecture = runtime.GOARCH
	}
}

// importLayer stores and unpacks a layer in one pass.
func (s *Store) importLayer(ctx context.Context, r io.Reader) (blob v1.Descriptor, diffID digest.Digest, err error) {
	tmp, err := s.newLayerDir()
	if err != nil {
		return blob, "", err
	}
	defer func() { err = errors.Join(err, tmp.Close()) }()
	in := bufio.NewReaderSize(r, 64<<10)
	head, _ := in.Peek(6) // an error comes back when it is read
	w, err := s.newBlob()
	if err != nil {
		return blob, "", err
	}
	x := &extraction{dir: tmp.Path + "/layer/fs", opts: s.layerOptions()}
	x.opts.Bottom = true
	keptAs := x.keep(w, layer.Sniff(head))
	err = x.run(ctx, in)
	if err == nil && x.got.Entries == 0 {
		err = fmt.Errorf("%w: it has no entries", layer.ErrNotTar)
	}
	if err != nil {
		w.abort()
		return blob, "", err
	}
	if blob, err = w.commit(v1.Descriptor{MediaType: keptAs}); err != nil {
		return blob, "", err
	}
	diffID = blob.Digest
	if h, ok := x.content.(hash.Hash); ok && x.compression != layer.Plain {
		diffID = sumOf(h)
	}
	return blob, diffID, s.publishImported(tmp, x, layerMeta{Created: s.now(), DiffID: diffID, Blob: blob})
}

// keep arranges for w to get what becomes the blob, and returns its media type: the archive as it comes,
// or what is inside it where a layer may not be compressed like that.
func (x *extraction) keep(w io.Writer, c layer.Compression) string {
	x.whole, x.content = w, sha256.New()
	switch c {
	case layer.Gzip:
		return v1.MediaTypeImageLayerGzip
	case layer.Zstd:
		return v1.MediaTypeImageLayerZstd
	case layer.Xz, layer.Bzip2:
		x.whole, x.content = io.Discard, w
	case layer.Plain:
	}
	return v1.MediaTypeImageLayer
}

func (s *Store) publishImported(tmp *TempDir, x *extraction, meta layerMeta) error {
	s.noteSkipped(meta.Blob.Digest, x.got)
	if err := layer.InheritDirs(x.dir, x.got.Implicit, nil, x.opts); err != nil {
		return err
	}
	return s.publishLayer(tmp.Path, meta.DiffID.Encoded(), meta)
}
