package imagesource

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	gcrname "github.com/google/go-containerregistry/pkg/name"
	gcr "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/load/images"
	"github.com/deckhand-engine/deckhand/internal/store"
	"github.com/deckhand-engine/deckhand/ref"
	"github.com/deckhand-engine/deckhand/registry"
)

// onTop is an image of four layers: one that holds the users, one without entries, one that changes something else,
// and the users again.
func onTop(t testing.TB, user string) gcr.Image {
	return imageOf(t, gcr.Config{User: user, Entrypoint: []string{"/app"}},
		[]file{{name: "etc/passwd", content: rootOnly}, {name: "etc/group", content: "root:x:0:\n"}},
		nil,
		[]file{{name: "app", content: "app", mode: 0o755}},
		[]file{{name: "etc/passwd", content: withApp}, {name: "etc/group", content: "root:x:0:\napp:x:1234:\n"}},
	)
}

func TestRemote(t *testing.T) {
	srv := newServer(t)
	for user, tc := range map[string]struct {
		uid    guard.ID
		layers int
	}{
		"":          {guard.Exactly(0), 0},
		"1000":      {guard.Exactly(1000), 0},
		"1000:1000": {guard.Exactly(1000), 0},
		"app":       {guard.Exactly(1234), 1}, // the topmost says it all
		"nosuch":    {guard.ID{}, 1},
	} {
		t.Run("USER "+user, func(t *testing.T) {
			full := srv.push(t, onTop(t, user), "team/app:v1")
			s := New(Options{Client: &registry.Client{}})
			img, err := s.Image(t.Context(), "docker://"+full)
			if err != nil {
				t.Fatal(err)
			}
			if img.Local || img.From != "registry "+srv.host || img.Name != "docker://"+full || img.Manifest == "" {
				t.Errorf("image %+v", img)
			}
			if n := srv.count("/v2/team/app/"); n != 2 {
				t.Errorf("%d requests, want 2: manifest and config", n)
			}
			u := images.User(t.Context(), img, "")
			if u.UID != tc.uid && u.Missing == "" || (user == "nosuch") != (u.Missing != "") {
				t.Errorf("user %+v", u)
			}
			if n := srv.count("/blobs/") - 1; n != tc.layers {
				t.Errorf("%d layers were fetched, want %d", n, tc.layers)
			}
			images.User(t.Context(), img, "")
			if n := srv.count("/blobs/") - 1; n != tc.layers {
				t.Errorf("%d layers were fetched after asking again, want %d", n, tc.layers)
			}
		})
	}
}

func TestRemoteLayers(t *testing.T) {
	srv := newServer(t)
	full := srv.push(t, onTop(t, "app"), "app:v1")
	s := New(Options{Client: &registry.Client{}, Layers: true})
	img, err := s.Image(t.Context(), full)
	if err != nil || !img.Local {
		t.Fatal(img, err)
	}
	subject, err := images.Subject(t.Context(), full, img)
	if err != nil || subject.Contents == nil || subject.User.UID != guard.Exactly(1234) {
		t.Errorf("subject %+v, %v", subject, err)
	}
	if n := srv.count("/blobs/" + emptyLayerOf(t, onTop(t, "app"))); n != 0 {
		t.Errorf("a layer without entries was fetched %d times", n)
	}
	damaged := New(Options{Client: &registry.Client{}})
	srv.forget(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/blobs/") || strings.HasSuffix(r.URL.Path, configOf(t, onTop(t, "app"))) {
			return false
		}
		http.Error(w, "no", http.StatusNotFound)
		return true
	})
	if img, err = damaged.Image(t.Context(), full); err != nil {
		t.Fatal(err)
	}
	u := images.User(t.Context(), img, "")
	if u.Unknown == "" || !strings.Contains(u.Unknown, "has lost blob") {
		t.Errorf("user %+v", u)
	}
}

func emptyLayerOf(t testing.TB, img gcr.Image) string {
	t.Helper()
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	d, err := layers[1].Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d.String()
}

