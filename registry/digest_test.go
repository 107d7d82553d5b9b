package registry_test

import (
	"context"
	_ "crypto/sha512" // a digest that nobody asks for
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"

	"github.com/deckhand-engine/deckhand/registry"
)

// FuzzValidate holds the check of digests to that of the specification's own package.
func FuzzValidate(f *testing.F) {
	hex := strings.Repeat("0123456789abcdef", 4)
	for _, s := range []string{
		"sha256:" + hex, "sha256:" + strings.ToUpper(hex), "sha256:" + hex[1:], "sha256:" + hex + "0", "sha256:" + hex[1:] + "g",
		"sha512:" + hex + hex, "sha512:" + hex, "sha256", "sha256:", ":", "", "latest", "md5:" + hex[:32], "sha256:sha256:" + hex,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, want := registry.Validate(digest.Digest(s)), digest.Digest(s).Validate()
		if (got == nil) != (want == nil) {
			t.Errorf("%q: %v, not %v", s, got, want)
		}
	})
}

func TestDigestLike(t *testing.T) {
	for _, algorithm := range []digest.Algorithm{digest.SHA256, digest.SHA512} {
		for _, raw := range []string{"", "{}", "a document"} {
			want := algorithm.FromString(raw)
			if got := registry.DigestLike(want, []byte(raw)); got != want {
				t.Errorf("%q: %s, not %s", raw, got, want)
			}
			if got := registry.DigestLike(want, []byte(raw+" ")); got == want || got.Algorithm() != algorithm {
				t.Errorf("%q with a blank: %s", raw, got)
			}
		}
	}
}

// TestWatched leaves out the watch over requests that end before they could stall, and over no others.
func TestWatched(t *testing.T) {
	tests := map[string]struct {
		within time.Duration // 0: no deadline
		want   bool
	}{
		"no deadline":      {0, true},
		"a near deadline":  {30 * time.Second, false},
		"a distant one":    {time.Hour, true},
		"one that is over": {-time.Second, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			if tt.within != 0 {
				limited, cancel := context.WithTimeout(ctx, tt.within)
				defer cancel()
				ctx = limited
			}
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/v2/", nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := registry.Watched(req); got != tt.want {
				t.Errorf("watched: %v", got)
			}
		})
	}
}
