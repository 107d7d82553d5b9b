package store

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/deckhand-engine/deckhand/internal/layer"
	"github.com/deckhand-engine/deckhand/internal/need"
	"github.com/deckhand-engine/deckhand/ref"
)

func TestImport(t *testing.T) {
	archive := tarOf(t, "etc/passwd", "root:x:0:0::/:/bin/sh\n", "big", strings.Repeat("big", 200_000))
	tests := map[string]struct {
		mediaType string
		asGiven   bool
	}{
		"cat":   {v1.MediaTypeImageLayer, true},
		"gzip":  {v1.MediaTypeImageLayerGzip, true},
		"zstd":  {v1.MediaTypeImageLayerZstd, true},
		"bzip2": {v1.MediaTypeImageLayer, false},
		"xz":    {v1.MediaTypeImageLayer, false},
	}
	for program, test := range tests {
		t.Run(program, func(t *testing.T) {
			need.Program(t, program)
			cmd := exec.CommandContext(t.Context(), program)
			cmd.Stdin = bytes.NewReader(archive)
			packed, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			s := openTest(t)
			img, err := s.Import(t.Context(), bytes.NewReader(packed), dockerspec.DockerOCIImage{})
			if err != nil {
				t.Fatal(err)
			}
			want := v1.Descriptor{MediaType: test.mediaType, Digest: digest.FromBytes(archive), Size: int64(len(archive))}
			if test.asGiven {
				want.Digest, want.Size = digest.FromBytes(packed), int64(len(packed))
			}
			if diff := cmp.Diff([]v1.Descriptor{want}, img.Manifest.Layers); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff([]digest.Digest{digest.FromBytes(archive)}, img.Config.RootFS.DiffIDs); diff != "" {
				t.Error(diff)
			}
			ids := imageLayers(t, s, img)
			if got := readLayer(t, s, ids[0], "etc/passwd"); !strings.HasPrefix(got, "root:") {
				t.Errorf("unpacked %q", got)
			}
			if img.Config.OS != "linux" || img.Config.Created == nil || len(img.Config.History) != 1 {
				t.Errorf("config %+v", img.Config)
			}
			mustBeSound(t, s)
		})
	}
}

func TestImportRefuses(t *testing.T) {
	whole := tarOf(t, "a", strings.Repeat("x", 100_000))
	tests := map[string]struct {
		archive []byte
		want    error
	}{
		"empty":     {nil, layer.ErrNotTar},
		"text":      {[]byte(strings.Repeat("text ", 1000)), layer.ErrNotTar},
		"truncated": {whole[:50_000], layer.ErrTruncated},
		"escape":    {tarOf(t, "../x", "x"), layer.ErrEscapes},
		"no gzip":   {[]byte("\x1f\x8bno gzip at all"), layer.ErrMalformed},
		"too large": {tarOf(t, "a", strings.Repeat("x", 300_000)), layer.ErrTooLarge},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := openTest(t)
			s.opts.MaxLayerBytes = 200_000
			if _, err := s.Import(t.Context(), bytes.NewReader(test.archive), dockerspec.DockerOCIImage{}); !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			mustBeSound(t, s)
			for _, dir := range []string{blobDir, "layers"} {
				if names, err := readNames(s.path(dir)); err != nil || len(names) > 0 {
					t.Errorf("left in %s: %v, %v", dir, names, err)
				}
			}
		})
	}
}

