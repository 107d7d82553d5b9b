package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/deckhand-engine/deckhand/ref"
)

// maxNesting is how deep an index may hold indexes.
const maxNesting = 3

// Pull fetches manifest, config and layers for this platform and returns the manifest's descriptor. Blobs that
// b has are not fetched again; the manifest is stored last, so that a manifest in the store is a whole image.
// Errors are mostly *Error. p may be nil.
func (c *Client) Pull(ctx context.Context, r ref.Reference, b Blobs, p Progress) (v1.Descriptor, error) {
	desc, err := c.pull(ctx, r, b, orQuiet(p))
	return desc, explain(err, "pull", r)
}

func (c *Client) pull(ctx context.Context, r ref.Reference, b Blobs, p Progress) (v1.Descriptor, error) {
	s, err := c.open(ctx, r, transport.PullScope, nil)
	if err != nil {
		return v1.Descriptor{}, err
	}
	defer c.Close()
	raw, desc, doc, err := c.resolve(ctx, s, r)
	if err != nil {
		return v1.Descriptor{}, err
	}
	if err := unsupported(r, doc.check); err != nil {
		return v1.Descriptor{}, err
	}
	if err := c.fetchConfig(ctx, s, r, doc.Config, b); err != nil {
		return v1.Descriptor{}, err
	}
	layers := distinct(doc.Layers)
	for _, l := range layers {
		p.Blob(l, 0, StateWaiting)
	}
	err = each(ctx, c.jobs(), layers, func(ctx context.Context, l v1.Descriptor) error {
		return s.fetch(ctx, l, b, p)
	})
	if err != nil {
		return v1.Descriptor{}, err
	}
	stored, err := b.PutBlob(ctx, bytes.NewReader(raw), desc)
	if err != nil {
		return v1.Descriptor{}, fmt.Errorf("store manifest: %w", err)
	}
	return stored, nil
}

// unsupported is an error where check finds a reason for one.
func unsupported(r ref.Reference, check func() (text, hint string)) error {
	if text, hint := check(); text != "" {
		return &Error{Ref: r, Kind: ErrUnsupported, Text: "pull " + r.Familiar() + ": " + text, Hint: hint}
	}
	return nil
}

// resolve fetches the manifest, through indexes if need be.
func (c *Client) resolve(ctx context.Context, s *session, r ref.Reference) ([]byte, v1.Descriptor, *document, error) { //nolint:revive // the document, raw and read, and its descriptor belong together
	want := normalise(c.Platform)
	if c.Platform.OS == "" {
		want = hostPlatform()
	}
	id := r.Tag
	if r.Digest != "" {
		id = r.Digest.String()
	}
	for depth := range maxNesting {
		raw, desc, err := s.manifest(ctx, id)
		if err != nil {
			return nil, desc, nil, err
		}
		doc, err := parseDocument(raw, desc.MediaType)
		if err != nil {
			return nil, desc, nil, err
		}
		desc.MediaType = doc.MediaType
		if depth == 0 && c.Found != nil {
			c.Found(desc)
		}
		switch {
		case doc.MediaType == dockerSchema1:
			return nil, desc, nil, &Error{
				Ref: r, Kind: ErrUnsupported,
				Text: "pull " + r.Familiar() + ": the image has the old manifest format schema 1, which carries no content digests",
				Hint: "push it again with a current docker, podman or deckhand",
			}
		case !doc.isIndex():
			return raw, desc, doc, nil
		}
		next := choose(doc.Manifests, want)
		if next == nil {
			return nil, desc, nil, noPlatform(r, want, doc.Manifests)
		}
		id = next.Digest.String()
	}
	return nil, v1.Descriptor{}, nil, fmt.Errorf("read index: more than %d indexes in each other", maxNesting)
}

func noPlatform(r ref.Reference, want v1.Platform, entries []v1.Descriptor) error {
	e := &Error{
		Ref: r, Kind: ErrNoPlatform,
		Text: "no matching manifest for " + FormatPlatform(want) + " in the manifest list entries of " + r.Familiar(),
	}
	if names := offered(entries); names != "" {
		e.Hint = "take another with --platform: it has " + names
	}
	return e
}

