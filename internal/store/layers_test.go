package store

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"

	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/need"
)

func TestBuildLayers(t *testing.T) {
	s := openTest(t)
	base := importAs(t, s, "base", "etc/os", "debian")
	img := tag(t, s, "app", build(t, s, base, "app", "v1"))
	ids := imageLayers(t, s, img)
	if len(ids) != 2 || readLayer(t, s, ids[0], "etc/os") != "debian" || readLayer(t, s, ids[1], "app") != "v1" {
		t.Errorf("layers %v", ids)
	}
	if base.Config.RootFS.DiffIDs[0] != img.Config.RootFS.DiffIDs[0] || base.Manifest.Layers[0].Digest != img.Manifest.Layers[0].Digest {
		t.Error("the base's layer is another in the image")
	}
	// Nothing was unpacked: the built layer itself is used.
	if linked, err := os.Readlink(s.path("layers", chainOf(img))); err != nil || linked != ids[1] {
		t.Errorf("chain id links to %q, %v", linked, err)
	}
	mustBeSound(t, s)

	// What another store makes of the blobs is the same.
	other := openTest(t)
	loaded := transfer(t, s, other, img)
	if got := readLayer(t, other, imageLayers(t, other, loaded)[1], "app"); got != "v1" {
		t.Errorf("on another store: %q", got)
	}
	mustBeSound(t, other)
}

func chainOf(img *Image) string {
	chains := chainIDs(img.Config.RootFS.DiffIDs)
	return chains[len(chains)-1].Encoded()
}

func transfer(t *testing.T, from, to *Store, img *Image) *Image {
	t.Helper()
	var buf bytes.Buffer
	if err := from.Save(t.Context(), &buf, []*Image{img}); err != nil {
		t.Fatal(err)
	}
	images, err := to.Load(t.Context(), &buf)
	if err != nil {
		t.Fatal(err)
	}
	return images[0]
}