func TestImageLookup(t *testing.T) {
	s := openTest(t)
	a := importAs(t, s, "a", "name", "a")
	b := importAs(t, s, "localhost:5000/team/b:1.0", "name", "b")
	digested := "docker.io/library/pulled@" + blobOf("index").Digest.String()
	if err := s.Tag(t.Context(), mustRef(t, digested), b.Target); err != nil {
		t.Fatal(err)
	}
	for given, want := range map[string]*Image{
		"a": a, "a:latest": a, "docker.io/library/a": a, a.ID.String(): a, a.ID.Encoded(): a, a.ID.Encoded()[:12]: a,
		"sha256:" + a.ID.Encoded()[:20]: a, "localhost:5000/team/b:1.0": b, "a@" + a.Target.Digest.String(): a,
		a.Target.Digest.String(): a, digested: b, "pulled@" + blobOf("index").Digest.String(): b,
	} {
		got, err := s.Image(t.Context(), given)
		if err != nil {
			t.Errorf("%s: %v", given, err)
			continue
		}
		if got.ID != want.ID {
			t.Errorf("%s: got %s, want %s", given, got.Name(), want.Name())
		}
	}
	for given, want := range map[string]string{
		"c": "No such image: c:latest", "a:other": "No such image: a:other", "team/b:1.0": "No such image: team/b:1.0",
		blobOf("x").Digest.String(): "No such image: " + blobOf("x").Digest.String(), "ffff": "No such image: ffff",
		"c@" + a.Target.Digest.String(): "No such image: c@" + a.Target.Digest.String(),
	} {
		_, err := s.Image(t.Context(), given)
		if !errors.Is(err, ErrNotFound) || err.Error() != want {
			t.Errorf("%s: got %v, want %q", given, err, want)
		}
	}
	if _, err := s.Image(t.Context(), "A B"); err == nil || !strings.Contains(err.Error(), "must be lowercase") {
		t.Errorf("bad reference: %v", err)
	}
}

func TestAmbiguousID(t *testing.T) {
	s := openTest(t)
	seen := make(map[string]bool)
	for i := 0; ; i++ {
		img := importAs(t, s, "x", "n", strings.Repeat("n", i+1))
		prefix := img.ID.Encoded()[:1]
		if seen[prefix] {
			// One digit is too short for an id, so ask below the parser.
			_, err := s.findID(prefix, prefix)
			wantError(t, err, ErrAmbiguous, "multiple IDs found with provided prefix: "+prefix)
			return
		}
		seen[prefix] = true
	}
}

func TestRetagLeavesTheOldImageDangling(t *testing.T) {
	s := openTest(t)
	one := importAs(t, s, "app", "v", "1")
	tag(t, s, "kept", one)
	two := importAs(t, s, "app", "v", "2") // one is still "kept"
	if got := listing(t, s); !cmp.Equal(got, []string{"app:latest", "kept:latest"}) {
		t.Errorf("images %v", got)
	}
	importAs(t, s, "app", "v", "3") // two has no other name
	if got := listing(t, s); !cmp.Equal(got, []string{"", "app:latest", "kept:latest"}) {
		t.Errorf("images %v", got)
	}
	if got := image(t, s, two.ID.String()); got.Ref != (ref.Reference{}) {
		t.Errorf("dangling image has reference %v", got.Ref)
	}
	tag(t, s, "again", two)
	if got := listing(t, s); !cmp.Equal(got, []string{"again:latest", "app:latest", "kept:latest"}) {
		t.Errorf("images %v", got)
	}
	if err := s.KeepUntagged(t.Context(), two.Target); err != nil || len(listing(t, s)) != 3 {
		t.Errorf("a tagged image was kept as dangling, too (%v)", err)
	}
	mustBeSound(t, s)
}

