package imagesource

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"

	gcrname "github.com/google/go-containerregistry/pkg/name"
	gcr "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/deckhand-engine/deckhand/guard/load/images"
	"github.com/deckhand-engine/deckhand/registry"
)

const benchImages = 1000

// newBenchServer has benchImages repositories.
func newBenchServer(b *testing.B) string {
	b.Helper()
	srv := newServer(b)
	config := gcr.Config{User: "1000", Env: []string{"PATH=/usr/bin"}, Entrypoint: []string{"/app"}}
	img := imageOf(b, config, make([][]file, 5)...)
	for i := range benchImages {
		r, err := gcrname.ParseReference(fmt.Sprintf("%s/app%d:v1", srv.host, i))
		if err != nil {
			b.Fatal(err)
		}
		if err := remote.Write(r, img, remote.WithContext(b.Context()), remote.WithJobs(1)); err != nil {
			b.Fatal(err)
		}
	}
	return srv.host
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

// BenchmarkRegistry loads 1000 images of a registry in this process.
func BenchmarkRegistry(b *testing.B) {
	host := newBenchServer(b)
	for b.Loop() {
		s := &Source{Client: &registry.Client{}}
		atOnce(func(i int) {
			name := fmt.Sprintf("docker://%s/app%d:v1", host, i)
			img, err := s.Image(b.Context(), name)
			if err == nil {
				_, err = images.Subject(b.Context(), name, img)
			}
			if err != nil {
				b.Error(err)
			}
		})
		s.Client.Close()
	}
}

// BenchmarkPlainClient is what BenchmarkRegistry is measured against: the same requests, nothing checked.
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
			var m gcr.Manifest
			if err := json.Unmarshal(get(fmt.Sprintf("/v2/app%d/manifests/v1", i)), &m); err != nil {
				b.Error(err)
			}
			get(fmt.Sprintf("/v2/app%d/blobs/%s", i, m.Config.Digest))
		})
		t.CloseIdleConnections()
	}
}
