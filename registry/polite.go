package registry

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"
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
	req, w := watched(req)
	resp, err := p.inner.RoundTrip(req)
	w.pause()
	if err != nil {
		if w.stalled() {
			err = errStalled
		}
		w.end()
		<-p.slots
		return nil, err
	}
	resp.Body = &politeBody{inner: resp.Body, watch: w, slots: p.slots}
	return resp, nil
}

// watch ends a request that makes no progress. A nil watch watches nothing.
type watch struct {
	timer  *time.Timer
	cancel context.CancelCauseFunc
	struck atomic.Bool
}

// watched is the request with a watch over it, which runs. What has to end sooner than it could stall needs none.
func watched(req *http.Request) (*http.Request, *watch) {
	if end, ok := req.Context().Deadline(); ok && time.Until(end) <= stallTime {
		return req, nil
	}
	ctx, cancel := context.WithCancelCause(req.Context())
	w := &watch{cancel: cancel}
	w.timer = time.AfterFunc(stallTime, func() {
		w.struck.Store(true)
		cancel(errStalled)
	})
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		w.pause() // an upload may take as long as it takes
	}
	return req.WithContext(ctx), w
}

// resume has the watch look on for stallTime.
func (w *watch) resume() {
	if w != nil {
		w.timer.Reset(stallTime)
	}
}

// pause has it look away.
func (w *watch) pause() {
	if w != nil {
		w.timer.Stop()
	}
}

// stalled reports whether the watch has ended the request.
func (w *watch) stalled() bool { return w != nil && w.struck.Load() }

// end lets go of the request.
func (w *watch) end() {
	if w != nil {
		w.cancel(nil)
	}
}

// politeBody gives the slot back when it is closed.
type politeBody struct {
	inner  io.ReadCloser
	watch  *watch
	slots  chan struct{}
	closed atomic.Bool
}

// Read implements io.Reader.
func (b *politeBody) Read(p []byte) (int, error) {
	b.watch.resume()
	defer b.watch.pause()
	return b.inner.Read(p)
}

// Close implements io.Closer.
func (b *politeBody) Close() error {
	err := b.inner.Close()
	if !b.closed.Swap(true) {
		b.watch.end()
		<-b.slots
	}
	return err
}