// listing is the familiar names of all images, sorted by name.
func listing(t *testing.T, s *Store) []string {
	t.Helper()
	images, err := s.Images(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, img := range images {
		names = append(names, img.Ref.Familiar())
	}
	return sorted(names)
}

func TestDamagedImages(t *testing.T) {
	tests := map[string]func(*Image) digest.Digest{
		"manifest": func(img *Image) digest.Digest { return img.Target.Digest },
		"config":   func(img *Image) digest.Digest { return img.ID },
		"layer":    func(img *Image) digest.Digest { return img.Manifest.Layers[0].Digest },
	}
	for name, part := range tests {
		for _, how := range []string{"damaged", "missing"} {
			t.Run(name+" "+how, func(t *testing.T) {
				s := openTest(t)
				img := importAs(t, s, "app", "v", "1")
				if err := os.RemoveAll(s.path("layers", imageLayers(t, s, img)[0])); err != nil {
					t.Fatal(err)
				}
				path, err := s.blobPath(part(img))
				if err != nil {
					t.Fatal(err)
				}
				if how == "damaged" {
					damage(t, s, part(img))
				} else if err := os.Remove(path); err != nil {
					t.Fatal(err)
				}
				problems, err := s.Check(t.Context())
				if err != nil || len(problems) == 0 {
					t.Errorf("check finds %v, %v", problems, err)
				}
				err = use(t.Context(), s, "app")
				wantError(t, err, ErrCorrupt, part(img).Encoded(), "deckhand pull")
				// What the message says to do, helps.
				importAs(t, s, "other", "v", "1")
				if name != "layer" {
					return // its config has another creation time
				}
				if err := use(t.Context(), s, "app"); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func use(ctx context.Context, s *Store, name string) error {
	img, err := s.Image(ctx, name)
	if err != nil {
		return err
	}
	_, err = s.ImageLayers(ctx, img)
	return err
}

func TestWrongDiffID(t *testing.T) {
	s := openTest(t)
	img := importAs(t, s, "app", "v", "1")
	img.Config.RootFS.DiffIDs[0] = blobOf("something else").Digest
	bad, err := s.putManifest(img.Config, img.Manifest.Layers)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.ImageLayers(t.Context(), bad)
	wantError(t, err, ErrCorrupt, "unpacks to "+img.Manifest.Layers[0].Digest.String())
	mustBeSound(t, s)
}

func TestTagOfIndexTakesThisPlatform(t *testing.T) {
	s := openTest(t)
	img := importAs(t, s, "app", "v", "1")
	other := blobOf("elsewhere")
	index, err := s.PutBlob(t.Context(), strings.NewReader(`{"schemaVersion":2,"manifests":[`+
		`{"digest":"`+other.Digest.String()+`","platform":{"os":"linux","architecture":"s390x"}},`+
		`{"mediaType":"`+img.Target.MediaType+`","digest":"`+img.Target.Digest.String()+`","platform":{"os":"linux","architecture":"`+
		img.Config.Architecture+`"}}]}`), v1.Descriptor{MediaType: v1.MediaTypeImageIndex})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Tag(t.Context(), mustRef(t, "multi"), index); err != nil {
		t.Fatal(err)
	}
	if got := image(t, s, "multi"); got.ID != img.ID {
		t.Errorf("got image %s", got.ID)
	}
}

func TestTagNeedsAnImage(t *testing.T) {
	s := openTest(t)
	d, err := s.PutBlob(t.Context(), strings.NewReader(`{"schemaVersion":2}`), v1.Descriptor{MediaType: v1.MediaTypeImageManifest})
	if err != nil {
		t.Fatal(err)
	}
	wantError(t, s.Tag(t.Context(), mustRef(t, "x"), d), ErrCorrupt, "names no config")
	wantError(t, s.Tag(t.Context(), mustRef(t, "x"), blobOf("absent")), ErrNotFound)
	if got := listing(t, s); len(got) > 0 {
		t.Errorf("images %v", got)
	}
}

func TestManyProcessesTagOneName(t *testing.T) {
	root := t.TempDir()
	s := openAt(t, root)
	var images []*Image
	for i := range 4 {
		images = append(images, importAs(t, s, "x", "n", strings.Repeat("n", i+1)))
	}
	var wg sync.WaitGroup
	for _, img := range images {
		wg.Go(func() {
			other := openAt(t, root)
			for range 10 {
				if err := other.Tag(t.Context(), mustRef(t, "x"), img.Target); err != nil {
					t.Error(err)
				}
				if _, err := other.Image(t.Context(), "x"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	// Each image has exactly one name, or none and is dangling.
	if got := listing(t, s); !cmp.Equal(got, []string{"", "", "", "x:latest"}) {
		t.Errorf("images %v", got)
	}
	mustBeSound(t, s)
}