func TestPutImageExportsOnce(t *testing.T) {
	s := openTest(t)
	id := commit(t, s, "f", "content")
	config := dockerspec.DockerOCIImage{}
	config.Created = &testTime
	one, err := s.PutImage(t.Context(), config, []string{id})
	if err != nil {
		t.Fatal(err)
	}
	// A second export would see this.
	if err := os.WriteFile(filepath.Join(s.LayerDir(id), "g"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	two, err := s.PutImage(t.Context(), config, []string{id})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(one, two); diff != "" {
		t.Error(diff)
	}
	// The same content, committed by another build, is the same image.
	three, err := s.PutImage(t.Context(), config, []string{commit(t, s, "f", "content")})
	if err != nil {
		t.Fatal(err)
	}
	if three.ID != one.ID || three.Target.Digest != one.Target.Digest {
		t.Error("the same content made another image")
	}
	// Without its blob a layer is exported again.
	path, err := s.blobPath(one.Manifest.Layers[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Remove(path), os.Remove(filepath.Join(s.LayerDir(id), "g"))); err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutImage(t.Context(), config, []string{id}); err != nil {
		t.Fatal(err)
	}
	if _, ok := s.HasBlob(one.Manifest.Layers[0].Digest); !ok {
		t.Error("the blob was not made again")
	}
	if _, err := s.PutImage(t.Context(), config, []string{"abcdef"}); !errors.Is(err, ErrNotFound) {
		t.Errorf("unknown layer: %v", err)
	}
	mustBeSound(t, s)
}

func TestImageWithoutLayers(t *testing.T) {
	s := openTest(t)
	img, err := s.PutImage(t.Context(), dockerspec.DockerOCIImage{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	img = tag(t, s, "scratch-like", img)
	if ids := imageLayers(t, s, img); len(ids) > 0 {
		t.Errorf("layers %v", ids)
	}
}

func TestNewLayer(t *testing.T) {
	s := openTest(t)
	n, err := s.NewLayer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{n.Dir, n.Work} {
		if !strings.HasPrefix(dir, n.Base+"/") {
			t.Errorf("%s is not inside %s", dir, n.Base)
		}
	}
	id, err := n.Commit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n.Abort()
	if !s.HasLayer(id) {
		t.Error("Abort after Commit removed the layer")
	}
	m, err := s.NewLayer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	m.Abort()
	if _, err := m.Commit(t.Context()); err == nil {
		t.Error("committed after Abort")
	}
	mustBeSound(t, s)
}

// After another boot a layer that was not flushed is as good as missing; one that was, stays.
func TestLayersOfAnEarlierBoot(t *testing.T) {
	s := openTest(t)
	img := importAs(t, s, "app", "f", "content")
	id := imageLayers(t, s, img)[0]
	marker := s.path("layers", id, unsyncedFile)
	if err := os.WriteFile(marker, []byte("an earlier boot"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.LayerDir(id), "f"), nil, 0o600); err != nil { // what a power cut does
		t.Fatal(err)
	}
	if s.HasLayer(id) {
		t.Fatal("trusted")
	}
	if got := readLayer(t, s, imageLayers(t, s, img)[0], "f"); got != "content" {
		t.Errorf("got %q: not unpacked again", got)
	}
	if err := s.GC(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(marker); !errors.Is(err, os.ErrNotExist) || !s.HasLayer(id) {
		t.Errorf("garbage collection did not flush the layer: %v", err)
	}
	mustBeSound(t, s)
}

func TestSeveralUnpackAtOnce(t *testing.T) {
	root := t.TempDir()
	s := openAt(t, root)
	img := importAs(t, s, "base", "a/f", "1")
	for i := range 6 {
		img = tag(t, s, "app", build(t, s, img, "f", strings.Repeat("x", i)))
	}
	want := layerContents(t, s, imageLayers(t, s, img))
	if err := errors.Join(os.RemoveAll(s.path("layers")), os.Mkdir(s.path("layers"), 0o700)); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			other := openAt(t, root)
			ids, err := other.ImageLayers(t.Context(), img)
			if err != nil {
				t.Error(err)
				return
			}
			if diff := cmp.Diff(want, layerContents(t, other, ids)); diff != "" {
				t.Error(diff)
			}
		})
	}
	wg.Wait()
	mustBeSound(t, s)
}

func layerContents(t *testing.T, s *Store, ids []string) []string {
	t.Helper()
	var contents []string
	for _, id := range ids {
		names, err := filepath.Glob(s.LayerDir(id) + "/*")
		if err != nil {
			t.Fatal(err)
		}
		data, _ := os.ReadFile(s.LayerDir(id) + "/f") // the first has none
		contents = append(contents, filepath.Base(names[0])+string(data))
	}
	return contents
}

// A directory that a layer has files in but does not mention looks as it does below.
func TestLayerInheritsDirectories(t *testing.T) {
	need.Root(t)
	s := openTest(t)
	n, err := s.NewLayer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(n.Dir, "data")
	if err := errors.Join(os.Mkdir(dir, 0o700), os.Chown(dir, 1000, 1000), os.Chmod(dir, 0o750), os.Chmod(n.Dir, 0o555)); err != nil {
		t.Fatal(err)
	}
	id, err := n.Commit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	top, err := s.Import(t.Context(), bytes.NewReader(tarOf(t, "data/f", "x")), dockerspec.DockerOCIImage{})
	if err != nil {
		t.Fatal(err)
	}
	both, err := s.PutImage(t.Context(), dockerspec.DockerOCIImage{}, []string{id})
	if err != nil {
		t.Fatal(err)
	}
	both.Config.RootFS.DiffIDs = append(both.Config.RootFS.DiffIDs, top.Config.RootFS.DiffIDs...)
	img, err := s.putManifest(both.Config, append(both.Manifest.Layers, top.Manifest.Layers...))
	if err != nil {
		t.Fatal(err)
	}
	ids := imageLayers(t, s, img)
	for path, want := range map[string]os.FileMode{"data": 0o750, ".": 0o555} {
		st, err := os.Stat(filepath.Join(s.LayerDir(ids[1]), path))
		if err != nil || st.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", path, st.Mode(), err)
		}
	}
}

func TestTempDirsOfTheDeadAreSwept(t *testing.T) {
	s := openTest(t)
	alive, err := s.TempDir("alive")
	if err != nil {
		t.Fatal(err)
	}
	dead := s.path(tmpDir, "dead-1")
	if err := errors.Join(os.MkdirAll(dead+"/sub", 0o700), os.WriteFile(s.path(tmpDir, "dead-file"), nil, 0o600),
		os.Symlink("/", s.path(tmpDir, "dead-link"))); err != nil {
		t.Fatal(err)
	}
	openAt(t, s.Root())
	names, err := readNames(s.path(tmpDir))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sorted([]string{filepath.Base(alive.Path), "dead-link"}), sorted(names)); diff != "" {
		t.Error(diff)
	}
	if err := errors.Join(os.Remove(s.path(tmpDir, "dead-link")), alive.Close(), alive.Close()); err != nil {
		t.Error(err)
	}
	mustBeSound(t, s)
}

func TestLease(t *testing.T) {
	s := openTest(t)
	d, err := s.PutBlob(t.Context(), strings.NewReader("unreferenced"), blobOf("unreferenced"))
	if err != nil {
		t.Fatal(err)
	}
	lease, err := s.Lease(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.GC(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, ok := s.HasBlob(d.Digest); !ok {
		t.Error("collected under a lease")
	}
	lease.Release()
	lease.Release()
	if err := s.GC(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, ok := s.HasBlob(d.Digest); ok {
		t.Error("not collected")
	}
	// While a collection runs, a lease waits, as long as its context lets it.
	gc, err := s.lock(t.Context(), gcLock, unix.LOCK_EX)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := s.Lease(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	unlock(gc)
}

func BenchmarkOpenAndImage(b *testing.B) {
	s := openTest(b)
	importAs(b, s, "app", "f", "content")
	b.Run("Open", func(b *testing.B) {
		for b.Loop() {
			openAt(b, s.Root())
		}
	})
	b.Run("Image", func(b *testing.B) {
		for b.Loop() {
			image(b, s, "app")
		}
	})
	img := image(b, s, "app")
	b.Run("ImageLayers", func(b *testing.B) {
		for b.Loop() {
			imageLayers(b, s, img)
		}
	})
	b.Run("Container", func(b *testing.B) {
		for b.Loop() {
			c := &Container{}
			lock, err := s.CreateContainer(b.Context(), c)
			if err != nil {
				b.Fatal(err)
			}
			if err := s.RemoveContainer(c.ID); err != nil {
				b.Fatal(err)
			}
			lock.Unlock()
		}
	})
}
