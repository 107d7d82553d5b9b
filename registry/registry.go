// Package registry pulls and pushes images (OCI distribution spec) through go-containerregistry.
package registry

import (
	"context"
	"errors"
	"io"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/deckhand-engine/deckhand/ref"
)

// Blobs is what the client needs of a store.
type Blobs interface {
	PutBlob(ctx context.Context, r io.Reader, want v1.Descriptor) (v1.Descriptor, error)
	ReadBlob(d digest.Digest) ([]byte, error)
	HasBlob(d digest.Digest) (int64, bool)
}

// Progress is told of each blob's bytes.
type Progress interface {
	Blob(d v1.Descriptor, done int64, state string) // "pulling", "exists", "done" …
}

// Client talks to registries.
type Client struct{}

// Pull fetches manifest, config and layers for this platform and returns the manifest's descriptor.
func (c *Client) Pull(ctx context.Context, r ref.Reference, b Blobs, p Progress) (v1.Descriptor, error) {
	return v1.Descriptor{}, errors.ErrUnsupported
}

// Push uploads what the registry lacks, then the manifest; it returns the manifest's digest.
func (c *Client) Push(ctx context.Context, r ref.Reference, m v1.Descriptor, b Blobs, p Progress) (digest.Digest, error) {
	return "", errors.ErrUnsupported
}
