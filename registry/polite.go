package registry

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
)

// polite bounds how many requests a registry has to work on at once: from the first byte of the request until the
// answer's body is closed. It also ends what makes no progress, with errStalled.
type polite struct {
	inner http.RoundTripper
	slots chan struct{}
}

// RoundTrip implements http.RoundTripper.
func (p *polite) RoundTrip(req *http.Request) (*http.Response, error) {
	select {
	case p.slots <- struct{}{}:
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
	ctx, cancel := context.WithCancelCause(req.Context())
	watch := time.AfterFunc(stallTime, func() { cancel(errStalled) })
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		watch.Stop() // an upload may take as long as it takes
	}
	resp, err := p.inner.RoundTrip(req.WithContext(ctx))
	watch.Stop()
	if err != nil {
		if errors.Is(context.Cause(ctx), errStalled) {
			err = errStalled
		}
		cancel(nil)
		<-p.slots
		return nil, err
	}
	resp.Body = &politeBody{inner: resp.Body, watch: watch, end: sync.OnceFunc(func() {
		cancel(nil)
		<-p.slots
	})}
	return resp, nil
}

// politeBody gives the slot back when it is closed.
type politeBody struct {
	inner io.ReadCloser
	watch *time.Timer
	end   func()
}

// Read implements io.Reader.
func (b *politeBody) Read(p []byte) (int, error) {
	b.watch.Reset(stallTime)
	defer b.watch.Stop()
	return b.inner.Read(p)
}

// Close implements io.Closer.
func (b *politeBody) Close() error {
	defer b.end()
	return b.inner.Close()
}