func configOf(t testing.TB, img gcr.Image) string {
	t.Helper()
	d, err := img.ConfigName()
	if err != nil {
		t.Fatal(err)
	}
	return d.String()
}

func TestImageIsRemembered(t *testing.T) {
	srv := newServer(t)
	full := srv.push(t, onTop(t, "app"), "app:v1")
	s := New(Options{Client: &registry.Client{}})
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			img, err := s.Image(t.Context(), full)
			if err != nil {
				t.Error(err)
				return
			}
			if u := images.User(t.Context(), img, "app"); u.UID != guard.Exactly(1234) {
				t.Errorf("user %+v", u)
			}
		})
	}
	wg.Wait()
	if n := srv.count("/v2/app/"); n != 3 {
		t.Errorf("%d requests, want 3: manifest, config, a layer", n)
	}
	for range 3 {
		if _, err := s.Image(t.Context(), srv.host+"/nosuch:v1"); !errors.Is(err, registry.ErrNotFound) {
			t.Errorf("got %v", err)
		}
	}
	if n := srv.count("/v2/nosuch/"); n != 1 {
		t.Errorf("a failure was asked for %d times", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	other := srv.host + "/app@" + manifestOf(t, onTop(t, "app"))
	if _, err := s.Image(ctx, other); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	if _, err := s.Image(t.Context(), other); err != nil {
		t.Errorf("after somebody gave up: %v", err)
	}
}

func manifestOf(t testing.TB, img gcr.Image) string {
	t.Helper()
	d, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d.String()
}

// stored loads an image, as corp/app:v1, into a store of its own.
func stored(t testing.TB, img gcr.Image) *store.Store {
	t.Helper()
	s, err := store.Open(filepath.Join(t.TempDir(), "root"), store.Options{SingleID: os.Geteuid() != 0, Rootless: os.Geteuid() != 0})
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(saved(t, map[string]gcr.Image{"corp/app:v1": img}))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := s.Load(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	return s
}

// saved writes a docker archive.
func saved(t testing.TB, imgs map[string]gcr.Image) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "a:b.tar")
	tagged := map[gcrname.Tag]gcr.Image{}
	for as, img := range imgs {
		tag, err := gcrname.NewTag(as)
		if err != nil {
			t.Fatal(err)
		}
		tagged[tag] = img
	}
	if err := tarball.MultiWriteToFile(file, tagged); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestStore(t *testing.T) {
	srv := newServer(t)
	st := stored(t, onTop(t, "app"))
	s := New(Options{Store: st, Client: &registry.Client{}})
	kept, err := st.Image(t.Context(), "corp/app:v1")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"corp/app:v1", "store:corp/app:v1", kept.ID.Encoded()[:12], kept.ID.String()} {
		img, err := s.Image(t.Context(), name)
		if err != nil {
			t.Fatal(name, err)
		}
		if !img.Local || img.From != "the store" || img.Manifest != kept.Target.Digest {
			t.Errorf("%s: %+v", name, img)
		}
		if got := read(t, img.Files, "/etc/passwd"); got != withApp {
			t.Errorf("%s: passwd %q", name, got)
		}
	}
	t.Run("not there", func(t *testing.T) {
		offline := New(Options{Store: st, Client: &registry.Client{}, Offline: true})
		_, err := offline.Image(t.Context(), "redis:7")
		if err == nil || err.Error() != "it is not in the store, and no registry was asked" {
			t.Errorf("got %v", err)
		}
		if _, err := s.Image(t.Context(), "store:redis:7"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("another platform", func(t *testing.T) {
		full := srv.push(t, onTop(t, ""), "app:v1")
		r, err := ref.Parse(full)
		if err != nil {
			t.Fatal(err)
		}
		if err := st.Tag(t.Context(), r, kept.Target); err != nil {
			t.Fatal(err)
		}
		arm := New(Options{Store: st, Offline: true, Platform: v1.Platform{OS: "linux", Architecture: "arm64"}})
		if _, err := arm.Image(t.Context(), "store:"+full); !errors.Is(err, errOtherPlatform) {
			t.Errorf("got %v", err)
		}
		arm = New(Options{Store: st, Client: &registry.Client{}, Platform: arm.Platform})
		if img, err := arm.Image(t.Context(), full); err != nil || img.From == "the store" {
			t.Errorf("got %v, %v", img, err)
		}
	})
	t.Run("damaged", func(t *testing.T) {
		blob := filepath.Join(st.Root(), "blobs/sha256", kept.Manifest.Layers[3].Digest.Encoded())
		if err := os.WriteFile(blob, tarOf(t, file{name: "etc/passwd", content: "evil"}), 0o600); err != nil {
			t.Fatal(err)
		}
		// What was unpacked from the blob is whole: it is read in the blob's place.
		unpackedBefore := st.HasLayers(kept)
		img, err := New(Options{Store: st}).Image(t.Context(), "corp/app:v1")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := img.Files.Read(t.Context(), "/etc/passwd"); os.Geteuid() == 0 && (!unpackedBefore || err != nil || string(got["/etc/passwd"]) != withApp) {
			t.Errorf("with the layers unpacked (%t): %q, %v", unpackedBefore, got, err)
		}
		err = os.RemoveAll(filepath.Join(st.Root(), "layers"))
		img, again := New(Options{Store: st}).Image(t.Context(), "corp/app:v1")
		if err := errors.Join(err, again); err != nil {
			t.Fatal(err)
		}
		if got, err := img.Files.Read(t.Context(), "/etc/passwd"); err == nil || !strings.Contains(err.Error(), "it is damaged") {
			t.Errorf("read %q, %v", got, err)
		}
	})
}

func TestDockerArchive(t *testing.T) {
	one := saved(t, map[string]gcr.Image{"corp/app:v1": onTop(t, "app")})
	two := saved(t, map[string]gcr.Image{"corp/app:v1": onTop(t, "app"), "corp/root": onTop(t, "")})
	packed := gzipped(t, one)
	s := New(Options{})
	for name, want := range map[string]string{
		one: "app", one + ":corp/app:v1": "app", one + ":docker.io/corp/app:v1": "app", one + ":@0": "app",
		two + ":corp/root:latest": "", two + ":corp/root": "", packed: "app", packed + ":corp/app:v1": "app",
	} {
		img, err := s.Image(t.Context(), "docker-archive:"+name)
		if err != nil {
			t.Error(name, err)
			continue
		}
		if img.Config.Config.User != want || !img.Local || !strings.HasPrefix(img.From, "archive ") {
			t.Errorf("%s: %+v", name, img)
		}
		if got := read(t, img.Files, "/etc/passwd"); got != withApp {
			t.Errorf("%s: passwd %q", name, got)
		}
		if got := read(t, img.Files, "/app"); got != "app" {
			t.Errorf("%s: app %q", name, got)
		}
	}
	for name, want := range map[string]string{
		two:                                      "it holds 2 images, of which one must be named: ",
		two + ":corp/x":                          "it does not hold corp/x but corp/",
		one + "x":                                "no such file",
		t.TempDir():                              "no regular file",
		"/dev/null":                              "no regular file",
		write(t, strings.Repeat("no tar ", 500)): "not a tar",
		write(t, string(tarOf(t, file{name: "x"}))):                                                                                         "it has no manifest.json",
		write(t, string(tarOf(t, file{name: "index.json", content: "{}"}))):                                                                 "name it oci-archive:",
		write(t, string(tarOf(t, file{name: "manifest.json", content: "[]"}))):                                                              "it holds no image",
		write(t, string(tarOf(t, file{name: "manifest.json", content: "{"}))):                                                               "parse manifest.json",
		write(t, string(tarOf(t, file{name: "manifest.json", content: `[{"Config":"c"}]`}))):                                                "find in archive c",
		write(t, string(tarOf(t, file{name: "manifest.json", link: "../../x"}))):                                                            "outside",
		write(t, string(tarOf(t, file{name: "manifest.json", link: "a"}, file{name: "a", link: "a"}))):                                      "it has no manifest.json",
		write(t, string(tarOf(t, file{name: "manifest.json", content: strings.Repeat(" ", 9<<20)}))):                                        "more than",
		write(t, string(tarOf(t, file{name: "manifest.json", content: `[{"Config":"c","Layers":["l"]}]`}, file{name: "c", content: "{}"}))): "1 layers, its config 0",
	} {
		if img, err := s.Image(t.Context(), "docker-archive:"+name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, %v, want %q", name, img, err, want)
		}
	}
}

// write makes a file.
func write(t testing.TB, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestDockerArchiveDamaged(t *testing.T) {
	config := dockerspec.DockerOCIImage{}
	config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, emptyLayer[:len(emptyLayer)-1]+"0")
	raw, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	archive := write(t, string(tarOf(t,
		file{name: "c", content: string(raw)},
		file{name: "real", content: string(tarOf(t, file{name: "etc/passwd", content: withApp}))},
		file{name: "l", link: "real"},
		file{name: "manifest.json", content: `[{"Config":"c","Layers":["l"]}]`},
	)))
	img, err := New(Options{}).Image(t.Context(), "docker-archive:"+archive)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := img.Files.Read(t.Context(), "/etc/passwd"); err == nil || !strings.Contains(err.Error(), "its content is not that of") {
		t.Errorf("read %q, %v", got, err)
	}
}

func TestLayout(t *testing.T) {
	dir := t.TempDir()
	p, err := layout.Write(dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	add := func(img gcr.Image, annotations map[string]string) {
		t.Helper()
		if err := p.AppendImage(img, layout.WithAnnotations(annotations)); err != nil {
			t.Fatal(err)
		}
	}
	add(onTop(t, "app"), map[string]string{v1.AnnotationRefName: "v1"})
	s := New(Options{})
	if img, err := s.Image(t.Context(), "oci:"+dir); err != nil || img.Config.Config.User != "app" {
		t.Errorf("the only one: %v, %v", img, err)
	}
	add(onTop(t, "root"), map[string]string{annotationName: "docker.io/corp/app:v2", v1.AnnotationRefName: "v2"})
	multi := mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: onTop(t, "arm"), Descriptor: gcr.Descriptor{Platform: &gcr.Platform{OS: "linux", Architecture: "arm64"}}},
		mutate.IndexAddendum{Add: onTop(t, "amd"), Descriptor: gcr.Descriptor{Platform: &gcr.Platform{OS: "linux", Architecture: "amd64"}}},
	)
	if err := p.AppendIndex(multi, layout.WithAnnotations(map[string]string{v1.AnnotationRefName: "multi"})); err != nil {
		t.Fatal(err)
	}
	packed := tarDirectory(t, dir)
	arm := New(Options{Platform: v1.Platform{OS: "linux", Architecture: "arm64"}})
	amd := New(Options{Platform: v1.Platform{OS: "linux", Architecture: "amd64"}})
	for _, scheme := range []string{"oci:" + dir, "oci-archive:" + packed, "oci-archive:" + gzipped(t, packed)} {
		for _, tc := range []struct {
			s         *Source
			tag, want string
		}{
			{s, "v1", "app"}, {s, "v2", "root"}, {s, "corp/app:v2", "root"}, {arm, "multi", "arm"}, {amd, "multi", "amd"}, {s, "@1", "root"},
		} {
			img, err := tc.s.Image(t.Context(), scheme+":"+tc.tag)
			if err != nil {
				t.Error(scheme, tc.tag, err)
				continue
			}
			if got := read(t, img.Files, "/etc/passwd"); img.Config.Config.User != tc.want || got != withApp || img.Manifest == "" {
				t.Errorf("%s:%s: user %q, passwd %q", scheme, tc.tag, img.Config.Config.User, got)
			}
		}
		for tag, want := range map[string]string{"": "it holds 3 images", ":v9": "it does not hold v9 but v1"} {
			if img, err := New(Options{}).Image(t.Context(), scheme+tag); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s%s: %v, %v", scheme, tag, img, err)
			}
		}
	}
	if _, err := New(Options{Platform: v1.Platform{OS: "linux", Architecture: "s390x"}}).Image(t.Context(), "oci:"+dir+":multi"); !errors.Is(err, errNoPlatform) {
		t.Errorf("got %v", err)
	}
	manifest := filepath.Join(dir, "blobs", strings.Replace(manifestOf(t, onTop(t, "app")), ":", "/", 1))
	if err := os.WriteFile(manifest, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if img, err := New(Options{}).Image(t.Context(), "oci:"+dir+":v1"); err == nil || !strings.Contains(err.Error(), "it is damaged") {
		t.Errorf("damaged: %v, %v", img, err)
	}
	if img, err := s.Image(t.Context(), "oci:"+t.TempDir()); err == nil || !strings.Contains(err.Error(), "is no OCI layout") {
		t.Errorf("no layout: %v, %v", img, err)
	}
}

func TestList(t *testing.T) {
	srv := newServer(t)
	for _, as := range []string{"team/a:v1", "team/a:v2", "team/b:v1", "base:latest"} {
		srv.push(t, onTop(t, ""), as)
	}
	h := "docker://" + srv.host + "/"
	two := saved(t, map[string]gcr.Image{"corp/app:v1": onTop(t, "app"), "corp/root": onTop(t, "")})
	s := New(Options{Client: &registry.Client{}, Store: stored(t, onTop(t, ""))})
	for name, want := range map[string][]string{
		h:                                     {h + "base:latest", h + "team/a:v1", h + "team/a:v2", h + "team/b:v1"},
		h + "team/":                           {h + "team/a:v1", h + "team/a:v2", h + "team/b:v1"},
		h + "team/a:*":                        {h + "team/a:v1", h + "team/a:v2"},
		h + "team/a":                          nil,
		h + "team/a:v1":                       nil,
		"redis:7":                             nil,
		"store:":                              {"store:corp/app:v1"},
		"store:corp/app:v1":                   nil,
		"docker-archive:" + two:               {"docker-archive:" + two + ":corp/app:v1", "docker-archive:" + two + ":corp/root:latest"},
		"docker-archive:" + two + ":corp/app": nil,
	} {
		got, ok, err := s.List(t.Context(), name)
		slices.Sort(got)
		for i := range got {
			got[i] = strings.ReplaceAll(got[i], "index.docker.io/", "")
		}
		if d := gocmp.Diff(want, got); err != nil || ok != (want != nil) || ok && d != "" {
			t.Errorf("%s: %v, %v %s", name, ok, err, d)
		}
		for _, n := range got {
			if _, err := s.Image(t.Context(), n); err != nil {
				t.Errorf("%s lists %s: %v", name, n, err)
			}
		}
	}
	srv.forget(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/v2/team/b/tags/list" {
			w.WriteHeader(http.StatusForbidden)
			return true
		}
		return false
	})
	got, ok, err := s.List(t.Context(), h+"team/")
	if want := []string{h + "team/a:v1", h + "team/a:v2", h + "team/b:*"}; err != nil || !ok || !slices.Equal(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := s.Image(t.Context(), h+"team/b:*"); !errors.Is(err, registry.ErrDenied) {
		t.Errorf("got %v", err)
	}
	for _, name := range []string{"docker://team/", h} {
		if _, ok, err := New(Options{Offline: name == h, Client: s.Client}).List(t.Context(), name); err == nil || !ok {
			t.Errorf("%s: %v, %v", name, ok, err)
		}
	}
}

func gzipped(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return write(t, string(compress(t, data)))
}

func tarDirectory(t testing.TB, dir string) string {
	t.Helper()
	var files []file
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(p)
		name, _ := filepath.Rel(dir, p)
		files = append(files, file{name: "./" + name, content: string(data)})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return write(t, string(bytes.Clone(tarOf(t, files...))))
}
