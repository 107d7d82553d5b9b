package registry_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/deckhand-engine/deckhand/registry"
)

func contextWithCancel(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithCancel(t.Context())
}

func decode[T any](t *testing.T, raw []byte) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// pages answers a list in pages, as distribution does; link formats the address of the next.
func pages(srv *server, path, key, link string, names ...string) {
	srv.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != path {
			return false
		}
		at := 0
		for i, n := range names {
			if n == r.URL.Query().Get("last") {
				at = i + 1
			}
		}
		end := min(at+2, len(names))
		if end < len(names) {
			w.Header().Set("Link", fmt.Sprintf(link, names[end-1]))
		}
		_ = json.NewEncoder(w).Encode(map[string][]string{key: names[at:end]})
		return true
	})
}

func TestTags(t *testing.T) {
	srv := newServer(t)
	srv.image("app", "v1", ociKind, here, layer(t, "a", 10))
	srv.image("app", "v2", ociKind, here, layer(t, "a", 10))
	got, err := client().Tags(t.Context(), srv.ref("app"))
	if err != nil || !cmp.Equal([]string{"v1", "v2"}, got) {
		t.Errorf("tags %v, %v", got, err)
	}
	_, err = client().Tags(t.Context(), srv.ref("nosuch"))
	wantError(t, err, registry.ErrNotFound, "nosuch")

	want := []string{"a", "b", "c", "d", "e"}
	for name, link := range map[string]string{
		"path":     `</v2/app/tags/list?last=%s&n=2>; rel="next"`,
		"unquoted": `</v2/app/tags/list?last=%s>; rel=next`,
		"whole":    "<" + srv.URL + `/v2/app/tags/list?last=%s>; rel="next"`,
		"query":    `<?last=%s>; rel="next"`,
	} {
		t.Run(name, func(t *testing.T) {
			pages(srv, "/v2/app/tags/list", "tags", link, want...)
			got, err := client().Tags(t.Context(), srv.ref("app"))
			if err != nil || !cmp.Equal(want, got) {
				t.Errorf("tags %v, %v", got, err)
			}
		})
	}
	for name, link := range map[string]string{
		"another host": `<http://192.0.2.1/v2/app/tags/list?last=%s>; rel="next"`,
		"a circle":     `<?last=>; rel="next"%.0s`,
	} {
		t.Run(name, func(t *testing.T) {
			pages(srv, "/v2/app/tags/list", "tags", link, want...)
			if got, err := client().Tags(t.Context(), srv.ref("app")); err == nil {
				t.Errorf("tags %v", got)
			}
		})
	}
}

func TestRepositories(t *testing.T) {
	srv := newServer(t)
	srv.image("team/app", "v1", ociKind, here, layer(t, "a", 10))
	srv.image("base", "v1", ociKind, here, layer(t, "a", 10))
	got, err := client().Repositories(t.Context(), srv.host)
	slices.Sort(got) // the fake registry keeps no order
	if err != nil || !cmp.Equal([]string{"base", "team/app"}, got) {
		t.Errorf("repositories %v, %v", got, err)
	}
	pages(srv, "/v2/_catalog", "repositories", `</v2/_catalog?last=%s>; rel="next"`, "a", "b", "c")
	got, err = client().Repositories(t.Context(), srv.host)
	if err != nil || !cmp.Equal([]string{"a", "b", "c"}, got) {
		t.Errorf("repositories %v, %v", got, err)
	}
	srv.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/v2/_catalog" {
			w.WriteHeader(http.StatusNotFound)
			return true
		}
		return false
	})
	_, err = client().Repositories(t.Context(), srv.host)
	wantError(t, err, registry.ErrUnsupported, "does not list its repositories")
}
