package registry

import (
	"net/http"
	"time"
)

// Fast makes the pauses between retries short.
func (c *Client) Fast() *Client {
	c.backoff = time.Millisecond
	return c
}

// Through sends the requests through rt.
func (c *Client) Through(rt http.RoundTripper) *Client {
	c.transport = rt
	return c
}

// For tests of what other packages do not see.
var (
	ParseDocument = func(raw []byte, contentType string) (mediaType string, err error) {
		d, err := parseDocument(raw, contentType)
		if err != nil {
			return "", err
		}
		_, _ = d.check()
		return d.MediaType, nil
	}
	Validate   = validate
	DigestLike = digestLike
	Watched    = func(req *http.Request) bool {
		_, w := watched(req)
		defer w.end()
		return w != nil
	}
	IsLoopback    = isLoopback
	CheckRedirect = checkRedirect
)
