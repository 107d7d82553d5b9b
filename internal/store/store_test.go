package store

import (
	"os"
	"testing"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"

	"github.com/deckhand-engine/deckhand/ref"
)

// openTest opens a store of the test's own.
func openTest(t testing.TB) *Store {
	t.Helper()
	s, err := Open(t.TempDir(), Options{})
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

func TestSmokeReal(t *testing.T) {
	s := openTest(t)
	f, err := os.Open("/tmp/D-base.tar")
	if err != nil {
		t.Skip(err)
	}
	img, err := s.Import(t.Context(), f, dockerspec.DockerOCIImage{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Tag(t.Context(), mustRef(t, "ubuntu"), img.Target); err != nil {
		t.Fatal(err)
	}
	img, err = s.Image(t.Context(), "ubuntu")
	if err != nil {
		t.Fatal(err)
	}
	ids, err := s.ImageLayers(t.Context(), img)
	t.Log(ids, err)
}