// manifest fetches one document and checks it against id where that is a digest.
func (s *session) manifest(ctx context.Context, id string) ([]byte, v1.Descriptor, error) {
	req := s.get(ctx, "manifests", id)
	req.Header.Set("Accept", acceptManifests)
	resp, err := s.do(req)
	if err != nil {
		return nil, v1.Descriptor{}, fmt.Errorf("get manifest: %w", err)
	}
	defer func() { _ = resp.Body.Close() }() // read to its end below
	if err := transport.CheckError(resp, http.StatusOK); err != nil {
		return nil, v1.Descriptor{}, err
	}
	raw, err := readDocument(resp)
	if err != nil {
		return nil, v1.Descriptor{}, fmt.Errorf("get manifest: %w", err)
	}
	d := sumOf(raw)
	if want := digest.Digest(id); validate(want) == nil {
		if d = digestLike(want, raw); d != want {
			return nil, v1.Descriptor{}, fmt.Errorf("get manifest: asked for %s, the registry sent %s", want, d)
		}
	}
	return raw, v1.Descriptor{MediaType: resp.Header.Get("Content-Type"), Digest: d, Size: int64(len(raw))}, nil
}

// fetchConfig gets the config and refuses an image for another system before its layers are fetched.
func (c *Client) fetchConfig(ctx context.Context, s *session, r ref.Reference, d v1.Descriptor, b Blobs) error {
	if err := checkConfigSize(d); err != nil {
		return err
	}
	if err := s.fetch(ctx, d, b, Quiet{}); err != nil {
		return err
	}
	raw, err := b.ReadBlob(d.Digest)
	if err != nil {
		return fmt.Errorf("read config: %w", err)
	}
	var have v1.Platform
	if err := json.Unmarshal(raw, &have); err != nil {
		return fmt.Errorf("parse config: %w", err)
	}
	return c.checkPlatform(r, have)
}

func checkConfigSize(d v1.Descriptor) error {
	if d.Size > maxManifestBytes {
		return fmt.Errorf("read config: %d bytes, more than %d", d.Size, maxManifestBytes)
	}
	return nil
}

// checkPlatform refuses an image for another system or platform than wanted.
func (c *Client) checkPlatform(r ref.Reference, have v1.Platform) error {
	if have.OS != "" && have.OS != "linux" {
		return &Error{
			Ref: r, Kind: ErrUnsupported,
			Text: fmt.Sprintf("pull %s: image operating system %q cannot be used on this platform", r.Familiar(), have.OS),
		}
	}
	if c.Platform.OS != "" && have.Architecture != "" && match(c.Platform, have) == 0 {
		return &Error{
			Ref: r, Kind: ErrNoPlatform,
			Text: fmt.Sprintf("image with reference %s was found but does not match the specified platform: wanted %s, actual: %s",
				r.Familiar(), FormatPlatform(normalise(c.Platform)), FormatPlatform(have)),
		}
	}
	return nil
}

// fetch brings one blob into the store.
func (s *session) fetch(ctx context.Context, d v1.Descriptor, b Blobs, p Progress) error {
	if n, ok := b.HasBlob(d.Digest); ok && n == d.Size {
		p.Blob(d, d.Size, StateExists)
		return nil
	}
	body, err := s.download(ctx, d, p)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }() // its errors came with Read
	if _, err := b.PutBlob(ctx, body, d); err != nil {
		return fmt.Errorf("blob %s: %w", d.Digest, err)
	}
	p.Blob(d, d.Size, StateDone)
	return nil
}

// distinct drops repeated digests.
func distinct(ds []v1.Descriptor) []v1.Descriptor {
	seen := make(map[digest.Digest]bool, len(ds))
	out := make([]v1.Descriptor, 0, len(ds))
	for _, d := range ds {
		if !seen[d.Digest] {
			seen[d.Digest] = true
			out = append(out, d)
		}
	}
	return out
}

// each calls f for every blob, jobs at once; the first error stops the others and is returned.
func each(ctx context.Context, jobs int, ds []v1.Descriptor, f func(context.Context, v1.Descriptor) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	queue := make(chan v1.Descriptor)
	var wg sync.WaitGroup
	for range min(jobs, len(ds)) {
		wg.Go(func() {
			for d := range queue {
				if err := f(ctx, d); err != nil {
					cancel(err)
				}
			}
		})
	}
feed:
	for _, d := range ds {
		select {
		case queue <- d:
		case <-ctx.Done():
			break feed
		}
	}
	close(queue)
	wg.Wait()
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return ctx.Err()
}
