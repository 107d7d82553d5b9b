package store

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/deckhand-engine/deckhand/ref"
)

var testTime = time.Date(2020, 2, 3, 4, 5, 6, 0, time.UTC)

// openTest opens a store of the test's own, as whoever runs the test.
func openTest(t testing.TB) *Store {
	t.Helper()
	return openAt(t, filepath.Join(t.TempDir(), "root"))
}

func openAt(t testing.TB, root string) *Store {
	t.Helper()
	s, err := Open(root, Options{SingleID: os.Geteuid() != 0, Rootless: os.Geteuid() != 0})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustRef(t testing.TB, s string) ref.Reference {
	t.Helper()
	r, err := ref.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// tarOf makes an archive of files with contents, sorted as given: name, content, name, content …
func tarOf(t testing.TB, files ...string) []byte {
	t.Helper()
	var buf bytes.Buffer
	tw := tar.NewWriter(&buf)
	for i := 0; i < len(files); i += 2 {
		hdr := &tar.Header{Name: files[i], Size: int64(len(files[i+1])), Mode: 0o644, ModTime: testTime}
		if strings.HasSuffix(files[i], "/") {
			hdr.Mode = 0o755
		}
		if err := tw.WriteHeader(hdr); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write([]byte(files[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// importAs imports an archive of the files and tags it.
func importAs(t testing.TB, s *Store, name string, files ...string) *Image {
	t.Helper()
	config := dockerspec.DockerOCIImage{}
	config.Created = &testTime
	img, err := s.Import(t.Context(), bytes.NewReader(tarOf(t, files...)), config)
	if err != nil {
		t.Fatal(err)
	}
	return tag(t, s, name, img)
}

func tag(t testing.TB, s *Store, name string, img *Image) *Image {
	t.Helper()
	if err := s.Tag(t.Context(), mustRef(t, name), img.Target); err != nil {
		t.Fatal(err)
	}
	return image(t, s, name)
}

func image(t testing.TB, s *Store, name string) *Image {
	t.Helper()
	img, err := s.Image(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// build puts a layer of the files on top of base.
func build(t testing.TB, s *Store, base *Image, files ...string) *Image {
	t.Helper()
	var layers []string
	var config dockerspec.DockerOCIImage
	if base != nil {
		layers, config = imageLayers(t, s, base), base.Config
	}
	layers = append(layers, commit(t, s, files...))
	config.Created = &testTime
	img, err := s.PutImage(t.Context(), config, layers)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func commit(t testing.TB, s *Store, files ...string) string {
	t.Helper()
	n, err := s.NewLayer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(files); i += 2 {
		path := filepath.Join(n.Dir, files[i])
		err := errors.Join(os.WriteFile(path, []byte(files[i+1]), 0o600), os.Chtimes(path, testTime, testTime))
		if err != nil {
			t.Fatal(err)
		}
	}
	id, err := n.Commit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func imageLayers(t testing.TB, s *Store, img *Image) []string {
	t.Helper()
	ids, err := s.ImageLayers(t.Context(), img)
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// readLayer reads a file of an image's layer.
func readLayer(t testing.TB, s *Store, id, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(s.LayerDir(id), name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// mustBeSound fails if Check finds anything, or something is left in tmp.
func mustBeSound(t testing.TB, s *Store) {
	t.Helper()
	problems, err := s.Check(context.WithoutCancel(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Error(p)
	}
	names, err := readNames(s.path(tmpDir))
	if err != nil || len(names) > 0 {
		t.Errorf("left in tmp: %v, %v", names, err)
	}
}

func wantError(t testing.TB, err, kind error, texts ...string) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("got error %v, want %v", err, kind)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%q does not say %q", err, text)
		}
	}
}

// damage changes a byte of a blob, keeping its size.
func damage(t testing.TB, s *Store, d digest.Digest) {
	t.Helper()
	path, err := s.blobPath(d)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 0xff
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func blobOf(data string) v1.Descriptor {
	return v1.Descriptor{Digest: digest.FromString(data), Size: int64(len(data))}
}
