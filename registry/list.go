package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/deckhand-engine/deckhand/ref"
)

// maxListed bounds how many names a registry may list.
const maxListed = 1_000_000

// list is a page of either list.
type list struct {
	Tags         []string `json:"tags"`
	Repositories []string `json:"repositories"`
}

// Tags lists the tags of the reference's repository, in the registry's order. Errors are mostly *Error.
func (c *Client) Tags(ctx context.Context, r ref.Reference) ([]string, error) {
	r.Tag, r.Digest = "", ""
	tags, err := c.list(ctx, r, r.Repository+"/tags/list")
	return tags, explain(err, "list", r)
}

// Repositories lists the repositories of a registry ("registry.example.com:5000"), in its order. Not every registry
// does that. Errors are mostly *Error.
func (c *Client) Repositories(ctx context.Context, registry string) ([]string, error) {
	r := ref.Reference{Registry: registry}
	names, err := c.list(ctx, r, "_catalog")
	if te, ok := errors.AsType[*transport.Error](err); ok {
		listed := &Error{
			Ref: r, Kind: kindOf(te), Err: te,
			Text: "registry " + registry + " does not list its repositories: " + diagnosis(te),
		}
		if !errors.Is(listed, ErrBusy) {
			listed.Hint = "name a repository:  docker://" + registry + "/REPOSITORY:*"
		}
		err = listed
	}
	return names, explain(err, "list", r)
}

func kindOf(te *transport.Error) error {
	switch {
	case te.StatusCode == http.StatusUnauthorized, te.StatusCode == http.StatusForbidden:
		return ErrDenied
	case te.StatusCode == http.StatusNotFound, te.StatusCode == http.StatusMethodNotAllowed, te.StatusCode == http.StatusNotImplemented:
		return ErrUnsupported
	case transientStatus(te.StatusCode):
		return ErrBusy
	}
	return nil
}

// list follows the pages of a list.
func (c *Client) list(ctx context.Context, r ref.Reference, path string) ([]string, error) {
	s, err := c.open(ctx, r, transport.PullScope, nil)
	if err != nil {
		return nil, err
	}
	at := s.base
	at.Path = "/v2/" + path
	var names []string
	for {
		page, next, err := s.page(ctx, &at)
		if err != nil {
			return nil, err
		}
		more := append(page.Tags, page.Repositories...) // a page has only one of them
		names = append(names, more...)
		if len(names) > maxListed {
			return nil, fmt.Errorf("more than %d names", maxListed)
		}
		if next == nil {
			return names, nil
		}
		if len(more) == 0 || *next == at {
			return nil, errors.New("the registry's list does not get on")
		}
		at = *next
	}
}

func (s *session) page(ctx context.Context, at *url.URL) (page list, next *url.URL, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return page, nil, fmt.Errorf("get list: %w", err)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return page, nil, fmt.Errorf("get list: %w", err)
	}
	defer func() { _ = resp.Body.Close() }() // read to its end below
	if err := transport.CheckError(resp, http.StatusOK); err != nil {
		return page, nil, err
	}
	raw, err := readDocument(resp)
	if err != nil {
		return page, nil, fmt.Errorf("get list: %w", err)
	}
	if err := json.Unmarshal(raw, &page); err != nil {
		return page, nil, fmt.Errorf("parse list: %w", err)
	}
	next, err = nextPage(at, resp.Header.Values("Link"))
	return page, next, err
}

// nextPage finds the link to the next page (RFC 8288): `</v2/_catalog?last=x>; rel="next"`. It must lead to the
// same place, of which it may change the query only.
func nextPage(at *url.URL, links []string) (*url.URL, error) {
	for _, l := range links {
		target, params, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(l), "<"), ">")
		if !ok || !strings.Contains(strings.ReplaceAll(params, `"`, ""), "rel=next") {
			continue
		}
		u, err := at.Parse(target)
		if err != nil {
			return nil, fmt.Errorf("parse link to the next page: %w", err)
		}
		if u.Host != at.Host {
			return nil, fmt.Errorf("the list's next page is on another host, %s", u.Host)
		}
		next := *at
		next.RawQuery = u.RawQuery
		return &next, nil
	}
	return nil, nil
}
