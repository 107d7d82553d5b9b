package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"
)

// tries is how often a request is made at most; each pause is three times the one before.
const tries = 4

// maxPause bounds what a registry's Retry-After may ask for.
const maxPause = 30 * time.Second

// retrier makes requests again that failed for a reason that may pass. A request with a body is repeated
// only if the body can be read again.
type retrier struct {
	inner http.RoundTripper
	pause time.Duration
}

// once marks, in a request's context, a request that only its sender may repeat.
type once struct{}

// RoundTrip implements http.RoundTripper.
func (t *retrier) RoundTrip(req *http.Request) (*http.Response, error) {
	most := tries
	if req.Context().Value(once{}) != nil {
		most = 1
	}
	pause := t.pause
	for try := 1; ; try++ {
		// The transport above sends a request again after it got a new token, with a body that has been read.
		again, err := rewound(req)
		if err != nil {
			return nil, err
		}
		resp, err := t.inner.RoundTrip(again)
		if try >= most || !worthAnother(resp, err) || req.Body != nil && req.GetBody == nil {
			return resp, err
		}
		wait := max(pause, retryAfter(resp))
		if end, ok := req.Context().Deadline(); ok && time.Until(end) < wait {
			return resp, err // what is known says more than that time is up
		}
		drop(resp)
		if sleep(req.Context(), wait) != nil {
			return nil, req.Context().Err()
		}
		pause *= 3
	}
}

// drop takes leave of an answer in a way that lets its connection be used again; nil: there is none.
func drop(resp *http.Response) {
	if resp != nil {
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
		_ = resp.Body.Close()
	}
}

func worthAnother(resp *http.Response, err error) bool {
	if err != nil {
		return transient(err)
	}
	return transientStatus(resp.StatusCode)
}

// rewound is the request with its body at the start, where the body can be read more than once.
func rewound(req *http.Request) (*http.Request, error) {
	if req.GetBody == nil || req.Body == nil || req.Body == http.NoBody {
		return req, nil
	}
	body, err := req.GetBody()
	if err != nil {
		return nil, fmt.Errorf("read request body again: %w", err)
	}
	_ = req.Body.Close() // replaced
	out := *req
	out.Body = body
	return &out, nil
}

// transient reports whether an error of the network may pass.
func transient(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) {
		return false
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return dns.IsTemporary || dns.IsTimeout
	}
	for _, e := range []error{
		io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE, syscall.ECONNABORTED, syscall.ETIMEDOUT, errStalled,
	} {
		if errors.Is(err, e) {
			return true
		}
	}
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

func transientStatus(code int) bool {
	switch code {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// retryAfter is how long the answer, if there is one, asks to wait.
func retryAfter(resp *http.Response) time.Duration {
	if resp == nil {
		return 0
	}
	n, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	if err != nil || n < 0 {
		return 0
	}
	return min(time.Duration(n)*time.Second, maxPause)
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
