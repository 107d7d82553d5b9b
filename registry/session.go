package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/deckhand-engine/deckhand/ref"
)

var errPlainHTTP = errors.New("plain http is allowed on loopback only")

// session is an authenticated connection to one repository.
type session struct {
	client *http.Client
	base   url.URL // scheme and host
	repo   string  // path below /v2/
	pause  time.Duration
}

// open pings the registry, finds the credentials and asks for the scopes: for the repository itself action
// ("pull" or "push,pull"), and pull for each of the others.
func (c *Client) open(ctx context.Context, r ref.Reference, action string, others []string) (*session, error) {
	plain := c.Insecure || isLoopback(r.Registry)
	var opts []name.Option
	if plain {
		opts = append(opts, name.Insecure)
	}
	reg, err := name.NewRegistry(r.Registry, opts...)
	if err != nil {
		return nil, fmt.Errorf("read registry name: %w", err)
	}
	repo := reg.Repo(r.Repository)
	auth, err := authn.Resolve(ctx, authn.DefaultKeychain, repo)
	if err != nil {
		return nil, fmt.Errorf("read credentials for %s: %w", r.Registry, err)
	}
	agent := c.UserAgent
	if agent == "" {
		agent = "deckhand"
	}
	rt := transport.NewUserAgent(&retrier{inner: &guard{inner: c.roundTripper(plain), plain: plain}, pause: c.firstPause()}, agent)
	scopes := []string{repo.Scope(action)}
	for _, o := range others {
		scopes = append(scopes, reg.Repo(o).Scope(transport.PullScope))
	}
	rt, err = transport.NewWithContext(ctx, reg, auth, rt, scopes)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return &session{
		client: &http.Client{Transport: rt, CheckRedirect: checkRedirect},
		base:   url.URL{Scheme: "https", Host: reg.RegistryStr()}, // the transport falls back to what the ping found
		repo:   r.Repository,
		pause:  c.firstPause(),
	}, nil
}

// close lets go of idle connections.
func (s *session) close() { s.client.CloseIdleConnections() }

func (c *Client) roundTripper(unverified bool) http.RoundTripper {
	if c.transport != nil {
		return c.transport
	}
	dialer := &net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second}
	t := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           dialer.DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   c.jobs() + 1,
		IdleConnTimeout:       time.Minute,
		TLSHandshakeTimeout:   15 * time.Second,
		ExpectContinueTimeout: time.Second,
	}
	if unverified {
		t.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // loopback, where plain http is allowed as well, or asked for by name
	}
	return t
}

// url is the address of something in the repository: "/v2/<repo>/<kind>/<id>".
func (s *session) url(kind, id string) string {
	u := s.base
	u.Path = "/v2/" + s.repo + "/" + kind + "/" + id
	return u.String()
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
