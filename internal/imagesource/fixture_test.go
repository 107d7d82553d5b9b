package imagesource

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	fake "github.com/google/go-containerregistry/pkg/registry"
	gcr "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/opencontainers/go-digest"

	"github.com/deckhand-engine/deckhand/guard"
)

const (
	rootOnly = "root:x:0:0::/root:/bin/sh\n"
	withApp  = rootOnly + "app:x:1234:1234::/:/bin/sh\n"
)

// file is an entry of a layer under test.
type file struct {
	name    string // with a slash at its end: a directory
	content string
	link    string // a symbolic link
	hard    string // a hard link
	mode    int64  // 0: 0644, of directories 0755
	uid     int
	caps    string // security.capability
	special bool   // a device
}

func (f file) header() *tar.Header {
	h := &tar.Header{Name: f.name, Mode: f.mode, Uid: f.uid, Gid: f.uid, Size: int64(len(f.content)), Typeflag: tar.TypeReg}
	switch {
	case strings.HasSuffix(f.name, "/"):
		h.Typeflag, h.Mode = tar.TypeDir, max(f.mode, 0o755)
	case f.link != "":
		h.Typeflag, h.Linkname, h.Mode = tar.TypeSymlink, f.link, 0o777
	case f.hard != "":
		h.Typeflag, h.Linkname = tar.TypeLink, f.hard
	case f.special:
		h.Typeflag = tar.TypeChar
	}
	if h.Mode == 0 {
		h.Mode = 0o644
	}
	if f.caps != "" {
		h.PAXRecords = map[string]string{"SCHILY.xattr.security.capability": f.caps}
	}
	return h
}

func tarOf(t testing.TB, files ...file) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, f := range files {
		if err := w.WriteHeader(f.header()); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, f.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// memory is a layer that counts how often it is opened.
type memory struct {
	layer

	opened int
}

func inMemory(content []byte) *memory {
	m := &memory{}
	d := digest.FromBytes(content)
	m.layer = layer{name: "layer " + d.String(), open: func(context.Context) (io.ReadCloser, error) {
		m.opened++
		return verify(io.NopCloser(bytes.NewReader(content)), d)
	}}
	return m
}

// filesOf are the files of layers, bottom first.
func filesOf(t testing.TB, layers ...[]file) (*files, []*memory) {
	t.Helper()
	var all []*layer
	var counted []*memory
	for _, l := range layers {
		m := inMemory(tarOf(t, l...))
		all, counted = append(all, &m.layer), append(counted, m)
	}
	return newFiles(all), counted
}

// imageOf makes an image whose layers, compressed, have these files.
func imageOf(t testing.TB, config gcr.Config, layers ...[]file) gcr.Image {
	t.Helper()
	img, err := mutate.Config(empty.Image, config)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range layers {
		content := tarOf(t, l...)
		layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil })
		if err != nil {
			t.Fatal(err)
		}
		if img, err = mutate.AppendLayers(img, layer); err != nil {
			t.Fatal(err)
		}
	}
	file, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	file = file.DeepCopy()
	file.OS, file.Architecture = "linux", "amd64"
	if img, err = mutate.ConfigFile(img, file); err != nil {
		t.Fatal(err)
	}
	return img
}

// server is a registry in this process that remembers what it was asked for.
type server struct {
	host string

	mu       sync.Mutex
	requests []string
	answer   func(w http.ResponseWriter, r *http.Request) bool
}

func newServer(t testing.TB) *server {
	t.Helper()
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	s := &server{}
	inner := fake.New(fake.Logger(log.New(io.Discard, "", 0)))
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests = append(s.requests, r.Method+" "+r.URL.Path)
		answer := s.answer
		s.mu.Unlock()
		if answer == nil || !answer(w, r) {
			inner.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(h.Close)
	s.host = strings.TrimPrefix(h.URL, "http://")
	return s
}

// push puts an image under a name below the server.
func (s *server) push(t testing.TB, img gcr.Image, as string) string {
	t.Helper()
	full := s.host + "/" + as
	r, err := name.ParseReference(full)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(r, img, remote.WithContext(t.Context())); err != nil {
		t.Fatal(err)
	}
	s.forget(nil)
	return full
}

// forget starts counting anew.
func (s *server) forget(answer func(w http.ResponseWriter, r *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests, s.answer = nil, answer
}

// count is how many requests had the text in them.
func (s *server) count(text string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, r := range s.requests {
		if strings.Contains(r, text) {
			n++
		}
	}
	return n
}

// read is one file of an image.
func read(t testing.TB, f guard.Files, path string) string {
	t.Helper()
	got, err := f.Read(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return string(got[path])
}

func compress(t testing.TB, data []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	if _, err := z.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}
