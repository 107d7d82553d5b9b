package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/deckhand-engine/deckhand/ref"
)

// Push uploads what the registry lacks, then the manifest; it returns the manifest's digest, which is that of
// m: nothing is compressed or written anew. Errors are mostly *Error. p may be nil.
func (c *Client) Push(ctx context.Context, r ref.Reference, m v1.Descriptor, b Blobs, p Progress) (digest.Digest, error) {
	d, err := c.push(ctx, r, m, b, orQuiet(p))
	return d, explain(err, "push", r)
}

func (c *Client) push(ctx context.Context, r ref.Reference, m v1.Descriptor, b Blobs, p Progress) (digest.Digest, error) {
	raw, err := b.ReadBlob(m.Digest)
	if err != nil {
		return "", fmt.Errorf("read manifest: %w", err)
	}
	doc, err := parseDocument(raw, m.MediaType)
	if err != nil {
		return "", err
	}
	if doc.isIndex() {
		return "", fmt.Errorf("push index %s: only images of one platform can be pushed", m.Digest)
	}
	blobs := distinct(append([]v1.Descriptor{doc.Config}, doc.Layers...))
	s, err := c.open(ctx, r, transport.PushScope, c.sources(blobs))
	if err != nil {
		return "", err
	}
	defer c.Close()
	for _, d := range blobs {
		p.Blob(d, 0, StateWaiting)
	}
	err = each(ctx, c.jobs(), blobs, func(ctx context.Context, d v1.Descriptor) error {
		return s.upload(ctx, d, c.Mount[d.Digest], b, p)
	})
	if err != nil {
		return "", err
	}
	id := r.Tag
	if id == "" {
		id = m.Digest.String()
	}
	return m.Digest, s.putManifest(ctx, id, doc.MediaType, raw)
}

// sources are the repositories that blobs may be mounted from.
func (c *Client) sources(blobs []v1.Descriptor) []string {
	var repos []string
	for _, d := range blobs {
		if repo := c.Mount[d.Digest]; repo != "" && !slices.Contains(repos, repo) {
			repos = append(repos, repo)
		}
	}
	return repos
}

// upload brings one blob to the registry unless it is there.
func (s *session) upload(ctx context.Context, d v1.Descriptor, from string, b Blobs, p Progress) error {
	if isForeign(d) {
		p.Blob(d, d.Size, StateExists)
		return nil
	}
	there, err := s.has(ctx, d)
	if err != nil {
		return err
	}
	if there {
		p.Blob(d, d.Size, StateExists)
		return nil
	}
	pause := s.pause
	for try := 1; ; try++ {
		state, err := s.uploadOnce(ctx, d, from, b, p)
		if err == nil {
			p.Blob(d, d.Size, state)
			return nil
		}
		if try == tries || ctx.Err() != nil || !retryUpload(err) {
			return err
		}
		p.Blob(d, 0, StateRetry)
		if err := sleep(ctx, pause); err != nil {
			return err
		}
		pause *= 3
	}
}

// retryUpload reports whether a new upload session may fare better.
func retryUpload(err error) bool {
	if te, ok := errors.AsType[*transport.Error](err); ok {
		return transientStatus(te.StatusCode) || hasCode(te, transport.BlobUploadUnknownErrorCode)
	}
	return transient(err)
}

// has asks for a blob with HEAD.
func (s *session) has(ctx context.Context, d v1.Descriptor) (bool, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, s.url("blobs", d.Digest.String()), nil)
	if err != nil {
		return false, fmt.Errorf("ask for blob: %w", err)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return false, fmt.Errorf("ask for blob: %w", err)
	}
	defer func() { _ = resp.Body.Close() }() // HEAD has no body
	if err := transport.CheckError(resp, http.StatusOK, http.StatusNotFound); err != nil {
		return false, err
	}
	return resp.StatusCode == http.StatusOK, nil
}

// uploadOnce opens an upload session and sends the blob in one request, or mounts it.
func (s *session) uploadOnce(ctx context.Context, d v1.Descriptor, from string, b Blobs, p Progress) (string, error) {
	location, mounted, err := s.begin(ctx, d, from)
	if err != nil {
		return "", err
	}
	if mounted {
		return StateMounted, nil
	}
	q := location.Query()
	q.Set("digest", d.Digest.String())
	location.RawQuery = q.Encode()
	open := func() (io.ReadCloser, error) {
		f, err := b.OpenBlob(d.Digest)
		if err != nil {
			return nil, fmt.Errorf("open blob: %w", err)
		}
		return &counter{f: f, desc: d, prog: p}, nil
	}
	body, err := open()
	if err != nil {
		return "", err
	}
	ctx = context.WithValue(ctx, once{}, true)
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, location.String(), body)
	if err != nil {
		return "", fmt.Errorf("send blob: %w", err)
	}
	req.ContentLength, req.GetBody = d.Size, open
	req.Header.Set("Content-Type", "application/octet-stream")
	resp, err := s.client.Do(req)
	if err != nil {
		return "", fmt.Errorf("send blob: %w", err)
	}
	defer func() { _ = resp.Body.Close() }() // what it says does not matter once the status does
	return StateDone, transport.CheckError(resp, http.StatusCreated)
}

// begin asks for an upload session, or for the blob to be mounted from another repository.
func (s *session) begin(ctx context.Context, d v1.Descriptor, from string) (location *url.URL, mounted bool, err error) {
	target := s.url("blobs", "uploads/")
	if from != "" {
		target += "?" + url.Values{"mount": {d.Digest.String()}, "from": {from}}.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, nil)
	if err != nil {
		return nil, false, fmt.Errorf("begin upload: %w", err)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return nil, false, fmt.Errorf("begin upload: %w", err)
	}
	err = transport.CheckError(resp, http.StatusCreated, http.StatusAccepted)
	_ = resp.Body.Close() // headers say the rest; before the next request, which may have to wait for this one
	if err != nil {
		if from != "" {
			return s.begin(ctx, d, "")
		}
		return nil, false, err
	}
	if resp.StatusCode == http.StatusCreated && from != "" {
		return nil, true, nil
	}
	location, err = resp.Location()
	if err != nil {
		return nil, false, fmt.Errorf("begin upload: %w", err)
	}
	if location.Hostname() != resp.Request.URL.Hostname() && inner(location.Hostname()) && !inner(s.base.Hostname()) {
		return nil, false, fmt.Errorf("begin upload: registry points to the private address %s", location.Hostname())
	}
	return location, false, nil
}

func (s *session) putManifest(ctx context.Context, id, mediaType string, raw []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, s.url("manifests", id), bytes.NewReader(raw))
	if err != nil {
		return fmt.Errorf("put manifest: %w", err)
	}
	req.Header.Set("Content-Type", mediaType)
	resp, err := s.client.Do(req)
	if err != nil {
		return fmt.Errorf("put manifest: %w", err)
	}
	defer func() { _ = resp.Body.Close() }() // the status is all that counts
	return transport.CheckError(resp, http.StatusCreated, http.StatusOK, http.StatusAccepted)
}

// counter reports what has been read.
type counter struct {
	f    *os.File
	desc v1.Descriptor
	prog Progress
	n    int64
}

// Read implements io.Reader.
func (c *counter) Read(b []byte) (int, error) {
	n, err := c.f.Read(b)
	c.n += int64(n)
	if n > 0 {
		c.prog.Blob(c.desc, c.n, StatePushing)
	}
	return n, err
}

// Close implements io.Closer.
func (c *counter) Close() error { return c.f.Close() }
