package store

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
)

func TestRemoveImage(t *testing.T) {
	s := openTest(t)
	a := importAs(t, s, "a", "n", "a")
	tag(t, s, "a:two", a)
	removed, err := s.RemoveImage(t.Context(), "a:two", false)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Removed{Untagged: []string{"a:two"}}, removed); diff != "" {
		t.Error(diff)
	}
	removed, err = s.RemoveImage(t.Context(), "a", false)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Removed{Untagged: []string{"a:latest"}, Deleted: []digest.Digest{a.ID}}, removed); diff != "" {
		t.Error(diff)
	}
	for _, dir := range []string{blobDir, "layers", "images"} {
		if names, err := readNames(s.path(dir)); err != nil || len(names) > 0 {
			t.Errorf("left in %s: %v, %v", dir, names, err)
		}
	}
	_, err = s.RemoveImage(t.Context(), "a", false)
	wantError(t, err, ErrNotFound, "No such image: a:latest")
	mustBeSound(t, s)
}

func TestRemoveImageByID(t *testing.T) {
	s := openTest(t)
	a := importAs(t, s, "a", "n", "a")
	tag(t, s, "b", a)
	short := a.ID.Encoded()[:12]
	_, err := s.RemoveImage(t.Context(), short, false)
	wantError(t, err, ErrInUse, "conflict: unable to delete "+short+" (must be forced) - image is referenced in multiple repositories")
	removed, err := s.RemoveImage(t.Context(), short, true)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Removed{Untagged: []string{"a:latest", "b:latest"}, Deleted: []digest.Digest{a.ID}}, removed); diff != "" {
		t.Error(diff)
	}
	// A dangling image has no name to be untagged from.
	old := importAs(t, s, "c", "n", "1")
	importAs(t, s, "c", "n", "2")
	removed, err = s.RemoveImage(t.Context(), old.ID.String(), false)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Removed{Deleted: []digest.Digest{old.ID}}, removed); diff != "" {
		t.Error(diff)
	}
	mustBeSound(t, s)
}

func TestRemoveImageInUse(t *testing.T) {
	s := openTest(t)
	a := importAs(t, s, "a", "n", "a")
	short := a.ID.Encoded()[:12]
	c := &Container{ImageID: a.ID.String(), Layers: imageLayers(t, s, a)}
	lock := create(t, s, c)
	for _, test := range []struct {
		given string
		force bool
		want  string
	}{
		{"a", false, `conflict: unable to remove repository reference "a" (must force) - container ` + c.ID[:12] + " is using its referenced image " + short},
		{"a", true, "conflict: unable to delete " + short + " (cannot be forced) - image is being used by running container " + c.ID[:12]},
		{short, false, "conflict: unable to delete " + short + " (cannot be forced) - image is being used by running container " + c.ID[:12]},
	} {
		_, err := s.RemoveImage(t.Context(), test.given, test.force)
		wantError(t, err, ErrInUse, test.want)
	}
	lock.Unlock()
	_, err := s.RemoveImage(t.Context(), short, false)
	wantError(t, err, ErrInUse, "conflict: unable to delete "+short+" (must be forced) - image is being used by stopped container "+c.ID[:12])
	if _, err := s.RemoveImage(t.Context(), "a", true); err != nil {
		t.Fatal(err)
	}
	if !s.HasLayer(c.Layers[0]) {
		t.Error("the stopped container's layer is gone")
	}
	if err := errors.Join(s.RemoveContainer(c.ID), s.GC(t.Context())); err != nil {
		t.Fatal(err)
	}
	if s.HasLayer(c.Layers[0]) {
		t.Error("the layer stays for ever")
	}
	mustBeSound(t, s)
}

func TestGCKeepsWhatIsNeeded(t *testing.T) {
	s := openTest(t)
	base := importAs(t, s, "base", "f", "base")
	app := tag(t, s, "app", build(t, s, base, "f", "app"))
	cached, loose := commit(t, s, "f", "cached"), commit(t, s, "f", "loose")
	exported := build(t, s, nil, "f", "exported") // its blob, config and manifest are nobody's; its layer is the cache's
	exportedLayer := imageLayers(t, s, exported)[0]
	if err := s.writeJSON(s.path("cache", "build", "key"), map[string]any{
		"Layers": []string{cached, exportedLayer, "../../etc", "feed"}, "Output": "anything",
	}, false); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.path("cache", "build", "broken"), []byte("no json"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.GC(t.Context()); err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]bool{cached: true, exportedLayer: true, loose: false} {
		if s.HasLayer(id) != want {
			t.Errorf("layer %s: there %v, want %v", id, !want, want)
		}
	}
	if _, ok := s.HasBlob(exported.Manifest.Layers[0].Digest); !ok {
		t.Error("a cached layer lost its blob: packed again it might have another digest")
	}
	if _, ok := s.HasBlob(exported.ID); ok {
		t.Error("the config of an image without name stays")
	}
	if got := readLayer(t, s, imageLayers(t, s, app)[1], "f"); got != "app" {
		t.Errorf("app has %q", got)
	}
	if names, err := readNames(s.path("locks")); err != nil || strings.Contains(strings.Join(names, " "), "unpack-") {
		t.Errorf("locks %v, %v", names, err)
	}
	mustBeSound(t, s)
	// The image built from layers is used without unpacking even after that.
	if _, err := os.Readlink(s.path("layers", chainOf(app))); err != nil {
		t.Error(err)
	}
}
