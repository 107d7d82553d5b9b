package store

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
)

func TestRemoveDangling(t *testing.T) {
	s := openTest(t)
	gone := importAs(t, s, "a", "n", "1")
	used := importAs(t, s, "a", "n", "2")
	other := importAs(t, s, "a", "n", "3")
	named := importAs(t, s, "a", "n", "4")
	create(t, s, &Container{ImageID: used.ID.String(), Layers: imageLayers(t, s, used)})
	if err := s.RemoveDangling(t.Context(), []digest.Digest{gone.ID, used.ID, named.ID, digest.FromString("unknown")}); err != nil {
		t.Fatal(err)
	}
	images, err := s.Images(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []digest.Digest
	for _, img := range images {
		got = append(got, img.ID)
	}
	want := []digest.Digest{used.ID, other.ID, named.ID}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if s.HasLayers(gone) {
		t.Error("the layers of the removed image are still there")
	}
	mustBeSound(t, s)
}
