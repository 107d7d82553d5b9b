package registry_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	fake "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/deckhand-engine/deckhand/ref"
	"github.com/deckhand-engine/deckhand/registry"
)

const benchImages = 1000

// newBenchServer has benchImages repositories of one image.
func newBenchServer(b *testing.B) string {
	b.Helper()
	b.Setenv("DOCKER_CONFIG", b.TempDir())
	inner := fake.New(fake.Logger(log.New(io.Discard, "", 0)))
	config, err := json.Marshal(v1.Image{
		Platform: here, Config: v1.ImageConfig{User: "1000", Env: []string{"PATH=/usr/bin", "LANG=C.UTF-8"}},
		History: make([]v1.History, 20),
	})
	if err != nil {
		b.Fatal(err)
	}
	put := func(method, path, mediaType, body string) {
		r := httptest.NewRequestWithContext(b.Context(), method, path, strings.NewReader(body))
		r.Header.Set("Content-Type", mediaType)
		w := httptest.NewRecorder()
		inner.ServeHTTP(w, r)
		if w.Code != http.StatusCreated {
			b.Fatal(path, w.Code, w.Body)
		}
	}
	m := v1.Manifest{MediaType: v1.MediaTypeImageManifest, Config: descriptor(v1.MediaTypeImageConfig, config)}
	m.SchemaVersion = 2
	raw, err := json.Marshal(m)
	if err != nil {
		b.Fatal(err)
	}
	for i := range benchImages {
		put(http.MethodPost, fmt.Sprintf("/v2/app%d/blobs/uploads/?digest=%s", i, m.Config.Digest), "application/octet-stream", string(config))
		put(http.MethodPut, fmt.Sprintf("/v2/app%d/manifests/v1", i), v1.MediaTypeImageManifest, string(raw))
	}
	srv := httptest.NewServer(inner)
	b.Cleanup(srv.Close)
	return strings.TrimPrefix(srv.URL, "http://")
}

// atOnce runs f for every image, 8 at a time.
func atOnce(f func(i int)) {
	work := make(chan int)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range work {
				f(i)
			}
		})
	}
	for i := range benchImages {
		work <- i
	}
	close(work)
	wg.Wait()
}

// BenchmarkImage looks at 1000 images of a registry in this process.
func BenchmarkImage(b *testing.B) {
	host := newBenchServer(b)
	for b.Loop() {
		c := &registry.Client{}
		atOnce(func(i int) {
			r := ref.Reference{Registry: host, Repository: fmt.Sprintf("app%d", i), Tag: "v1"}
			if _, err := c.Image(b.Context(), r); err != nil {
				b.Error(err)
			}
		})
		c.Close()
	}
}

// BenchmarkPlainClient is what BenchmarkImage is measured against: the same requests, nothing checked.
func BenchmarkPlainClient(b *testing.B) {
	host := newBenchServer(b)
	for b.Loop() {
		t := &http.Transport{MaxIdleConnsPerHost: 8}
		c := &http.Client{Transport: t}
		get := func(path string) []byte {
			req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "http://"+host+path, nil)
			if err != nil {
				b.Fatal(err)
			}
			req.Header.Set("Accept", v1.MediaTypeImageManifest)
			resp, err := c.Do(req)
			if err != nil {
				b.Error(err)
				return nil
			}
			defer resp.Body.Close()
			raw, err := io.ReadAll(resp.Body)
			if err != nil {
				b.Error(err)
			}
			return raw
		}
		atOnce(func(i int) {
			var m v1.Manifest
			if err := json.Unmarshal(get(fmt.Sprintf("/v2/app%d/manifests/v1", i)), &m); err != nil {
				b.Error(err)
			}
			get(fmt.Sprintf("/v2/app%d/blobs/%s", i, m.Config.Digest))
		})
		t.CloseIdleConnections()
	}
}
