package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/deckhand-engine/deckhand/ref"
)

// Image is what a registry says of an image; its layers are not fetched.
type Image struct {
	Manifest v1.Descriptor // of the platform's image, not of the index it was chosen from
	Config   dockerspec.DockerOCIImage
	Layers   []v1.Descriptor // bottom first; OpenLayer checks them
}

// Image fetches an image's manifest, through an index for the platform, and its config, and stores nothing: two
// requests, and one for each index on the way. Errors are mostly *Error.
func (c *Client) Image(ctx context.Context, r ref.Reference) (*Image, error) {
	img, err := c.image(ctx, r)
	return img, explain(err, "pull", r)
}

func (c *Client) image(ctx context.Context, r ref.Reference) (*Image, error) {
	s, err := c.open(ctx, r, transport.PullScope, nil)
	if err != nil {
		return nil, err
	}
	_, desc, doc, err := c.resolve(ctx, s, r)
	if err != nil {
		return nil, err
	}
	if err := unsupported(r, doc.checkConfig); err != nil {
		return nil, err
	}
	raw, err := s.config(ctx, doc.Config)
	if err != nil {
		return nil, err
	}
	img := &Image{Manifest: desc, Layers: doc.Layers}
	if err := json.Unmarshal(raw, &img.Config); err != nil {
		return nil, fmt.Errorf("parse config: %w", err)
	}
	if err := c.checkPlatform(r, img.Config.Platform); err != nil {
		return nil, err
	}
	return img, nil
}

// config fetches a config and verifies it.
func (s *session) config(ctx context.Context, d v1.Descriptor) ([]byte, error) {
	if err := checkConfigSize(d); err != nil {
		return nil, err
	}
	body, err := s.download(ctx, d, Quiet{})
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }() // read to its end below
	raw := make([]byte, d.Size)
	if _, err := io.ReadFull(body, raw); err != nil {
		return nil, fmt.Errorf("read config: %w", err)
	}
	body.drain()
	if digestLike(d.Digest, raw) != d.Digest {
		return nil, fmt.Errorf("read config: %w", errOther(d.Digest))
	}
	return raw, nil
}

// OpenLayer is the content of a layer as the registry has it, compressed. It comes from the network as it is read;
// Read returns io.EOF only where digest and size are the descriptor's. The caller closes it.
func (c *Client) OpenLayer(ctx context.Context, r ref.Reference, d v1.Descriptor) (io.ReadCloser, error) {
	body, err := c.openLayer(ctx, r, d)
	if err != nil {
		return nil, explain(err, "pull", r)
	}
	return body, nil
}

func (c *Client) openLayer(ctx context.Context, r ref.Reference, d v1.Descriptor) (io.ReadCloser, error) {
	for _, check := range []func(v1.Descriptor) (text, hint string){checkBlob, checkLayer} {
		if err := unsupported(r, func() (text, hint string) { return check(d) }); err != nil {
			return nil, err
		}
	}
	s, err := c.open(ctx, r, transport.PullScope, nil)
	if err != nil {
		return nil, err
	}
	return s.verified(ctx, d)
}

// verified is a blob that reports at its end whether it is the one that was asked for. The descriptor has passed checkBlob.
func (s *session) verified(ctx context.Context, d v1.Descriptor) (io.ReadCloser, error) {
	body, err := s.download(ctx, d, Quiet{})
	if err != nil {
		return nil, err
	}
	return &verifiedBody{body: body, want: d.Digest, verifier: d.Digest.Verifier()}, nil
}

type verifiedBody struct {
	body     *download
	want     digest.Digest
	verifier digest.Verifier
}

// Read implements io.Reader.
func (v *verifiedBody) Read(p []byte) (int, error) {
	n, err := v.body.Read(p)
	_, _ = v.verifier.Write(p[:n]) // never fails
	if errors.Is(err, io.EOF) && !v.verifier.Verified() {
		return n, errOther(v.want)
	}
	return n, err
}

// errOther says that what came is not what the digest names.
func errOther(want digest.Digest) error {
	return fmt.Errorf("get blob %s: the registry sent something else", want)
}

// Close implements io.Closer.
func (v *verifiedBody) Close() error { return v.body.Close() }
