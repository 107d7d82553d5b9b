package registry_test

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	fake "github.com/google/go-containerregistry/pkg/registry"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/deckhand-engine/deckhand/internal/store"
	"github.com/deckhand-engine/deckhand/ref"
	"github.com/deckhand-engine/deckhand/registry"
)

// server is a registry in this process whose answers a test may replace.
type server struct {
	*httptest.Server
	t    *testing.T
	host string

	mu       sync.Mutex
	requests []string
	hook     func(w http.ResponseWriter, r *http.Request) bool // true: answered
}

func newServer(t *testing.T) *server {
	t.Helper()
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	s := &server{t: t}
	inner := fake.New(fake.Logger(log.New(io.Discard, "", 0)))
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests = append(s.requests, r.Method+" "+r.URL.Path)
		hook := s.hook
		s.mu.Unlock()
		if hook == nil || !hook(w, r) {
			inner.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(s.Close)
	s.host = strings.TrimPrefix(s.URL, "http://")
	return s
}

// count is how many requests began with prefix.
func (s *server) count(prefix string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, r := range s.requests {
		if strings.HasPrefix(r, prefix) {
			n++
		}
	}
	return n
}

func (s *server) intercept(hook func(w http.ResponseWriter, r *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests, s.hook = nil, hook
}

func (s *server) ref(name string) ref.Reference {
	s.t.Helper()
	r, err := ref.Parse(s.host + "/" + name)
	if err != nil {
		s.t.Fatal(err)
	}
	return r
}

// put sends body to a path below /v2/.
func (s *server) put(path, contentType string, body []byte) {
	s.t.Helper()
	method := http.MethodPut
	if strings.Contains(path, "/blobs/uploads/") {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(context.Background(), method, s.URL+"/v2/"+path, bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		text, _ := io.ReadAll(resp.Body)
		s.t.Fatalf("put %s: %s %s", path, resp.Status, text)
	}
}

func (s *server) blob(repo, mediaType string, content []byte) v1.Descriptor {
	s.t.Helper()
	d := descriptor(mediaType, content)
	s.put(repo+"/blobs/uploads/?digest="+d.Digest.String(), "application/octet-stream", content)
	return d
}

func descriptor(mediaType string, content []byte) v1.Descriptor {
	return v1.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(content), Size: int64(len(content))}
}

// kind are the media types of one format.
type kind struct{ manifest, config, layer string }

var (
	ociKind    = kind{v1.MediaTypeImageManifest, v1.MediaTypeImageConfig, v1.MediaTypeImageLayer}
	dockerKind = kind{
		"application/vnd.docker.distribution.manifest.v2+json", "application/vnd.docker.container.image.v1+json",
		"application/vnd.docker.image.rootfs.diff.tar",
	}
)

// image puts an image of the layers under repo:tag and returns its manifest's descriptor.
func (s *server) image(repo, tag string, k kind, p v1.Platform, layers ...[]byte) v1.Descriptor {
	s.t.Helper()
	config := v1.Image{Platform: p, RootFS: v1.RootFS{Type: "layers"}}
	m := v1.Manifest{MediaType: k.manifest}
	m.SchemaVersion = 2
	for _, l := range layers {
		m.Layers = append(m.Layers, s.blob(repo, k.layer, l))
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, digest.FromBytes(l))
	}
	m.Config = s.blob(repo, k.config, encode(s.t, config))
	return s.manifest(repo, tag, k.manifest, m, &p)
}

func (s *server) manifest(repo, tag, mediaType string, m any, p *v1.Platform) v1.Descriptor {
	s.t.Helper()
	raw := encode(s.t, m)
	d := v1.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(raw), Size: int64(len(raw)), Platform: p}
	if tag == "" {
		tag = d.Digest.String()
	}
	s.put(repo+"/manifests/"+tag, mediaType, raw)
	return d
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

var here = v1.Platform{OS: "linux", Architecture: runtime.GOARCH}

// layer is a tar of one file; a size makes it big.
func layer(t *testing.T, name string, size int) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	content := bytes.Repeat([]byte(name+" "), size/(len(name)+1)+1)
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content)), Typeflag: tar.TypeReg}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func newStore(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.Open(t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// stored lists everything below the store's blobs and tmp, relative to its root.
func stored(t *testing.T, s *store.Store) []string {
	t.Helper()
	var files []string
	for _, dir := range []string{"blobs", "tmp"} {
		err := filepath.WalkDir(filepath.Join(s.Root(), dir), func(path string, d os.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				files = append(files, strings.TrimPrefix(path, s.Root()+"/"))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// states records what Progress was told.
type states struct {
	mu   sync.Mutex
	last map[digest.Digest]string
	all  []string
}

func (p *states) Blob(d v1.Descriptor, done int64, state string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last == nil {
		p.last = map[digest.Digest]string{}
	}
	p.last[d.Digest] = state
	p.all = append(p.all, fmt.Sprintf("%s %d/%d", state, done, d.Size))
}

// final counts the states that blobs ended in.
func (p *states) final() map[string]int {
	n := map[string]int{}
	for s := range maps.Values(p.last) {
		n[s]++
	}
	return n
}

func (p *states) saw(state string) bool {
	return slices.ContainsFunc(p.all, func(s string) bool { return strings.HasPrefix(s, state) })
}

func client() *registry.Client { return (&registry.Client{}).Fast() }
