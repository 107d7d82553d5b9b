package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/deckhand-engine/deckhand/ref"
)

var errPlainHTTP = errors.New("plain http is allowed on loopback only")

// session is an authenticated connection to one repository.
type session struct {
	client *http.Client
	rt     http.RoundTripper // what the client sends requests through, or less where nothing more is needed
	base   url.URL           // scheme and host
	repo   string            // path below /v2/
	pause  time.Duration
}

// open is the session of the reference's repository: for the repository itself with action ("pull" or
// "push,pull"), and with pull for each of the others.
func (c *Client) open(ctx context.Context, r ref.Reference, action string, others []string) (*session, error) {
	h, err := c.host(r.Registry)
	if err != nil {
		return nil, err
	}
	return h.session(ctx, r.Repository, action, others)
}

// at is the same session for another repository.
func (s *session) at(repo string) *session {
	other := *s
	other.repo = repo
	return &other
}

// roundTripper is what all hosts share. The caller holds the lock.
func (c *Client) roundTripper(unverified bool) http.RoundTripper {
	if c.transport != nil {
		return c.transport
	}
	shared := &c.hosts.verified
	if unverified {
		shared = &c.hosts.open
	}
	if *shared == nil {
		*shared = c.newTransport(unverified)
	}
	return *shared
}

func (c *Client) newTransport(unverified bool) *http.Transport {
	dialer := &net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second}
	t := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           dialer.DialContext,
		ForceAttemptHTTP2:     true,
		DisableCompression:    true, // digest and size are those of what is stored, and layers are compressed already
		MaxIdleConnsPerHost:   c.requests(),
		MaxConnsPerHost:       c.requests(), // polite lets no more through: none need be opened for a request while another is coming free
		IdleConnTimeout:       time.Minute,
		TLSHandshakeTimeout:   15 * time.Second,
		ExpectContinueTimeout: time.Second,
	}
	if unverified {
		t.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // loopback, where plain http is allowed as well, or asked for by name
	}
	return t
}

// address is where something of the repository is: "/v2/<repo>/<kind>/<id>".
func (s *session) address(kind, id string) *url.URL {
	u := s.base
	u.Path = "/v2/" + s.repo + "/" + kind + "/" + id
	return &u
}

// url is the same as a text.
func (s *session) url(kind, id string) string { return s.address(kind, id).String() }

// get is a request for something of the repository. Its address is known in parts, so none is parsed from a text.
func (s *session) get(ctx context.Context, kind, id string) *http.Request {
	req := http.Request{
		Method: http.MethodGet, URL: s.address(kind, id), Host: s.base.Host, Header: make(http.Header, 4),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	return req.WithContext(ctx)
}

// do sends a request made by get. Few answers are redirects, so the http.Client, which makes ready for one with every
// request, is only asked to follow them.
func (s *session) do(req *http.Request) (*http.Response, error) {
	resp, err := s.rt.RoundTrip(req)
	if err != nil {
		return nil, &url.Error{Op: "Get", URL: req.URL.Redacted(), Err: err}
	}
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		follower := *s.client
		follower.Transport = &answered{first: resp, then: s.client.Transport}
		return follower.Do(req)
	}
	return resp, nil
}

// answered has the answer to the first request already.
type answered struct {
	first *http.Response
	then  http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (a *answered) RoundTrip(req *http.Request) (*http.Response, error) {
	if resp := a.first; resp != nil {
		a.first = nil
		return resp, nil
	}
	return a.then.RoundTrip(req)
}

// maxBelieved bounds what is made ready for a body because its header says so, in bytes.
const maxBelieved = 64 << 10

// readDocument reads a body of bounded size to its end.
func readDocument(resp *http.Response) ([]byte, error) {
	if n := resp.ContentLength; n >= 0 && n <= maxBelieved {
		raw := make([]byte, n)
		_, err := io.ReadFull(resp.Body, raw)
		return raw, err
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxManifestBytes+1))
	if err == nil && len(raw) > maxManifestBytes {
		err = fmt.Errorf("more than %d bytes", maxManifestBytes)
	}
	return raw, err
}

// guard refuses plain http, whoever led there: a reference, a redirect or a token server's address.
type guard struct {
	inner http.RoundTripper
	plain bool
}

// RoundTrip implements http.RoundTripper.
func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != "https" && !g.plain {
		return nil, fmt.Errorf("%s: %w", req.URL.Host, errPlainHTTP)
	}
	return g.inner.RoundTrip(req)
}

// checkRedirect lets a registry send its client to other hosts (blobs are kept elsewhere), but not from the
// outside into this machine or its private network.
func checkRedirect(req *http.Request, via []*http.Request) error {
	const most = 10
	if len(via) >= most {
		return fmt.Errorf("stopped after %d redirects", most)
	}
	if len(via) == 0 || via[0].URL.Hostname() == req.URL.Hostname() {
		return nil
	}
	if inner(req.URL.Hostname()) && !inner(via[0].URL.Hostname()) {
		return fmt.Errorf("registry redirects to the private address %s", req.URL.Hostname())
	}
	return nil
}

// inner reports whether host is an address or a name of this machine or a private network.
func inner(host string) bool {
	if isLoopback(host) {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && (a.Unmap().IsPrivate() || a.Unmap().IsLinkLocalUnicast() || a.IsUnspecified())
}

// isLoopback reports whether host[:port] is on this machine: localhost, *.localhost (RFC 6761), 127.0.0.0/8, ::1.
func isLoopback(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	if a, err := netip.ParseAddr(host); err == nil {
		return a.Unmap().IsLoopback()
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}
