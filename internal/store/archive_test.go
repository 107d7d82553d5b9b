package store

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/deckhand-engine/deckhand/internal/layer"
	"github.com/deckhand-engine/deckhand/internal/need"
)

func save(t testing.TB, s *Store, images ...*Image) []byte {
	t.Helper()
	var buf bytes.Buffer
	if err := s.Save(t.Context(), &buf, images); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestSaveAndLoad(t *testing.T) {
	s := openTest(t)
	base := importAs(t, s, "base:1", "f", "base")
	app := tag(t, s, "localhost:5000/app", build(t, s, base, "f", "app"))
	also := tag(t, s, "also", app)
	loose := build(t, s, base, "f", "loose")
	archive := save(t, s, base, app, also, loose)
	if !bytes.Equal(archive, save(t, s, base, app, also, loose)) {
		t.Error("the same images are saved differently")
	}
	for name, packed := range map[string][]byte{"plain": archive, "gzip": pack(t, archive, "gzip")} {
		t.Run(name, func(t *testing.T) {
			other := openTest(t)
			images, err := other.Load(t.Context(), bytes.NewReader(packed))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, img := range images {
				got = append(got, img.Ref.Familiar()+" "+img.ID.String()+" "+img.Target.Digest.String())
			}
			var want []string
			for _, img := range []*Image{base, app, also, loose} {
				want = append(want, img.Ref.Familiar()+" "+img.ID.String()+" "+img.Target.Digest.String())
			}
			if diff := cmp.Diff(sorted(want), sorted(got)); diff != "" {
				t.Error(diff)
			}
			if got := readLayer(t, other, imageLayers(t, other, image(t, other, "also"))[1], "f"); got != "app" {
				t.Errorf("content %q", got)
			}
			if got := image(t, other, loose.ID.Encoded()[:12]); got.ID != loose.ID {
				t.Errorf("the image without a name is %s", got.ID)
			}
			mustBeSound(t, other)
			// Loading it again changes nothing.
			if _, err := other.Load(t.Context(), bytes.NewReader(packed)); err != nil {
				t.Fatal(err)
			}
			mustBeSound(t, other)
		})
	}
}

func pack(t *testing.T, data []byte, program string) []byte {
	t.Helper()
	need.Program(t, program)
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Stdin = bytes.NewReader(data)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// legacy makes an archive as docker save did before 25: one directory a layer, a layer that occurs
// twice as a symbolic link.
func legacy(t testing.TB, change func(map[string]string)) []byte {
	t.Helper()
	one, two := string(tarOf(t, "f", "one")), string(tarOf(t, "g", "two"))
	config := dockerspec.DockerOCIImage{}
	config.OS, config.Architecture = "linux", "amd64"
	config.RootFS = v1.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromString(one), digest.FromString(two), digest.FromString(one)}}
	data, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := json.Marshal([]dockerManifest{{
		Config: "c.json", RepoTags: []string{"old:1", "old:2"}, Layers: []string{"a/layer.tar", "b/layer.tar", "c/layer.tar"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{
		"a/VERSION": "1.0", "a/layer.tar": one, "b/layer.tar": two, "c/layer.tar": "->../a/layer.tar",
		"c.json": string(data), "manifest.json": string(manifest), "repositories": "{}",
	}
	if change != nil {
		change(files)
	}
	var names []string
	for name := range files {
		names = append(names, name)
	}
	var buf bytes.Buffer
	tw := tar.NewWriter(&buf)
	for _, name := range sorted(names) {
		hdr := &tar.Header{Name: name, Mode: 0o644, Size: int64(len(files[name]))}
		content := files[name]
		if target, ok := strings.CutPrefix(content, "->"); ok {
			hdr.Typeflag, hdr.Linkname, hdr.Size, content = tar.TypeSymlink, target, 0, ""
		}
		if err := tw.WriteHeader(hdr); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(tw, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestLoadOldDockerArchive(t *testing.T) {
	s := openTest(t)
	images, err := s.Load(t.Context(), bytes.NewReader(legacy(t, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if len(images) != 2 || images[0].Ref.Familiar() != "old:1" || images[1].Ref.Familiar() != "old:2" {
		t.Errorf("images %v", images)
	}
	ids := imageLayers(t, s, image(t, s, "old:2"))
	if len(ids) != 3 || readLayer(t, s, ids[0], "f") != "one" || readLayer(t, s, ids[1], "g") != "two" || readLayer(t, s, ids[2], "f") != "one" {
		t.Errorf("layers %v", ids)
	}
	mustBeSound(t, s)
}

func TestLoadRefuses(t *testing.T) {
	whole := legacy(t, nil)
	with := func(name, content string) []byte {
		return legacy(t, func(files map[string]string) { files[name] = content })
	}
	without := func(name string) []byte {
		return legacy(t, func(files map[string]string) { delete(files, name) })
	}
	tests := map[string]struct {
		archive []byte
		want    error
		text    string
	}{
		"empty":             {nil, layer.ErrNotTar, "no files"},
		"text":              {[]byte(strings.Repeat("text ", 1000)), layer.ErrNotTar, ""},
		"truncated":         {whole[:2000], layer.ErrTruncated, ""},
		"a root filesystem": {tarOf(t, "etc/passwd", ""), layer.ErrMalformed, "deckhand import"},
		"no manifest":       {without("manifest.json"), layer.ErrMalformed, "docker before 1.10"},
		"no config":         {without("c.json"), ErrCorrupt, "it has no c.json"},
		"no layer":          {without("b/layer.tar"), ErrCorrupt, "it has no b/layer.tar"},
		"link to nowhere":   {without("a/layer.tar"), ErrCorrupt, "layer.tar"},
		"other layer":       {with("b/layer.tar", string(tarOf(t, "g", "evil"))), ErrCorrupt, "b/layer.tar has digest"},
		"link out":          {with("c/layer.tar", "->../../../etc/passwd"), layer.ErrEscapes, "c/layer.tar"},
		"link in circles":   {with("c/layer.tar", "->layer.tar"), ErrCorrupt, "c/layer.tar"},
		"name out":          {with("../x", ""), layer.ErrEscapes, "../x"},
		"bad manifest":      {with("manifest.json", "{"), layer.ErrMalformed, "manifest.json"},
		"empty manifest":    {with("manifest.json", "[]"), layer.ErrMalformed, "names no image"},
		"bad tag":           {with("manifest.json", `[{"Config":"c.json","RepoTags":["A B"]}]`), layer.ErrMalformed, "A B"},
		"layers missing":    {with("manifest.json", `[{"Config":"c.json","Layers":["a/layer.tar"]}]`), ErrCorrupt, "has 1 layers"},
		"manifest leads out": {
			with("manifest.json", `[{"Config":"../../etc/passwd"}]`), layer.ErrEscapes, "",
		},
		"blob under a wrong name": {
			tarOf(t, blobDir+"/"+strings.Repeat("a", 64), "content"), ErrCorrupt, "digest is",
		},
		"layout without blobs": {
			tarOf(t, "oci-layout", `{"imageLayoutVersion":"1.0.0"}`, "index.json", `{"manifests":[{"digest":"sha256:`+strings.Repeat("a", 64)+`"}]}`),
			ErrCorrupt, "it has no blobs/sha256/aaa",
		},
		"layout with a bad digest": {
			tarOf(t, "oci-layout", `{}`, "index.json", `{"manifests":[{"digest":"sha256:../../x"}]}`), nil, "only sha256",
		},
		"empty layout": {tarOf(t, "oci-layout", `{}`, "index.json", `{}`), layer.ErrMalformed, "names no image"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := openTest(t)
			_, err := s.Load(t.Context(), bytes.NewReader(test.archive))
			if err == nil || test.want != nil && !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.text) {
				t.Errorf("got %v, want %v with %q", err, test.want, test.text)
			}
			mustBeEmpty(t, s)
		})
	}
}

// mustBeEmpty fails if a refused archive left anything.
func mustBeEmpty(t testing.TB, s *Store) {
	t.Helper()
	mustBeSound(t, s)
	for _, dir := range []string{blobDir, "layers", "images", danglingDir} {
		if names, err := readNames(s.path(dir)); err != nil || len(names) > 0 {
			t.Errorf("left in %s: %v, %v", dir, names, err)
		}
	}
}

// An image whose second layer is damaged inside an intact archive: nothing of it may be tagged.
func TestLoadUnpacksBeforeItTags(t *testing.T) {
	s := openTest(t)
	good := importAs(t, s, "good", "f", "1")
	bad := importAs(t, s, "bad", "f", "2")
	bad.Config.RootFS.DiffIDs[0] = blobOf("something else").Digest
	bad, err := s.putManifest(bad.Config, bad.Manifest.Layers)
	if err != nil {
		t.Fatal(err)
	}
	bad.Ref = mustRef(t, "bad")
	other := openTest(t)
	_, err = other.Load(t.Context(), bytes.NewReader(save(t, s, good, bad)))
	wantError(t, err, ErrCorrupt, "unpacks to")
	mustBeEmpty(t, other)
}

func TestSaveOfDamagedBlob(t *testing.T) {
	s := openTest(t)
	img := importAs(t, s, "app", "f", "1")
	damage(t, s, img.Manifest.Layers[0].Digest)
	wantError(t, s.Save(t.Context(), io.Discard, []*Image{img}), ErrCorrupt, img.Manifest.Layers[0].Digest.Encoded())
}

// Layouts of other programs: names in annotations, nested indexes, zstd.
func TestLoadLayouts(t *testing.T) {
	s := openTest(t)
	img := importAs(t, s, "app", "f", "1")
	blobs := map[string]string{"oci-layout": `{"imageLayoutVersion":"1.0.0"}`}
	for _, d := range []v1.Descriptor{img.Target, img.Manifest.Config, img.Manifest.Layers[0]} {
		data, err := s.ReadBlob(d.Digest)
		if err != nil {
			t.Fatal(err)
		}
		blobs[blobName(d.Digest)] = string(data)
	}
	platform := img.Target
	platform.Platform = &v1.Platform{OS: "linux", Architecture: img.Config.Architecture}
	absent := v1.Descriptor{
		MediaType: v1.MediaTypeImageManifest, Digest: blobOf("absent").Digest,
		Platform: &v1.Platform{OS: "linux", Architecture: "s390x"},
	}
	attestation := blobOf("attestation")
	attestation.Annotations = map[string]string{"vnd.docker.reference.type": "attestation-manifest"}
	nested, err := json.Marshal(v1.Index{Manifests: []v1.Descriptor{absent, platform, attestation}})
	if err != nil {
		t.Fatal(err)
	}
	inner := blobOf(string(nested))
	inner.MediaType = v1.MediaTypeImageIndex
	blobs[blobName(inner.Digest)] = string(nested)
	tests := map[string]struct {
		entry       v1.Descriptor
		annotations map[string]string
		want        string
	}{
		"skopeo, podman": {img.Target, map[string]string{v1.AnnotationRefName: "localhost/app:1"}, "localhost/app:1"},
		"docker":         {img.Target, map[string]string{annotationName: "docker.io/library/app:2", v1.AnnotationRefName: "2"}, "app:2"},
		"only a tag":     {img.Target, map[string]string{v1.AnnotationRefName: "latest"}, ""},
		"buildx":         {inner, map[string]string{annotationName: "docker.io/library/multi:1"}, "multi:1"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			entry := test.entry
			entry.Annotations = test.annotations
			index, err := json.Marshal(v1.Index{Manifests: []v1.Descriptor{attestation, entry}})
			if err != nil {
				t.Fatal(err)
			}
			files := []string{"index.json", string(index)}
			for name, content := range blobs {
				files = append(files, name, content)
			}
			other := openTest(t)
			images, err := other.Load(t.Context(), bytes.NewReader(tarOf(t, files...)))
			if err != nil {
				t.Fatal(err)
			}
			if len(images) != 1 || images[0].Ref.Familiar() != test.want || images[0].ID != img.ID {
				t.Errorf("got %v", images)
			}
			mustBeSound(t, other)
		})
	}
}

// Other engines read what is saved, and what they save is loaded.
func TestExchangeWithSkopeo(t *testing.T) {
	need.Program(t, "skopeo")
	s := openTest(t)
	img := tag(t, s, "app", build(t, s, importAs(t, s, "base", "f", "1"), "g", "2"))
	dir := t.TempDir()
	ours := filepath.Join(dir, "ours.tar")
	if err := os.WriteFile(ours, save(t, s, img), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"docker-archive", "oci-archive"} {
		theirs := filepath.Join(dir, format+".tar")
		source := "docker-archive:" + ours
		if format == "oci-archive" {
			source = "oci-archive:" + ours
		}
		cmd := exec.CommandContext(t.Context(), "skopeo", "--insecure-policy", "copy", source, format+":"+theirs+":localhost/theirs:1")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", format, err, out)
		}
		f, err := os.Open(theirs)
		if err != nil {
			t.Fatal(err)
		}
		other := openTest(t)
		images, err := other.Load(t.Context(), f)
		if err := errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		if len(images) != 1 || images[0].Ref.Familiar() != "localhost/theirs:1" || images[0].ID != img.ID {
			t.Errorf("%s: %v", format, images)
		}
		mustBeSound(t, other)
	}
}

// FuzzLoad loads anything: no panic, and a store that is sound.
func FuzzLoad(f *testing.F) {
	f.Add(legacy(f, nil))
	f.Add(legacy(f, func(files map[string]string) { files["c/layer.tar"] = "->../../x" }))
	s := openTest(f)
	f.Add(save(f, s, importAs(f, s, "app", "f", "1")))
	f.Fuzz(func(t *testing.T, archive []byte) {
		s := openTest(t)
		s.opts.MaxLayerBytes = 1 << 20
		if _, err := s.Load(t.Context(), bytes.NewReader(archive)); err != nil {
			mustBeEmpty(t, s)
			return
		}
		mustBeSound(t, s)
	})
}

// FuzzManifestJSON puts anything in manifest.json's place.
func FuzzManifestJSON(f *testing.F) {
	f.Add(`[{"Config":"c.json","RepoTags":["a:b"],"Layers":["a/layer.tar","b/layer.tar","c/layer.tar"]}]`)
	f.Add(`[{"Config":"../c.json"},{"Config":"a","Layers":["c"]}]`)
	f.Fuzz(func(t *testing.T, manifest string) {
		s := openTest(t)
		archive := legacy(t, func(files map[string]string) { files["manifest.json"] = manifest })
		if _, err := s.Load(t.Context(), bytes.NewReader(archive)); err != nil {
			mustBeEmpty(t, s)
			return
		}
		mustBeSound(t, s)
	})
}
