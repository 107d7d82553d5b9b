package registry_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
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

// eachImage measures f, which is given the number of an image, 4 goroutines a processor.
func eachImage(b *testing.B, f func(i int) error) {
	b.Helper()
	b.SetParallelism(4)
	b.ResetTimer()
	var n atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := f(int(n.Add(1)) % benchImages); err != nil {
				b.Error(err)
			}
		}
	})
}

// BenchmarkImage looks at an image of a registry in this process.
func BenchmarkImage(b *testing.B) {
	host := newBenchServer(b)
	c := &registry.Client{}
	defer c.Close()
	eachImage(b, func(i int) error {
		_, err := c.Image(b.Context(), ref.Reference{Registry: host, Repository: fmt.Sprintf("app%d", i), Tag: "v1"})
		return err
	})
}

// BenchmarkPlainClient is what BenchmarkImage is measured against: the same requests, nothing checked.
func BenchmarkPlainClient(b *testing.B) {
	host := newBenchServer(b)
	t := &http.Transport{MaxIdleConnsPerHost: 8}
	defer t.CloseIdleConnections()
	c := &http.Client{Transport: t}
	get := func(path string) ([]byte, error) {
		req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "http://"+host+path, nil)
		if err != nil {
			return nil, err
		}
		req.Header.Set("Accept", v1.MediaTypeImageManifest)
		resp, err := c.Do(req)
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		return io.ReadAll(resp.Body)
	}
	eachImage(b, func(i int) error {
		raw, err := get(fmt.Sprintf("/v2/app%d/manifests/v1", i))
		if err != nil {
			return err
		}
		var m v1.Manifest
		if err := json.Unmarshal(raw, &m); err != nil {
			return err
		}
		_, err = get(fmt.Sprintf("/v2/app%d/blobs/%s", i, m.Config.Digest))
		return err
	})
}
