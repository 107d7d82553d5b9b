package registry

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/deckhand-engine/deckhand/internal/flight"
)

// hosts are the registries that a client has talked to. Whoever talks to one of them again finds its connections
// open, its answer to the ping known, and the repository's token at hand.
type hosts struct {
	mu       sync.Mutex
	byName   map[string]*host
	verified http.RoundTripper // certificates are
	open     http.RoundTripper // they are not: loopback and Insecure
}

// host is one registry.
type host struct {
	client *Client
	reg    name.Registry
	rt     http.RoundTripper // with retries and the limit of requests, without authentication

	anyone     atomic.Pointer[session] // of all repositories, once it is known that the registry asks for nothing
	challenges flight.Group[*transport.Challenge]
	sessions   flight.Group[*session]
}

// Close lets go of idle connections. The client may be used on.
func (c *Client) Close() {
	c.hosts.mu.Lock()
	defer c.hosts.mu.Unlock()
	for _, rt := range []http.RoundTripper{c.hosts.verified, c.hosts.open} {
		if t, ok := rt.(*http.Transport); ok {
			t.CloseIdleConnections()
		}
	}
}

// host finds or adds a registry; it does not talk to it.
func (c *Client) host(registry string) (*host, error) {
	c.hosts.mu.Lock()
	defer c.hosts.mu.Unlock()
	if h := c.hosts.byName[registry]; h != nil {
		return h, nil
	}
	plain := c.Insecure || isLoopback(registry)
	var opts []name.Option
	if plain {
		opts = append(opts, name.Insecure)
	}
	reg, err := name.NewRegistry(registry, opts...)
	if err != nil {
		return nil, fmt.Errorf("read registry name: %w", err)
	}
	agent := c.UserAgent
	if agent == "" {
		agent = "deckhand"
	}
	limited := &polite{inner: &guard{inner: c.roundTripper(plain), plain: plain}, slots: make(chan struct{}, c.requests())}
	rt := &pinged{inner: &retrier{inner: limited, pause: c.firstPause()}}
	h := &host{client: c, reg: reg, rt: &named{rt, []string{agent}}}
	h.sessions.ForgetErrors = true
	if c.hosts.byName == nil {
		c.hosts.byName = make(map[string]*host)
	}
	c.hosts.byName[registry] = h
	return h, nil
}

// session is the session of one repository, or of the registry itself where repo is empty: for the repository itself
// with the right to do action, and with pull for each of the others. Sessions are remembered; failures are not, but
// the ping's are.
func (h *host) session(ctx context.Context, repo, action string, others []string) (*session, error) {
	if s := h.anyone.Load(); s != nil {
		return s.at(repo), nil
	}
	challenge, err := h.challenges.Do(ctx, "", func() (*transport.Challenge, error) {
		return transport.Ping(ctx, h.reg, h.rt)
	})
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	if challenge.Scheme == "" { // every repository is as open as the others: credentials are looked up once
		s, err := h.sessions.Do(ctx, "", func() (*session, error) { return h.open(ctx, challenge, "", nil) })
		if err != nil {
			return nil, err
		}
		h.anyone.Store(s)
		return s.at(repo), nil
	}
	scopes := h.scopes(repo, action, others)
	return h.sessions.Do(ctx, repo+" "+strings.Join(scopes, " "), func() (*session, error) {
		return h.open(ctx, challenge, repo, scopes)
	})
}

// open gets what the registry's answer to the ping asks for: nothing, credentials, or a token.
func (h *host) open(ctx context.Context, challenge *transport.Challenge, repo string, scopes []string) (*session, error) {
	var who authn.Resource = h.reg
	if repo != "" {
		who = h.reg.Repo(repo)
	}
	auth, err := authn.Resolve(ctx, authn.DefaultKeychain, who)
	if err != nil {
		return nil, fmt.Errorf("read credentials for %s: %w", h.reg.Name(), err)
	}
	rt, err := transport.NewWithContext(ctx, h.reg, auth, h.rt, scopes)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	s := &session{
		client: &http.Client{Transport: rt, CheckRedirect: checkRedirect},
		rt:     rt,
		base:   url.URL{Scheme: "https", Host: h.reg.RegistryStr()},
		repo:   repo,
		pause:  h.client.firstPause(),
	}
	if challenge.Insecure {
		s.base.Scheme = "http"
	}
	if challenge.Scheme == "" && auth == authn.Anonymous {
		s.rt = h.rt // there is nothing to add to a request
	}
	return s, nil
}

// named says who asks.
type named struct {
	inner http.RoundTripper
	agent []string // the header's value
}

// RoundTrip implements http.RoundTripper.
func (n *named) RoundTrip(req *http.Request) (*http.Response, error) {
	req.Header["User-Agent"] = n.agent
	return n.inner.RoundTrip(req)
}

// pinged remembers how a registry answers GET /v2/, which every new session asks it.
type pinged struct {
	inner   http.RoundTripper
	answers flight.Group[*pong] // by the scheme
}

// pong is an answer to the ping.
type pong struct {
	status int
	header http.Header
	body   []byte // its beginning
}

// RoundTrip implements http.RoundTripper.
func (p *pinged) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method != http.MethodGet || req.URL.Path != "/v2/" || req.URL.RawQuery != "" {
		return p.inner.RoundTrip(req)
	}
	a, err := p.answers.Do(req.Context(), req.URL.Scheme, func() (*pong, error) { return p.ask(req) })
	if err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: a.status, Status: http.StatusText(a.status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: a.header.Clone(), Body: io.NopCloser(bytes.NewReader(a.body)), Request: req,
	}, nil
}

func (p *pinged) ask(req *http.Request) (*pong, error) {
	resp, err := p.inner.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }() // what could not be read of it does not matter
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return nil, fmt.Errorf("ping: %w", err)
	}
	return &pong{resp.StatusCode, resp.Header, body}, nil
}

// scopes are those of a repository itself, for action ("pull" or "push,pull"), and of pulling from others.
func (h *host) scopes(repo, action string, others []string) []string {
	if repo == "" {
		return []string{catalogScope}
	}
	scopes := []string{h.reg.Repo(repo).Scope(action)}
	for _, o := range slices.Sorted(slices.Values(others)) {
		scopes = append(scopes, h.reg.Repo(o).Scope(transport.PullScope))
	}
	return scopes
}

const catalogScope = "registry:catalog:*"
