package imagesource

import (
	"fmt"
	"sync/atomic"
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

// BenchmarkRegistry loads an image of a registry in this process, 4 goroutines a processor. What a plain client takes for
// the same requests, BenchmarkPlainClient of the registry package says.
func BenchmarkRegistry(b *testing.B) {
	host := newBenchServer(b)
	s := New(Options{Client: &registry.Client{}})
	defer s.Client.Close()
	b.SetParallelism(4)
	b.ResetTimer()
	var n atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			name := fmt.Sprintf("docker://%s/app%d:v1", host, n.Add(1)%benchImages)
			img, err := s.Image(b.Context(), name)
			if err == nil {
				_, err = images.Subject(b.Context(), name, img)
			}
			if err != nil {
				b.Error(err)
			}
		}
	})
}
