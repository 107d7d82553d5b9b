package registry_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/deckhand-engine/deckhand/ref"
	"github.com/deckhand-engine/deckhand/registry"
)

func TestPull(t *testing.T) {
	for name, k := range map[string]kind{"oci": ociKind, "docker": dockerKind} {
		t.Run(name, func(t *testing.T) {
			srv, s := newServer(t), newStore(t)
			want := srv.image("team/app", "v1", k, here, layer(t, "a", 10), layer(t, "b", 300_000), layer(t, "a", 10))
			var p states
			got, err := client().Pull(t.Context(), srv.ref("team/app:v1"), s, &p)
			if err != nil {
				t.Fatal(err)
			}
			if got.Digest != want.Digest || got.MediaType != k.manifest {
				t.Errorf("pulled %v, want %v", got, want)
			}
			img, err := s.ImageByManifest(t.Context(), got)
			if err != nil {
				t.Fatal(err)
			}
			if ids, err := s.ImageLayers(t.Context(), img); err != nil || len(ids) != 3 {
				t.Errorf("layers %v, %v", ids, err)
			}
			if d := cmp.Diff(map[string]int{registry.StateDone: 2}, p.final()); d != "" {
				t.Error(d)
			}
			srv.intercept(nil)
			var again states
			if _, err := client().Pull(t.Context(), srv.ref("team/app:v1"), s, &again); err != nil {
				t.Fatal(err)
			}
			if n := srv.count("GET /v2/team/app/blobs/"); n != 0 {
				t.Errorf("a second pull fetched %d blobs", n)
			}
			if d := cmp.Diff(map[string]int{registry.StateExists: 2}, again.final()); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestPullByDigest(t *testing.T) {
	srv, s := newServer(t), newStore(t)
	m := srv.image("app", "v1", ociKind, here, layer(t, "a", 10))
	r := srv.ref("app@" + m.Digest.String())
	if _, err := client().Pull(t.Context(), r, s, nil); err != nil {
		t.Fatal(err)
	}
	other := srv.image("app", "v2", ociKind, here, layer(t, "b", 10))
	srv.intercept(func(w http.ResponseWriter, req *http.Request) bool {
		if strings.HasSuffix(req.URL.Path, "/manifests/"+m.Digest.String()) {
			http.Redirect(w, req, "/v2/app/manifests/"+other.Digest.String(), http.StatusTemporaryRedirect)
			return true
		}
		return false
	})
	_, err := client().Pull(t.Context(), r, newStore(t), nil)
	if err == nil || !strings.Contains(err.Error(), "asked for "+m.Digest.String()) {
		t.Errorf("another manifest than asked for: %v", err)
	}
}

func TestPullPlatform(t *testing.T) {
	srv := newServer(t)
	index := v1.Index{MediaType: v1.MediaTypeImageIndex}
	index.SchemaVersion = 2
	byName := map[string]digest.Digest{}
	for _, name := range []string{"linux/386", "linux/arm/v6", "linux/arm/v7", "linux/arm64/v8", "linux/amd64"} {
		p, err := registry.ParsePlatform(name)
		if err != nil {
			t.Fatal(err)
		}
		d := srv.image("multi", "", ociKind, p, layer(t, name, 10))
		byName[name] = d.Digest
		index.Manifests = append(index.Manifests, d)
	}
	attestation := srv.image("multi", "", ociKind, v1.Platform{OS: "unknown", Architecture: "unknown"})
	index.Manifests = append(index.Manifests, attestation)
	srv.manifest("multi", "latest", v1.MediaTypeImageIndex, index, nil)
	outer := v1.Index{MediaType: v1.MediaTypeImageIndex, Manifests: []v1.Descriptor{
		srv.manifest("multi", "", v1.MediaTypeImageIndex, index, &v1.Platform{OS: "linux", Architecture: "amd64"}),
	}}
	outer.SchemaVersion = 2
	srv.manifest("multi", "nested", v1.MediaTypeImageIndex, outer, nil)

	for name, tc := range map[string]struct{ tag, platform, want string }{
		"exact":         {"latest", "linux/386", "linux/386"},
		"default":       {"latest", "", "linux/" + here.Architecture},
		"alias":         {"latest", "x86_64", "linux/amd64"},
		"arm64 variant": {"latest", "linux/arm64", "linux/arm64/v8"},
		"arm default":   {"latest", "linux/arm", "linux/arm/v7"},
		"older variant": {"latest", "linux/arm/v6", "linux/arm/v6"},
		"nested":        {"nested", "linux/amd64", "linux/amd64"},
	} {
		t.Run(name, func(t *testing.T) {
			c := client()
			if tc.platform != "" {
				p, err := registry.ParsePlatform(tc.platform)
				if err != nil {
					t.Fatal(err)
				}
				c.Platform = p
			}
			want := byName[tc.want]
			if tc.want == "linux/arm64" {
				want = byName["linux/arm64/v8"]
			}
			var found v1.Descriptor
			c.Found = func(d v1.Descriptor) { found = d }
			got, err := c.Pull(t.Context(), srv.ref("multi:"+tc.tag), newStore(t), nil)
			if err != nil || got.Digest != want {
				t.Errorf("pulled %s, %v, want %s", got.Digest, err, want)
			}
			if found.MediaType != v1.MediaTypeImageIndex || found.Digest == got.Digest {
				t.Errorf("found %v, want the index", found)
			}
		})
	}
	t.Run("none", func(t *testing.T) {
		c := client()
		c.Platform = v1.Platform{OS: "linux", Architecture: "riscv64"}
		_, err := c.Pull(t.Context(), srv.ref("multi"), newStore(t), nil)
		e := wantError(t, err, registry.ErrNoPlatform, "no matching manifest for linux/riscv64 in the manifest list entries")
		if !strings.Contains(e.Hint, "linux/386, linux/amd64, linux/arm/v6, linux/arm/v7, linux/arm64") {
			t.Errorf("hint %q", e.Hint)
		}
	})
}

// wantError checks an error's kind and text.
func wantError(t *testing.T, err, kind error, text string) *registry.Error {
	t.Helper()
	e, ok := errors.AsType[*registry.Error](err)
	if !ok {
		t.Fatalf("%v is no *registry.Error", err)
	}
	if kind != nil && !errors.Is(err, kind) {
		t.Errorf("%v is not %v", err, kind)
	}
	if !strings.Contains(e.Text, text) {
		t.Errorf("text %q lacks %q", e.Text, text)
	}
	return e
}

func TestPullRefusesWhatItCannotKeep(t *testing.T) {
	srv := newServer(t)
	good := layer(t, "a", 10)
	config := srv.blob("odd", v1.MediaTypeImageConfig, encode(t, v1.Image{Platform: here}))
	manifest := func(tag string, change func(*v1.Manifest)) {
		m := v1.Manifest{MediaType: v1.MediaTypeImageManifest, Config: config, Layers: []v1.Descriptor{srv.blob("odd", v1.MediaTypeImageLayer, good)}}
		m.SchemaVersion = 2
		change(&m)
		srv.manifest("odd", tag, v1.MediaTypeImageManifest, m, nil)
	}
	manifest("artifact", func(m *v1.Manifest) { m.Config.MediaType = "application/vnd.example+json" })
	manifest("encrypted", func(m *v1.Manifest) { m.Layers[0].MediaType += "+gzip+encrypted" })
	manifest("urls", func(m *v1.Manifest) { m.Layers[0].URLs = []string{"https://example.com/layer"} })
	manifest("windows", func(m *v1.Manifest) {
		m.Config = srv.blob("odd", v1.MediaTypeImageConfig, encode(t, v1.Image{Platform: v1.Platform{OS: "windows", Architecture: "amd64"}}))
	})
	srv.put("odd/manifests/schema1", "application/vnd.docker.distribution.manifest.v1+prettyjws", []byte(`{"schemaVersion":1,"name":"odd","fsLayers":[]}`))
	srv.put("odd/manifests/both", v1.MediaTypeImageManifest, []byte(`{"schemaVersion":2,"config":{"digest":"`+config.Digest.String()+`"},"manifests":[{"digest":"x"}]}`))
	srv.put("odd/manifests/liar", v1.MediaTypeImageManifest, []byte(`{"schemaVersion":2,"mediaType":"`+v1.MediaTypeImageIndex+`"}`))
	srv.put("odd/manifests/text", v1.MediaTypeImageManifest, []byte(`hello`))
	for tag, want := range map[string]string{
		"artifact":  "no container image but an artifact of type application/vnd.example+json",
		"encrypted": "unknown media type",
		"urls":      "foreign layer",
		"windows":   `operating system "windows" cannot be used`,
		"schema1":   "schema 1",
		"both":      "an index and an image at once",
		"liar":      "it says it is",
		"text":      "parse manifest",
	} {
		t.Run(tag, func(t *testing.T) {
			s := newStore(t)
			_, err := client().Pull(t.Context(), srv.ref("odd:"+tag), s, nil)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q", err, want)
			}
			if tag != "windows" && len(stored(t, s)) > 0 {
				t.Errorf("stored %v", stored(t, s))
			}
		})
	}
}

func TestPullWrongPlatformOfASingleImage(t *testing.T) {
	srv := newServer(t)
	srv.image("app", "latest", ociKind, v1.Platform{OS: "linux", Architecture: "s390x"}, layer(t, "a", 10))
	c := client()
	c.Platform = here
	_, err := c.Pull(t.Context(), srv.ref("app"), newStore(t), nil)
	wantError(t, err, registry.ErrNoPlatform, "does not match the specified platform: wanted linux/"+here.Architecture+", actual: linux/s390x")
	if _, err := client().Pull(t.Context(), srv.ref("app"), newStore(t), nil); err != nil {
		t.Errorf("nobody asked for a platform: %v", err)
	}
}

// lastBlob is the digest of a blob that a server will spoil.
func lastBlob(content []byte) string { return digest.FromBytes(content).String() }

func TestPullCorruptBlob(t *testing.T) {
	srv, s := newServer(t), newStore(t)
	good := layer(t, "a", 100_000)
	srv.image("app", "latest", ociKind, here, good)
	srv.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, lastBlob(good)) {
			return false
		}
		bad := bytes.Clone(good)
		bad[5000] ^= 1
		_, _ = w.Write(bad)
		return true
	})
	_, err := client().Pull(t.Context(), srv.ref("app"), s, nil)
	if err == nil || !strings.Contains(err.Error(), lastBlob(good)) {
		t.Fatalf("a corrupt blob was accepted: %v", err)
	}
	if _, ok := s.HasBlob(digest.FromBytes(good)); ok {
		t.Error("the corrupt blob is in the store")
	}
	for _, f := range stored(t, s) {
		if strings.HasPrefix(f, "tmp") {
			t.Errorf("left behind: %s", f)
		}
	}
}

// cutter answers requests for one blob with the connection cut after some bytes, the given number of times.
func cutter(content []byte, after int, times int32, ranges bool) func(http.ResponseWriter, *http.Request) bool {
	var n atomic.Int32
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, lastBlob(content)) {
			return false
		}
		body := content
		if from, ok := strings.CutPrefix(r.Header.Get("Range"), "bytes="); ok && ranges {
			start, _ := strconv.Atoi(strings.TrimSuffix(from, "-"))
			body = content[start:]
			w.Header().Set("Content-Range", "bytes "+strconv.Itoa(start)+"-"+strconv.Itoa(len(content)-1)+"/"+strconv.Itoa(len(content)))
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
			w.WriteHeader(http.StatusPartialContent)
		} else {
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		}
		if n.Add(1) > times {
			_, _ = w.Write(body)
			return true
		}
		_, _ = w.Write(body[:min(after, len(body))])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

func TestPullGoesOnWhereItBroke(t *testing.T) {
	for name, tc := range map[string]struct {
		after  int
		times  int32
		ranges bool
		ok     bool
	}{
		"with ranges":         {100_000, 2, true, true},
		"without ranges":      {100_000, 2, false, true},
		"progress each time":  {100_000, 5, true, true},
		"nothing ever":        {0, 1000, true, false},
		"at the very end":     {400_000, 1, true, true},
		"restart, never more": {100_000, 1000, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			srv, s := newServer(t), newStore(t)
			content := layer(t, "big", 600_000)
			m := srv.image("app", "latest", ociKind, here, content)
			srv.intercept(cutter(content, tc.after, tc.times, tc.ranges))
			var p states
			got, err := client().Pull(t.Context(), srv.ref("app"), s, &p)
			if tc.ok && (err != nil || got.Digest != m.Digest) {
				t.Fatalf("pull: %v", err)
			}
			if !tc.ok && err == nil {
				t.Fatal("a blob that never came whole was accepted")
			}
			if !p.saw(registry.StateRetry) {
				t.Error("no retry was reported")
			}
			if _, there := s.HasBlob(digest.FromBytes(content)); there != tc.ok {
				t.Errorf("blob in the store: %v", there)
			}
		})
	}
}

func TestPullShortBlob(t *testing.T) {
	srv, s := newServer(t), newStore(t)
	content := layer(t, "a", 10_000)
	srv.image("app", "latest", ociKind, here, content)
	srv.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, lastBlob(content)) {
			return false
		}
		_, _ = w.Write(content[:512]) // whole, as far as HTTP can tell
		return true
	})
	_, err := client().Pull(t.Context(), srv.ref("app"), s, nil)
	if err == nil || !strings.Contains(err.Error(), "512 bytes, the manifest says") {
		t.Errorf("got %v", err)
	}
}

func TestPullCanceled(t *testing.T) {
	srv, s := newServer(t), newStore(t)
	content := layer(t, "a", 2_000_000)
	srv.image("app", "latest", ociKind, here, content)
	ctx, cancel := context.WithCancel(t.Context())
	srv.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, lastBlob(content)) {
			return false
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(content)))
		_, _ = w.Write(content[:1_000_000])
		_ = http.NewResponseController(w).Flush()
		cancel()
		<-r.Context().Done()
		return true
	})
	if _, err := client().Pull(ctx, srv.ref("app"), s, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want canceled", err)
	}
	for _, f := range stored(t, s) {
		if strings.HasPrefix(f, "tmp") || strings.Contains(f, digest.FromBytes(content).Encoded()) {
			t.Errorf("left behind: %s", f)
		}
	}
}

func TestPullErrors(t *testing.T) {
	srv := newServer(t)
	srv.image("app", "latest", ociKind, here, layer(t, "a", 10))
	answer := func(status int, body string) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, "/manifests/") {
				return false
			}
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
			return true
		}
	}
	for name, tc := range map[string]struct {
		hook func(http.ResponseWriter, *http.Request) bool
		ref  string
		kind error
		text string
	}{
		"no such tag":        {nil, "app:nosuch", registry.ErrNotFound, "manifest for " + srv.host + "/app:nosuch not found: manifest unknown"},
		"no such repository": {nil, "nosuch", registry.ErrNotFound, "repository " + srv.host + "/nosuch not found: name unknown"},
		"denied": {
			answer(403, `{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}`), "app", registry.ErrDenied,
			"pull access denied for " + srv.host + "/app, repository does not exist or may require 'docker login': denied: requested access to the resource is denied",
		},
		"unauthorized": {answer(401, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`), "app", registry.ErrDenied, "may require 'docker login': unauthorized: authentication required"},
		"escapes":      {answer(500, `{"errors":[{"code":"UNKNOWN","message":"\u001b]0;owned\u0007red"}]}`), "app", nil, "unknown: ]0;ownedred"},
		"rate limit":   {answer(429, `{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}`), "app", nil, "slow down"},
		"always 500":   {answer(500, "boom"), "app", nil, "answered 500 Internal Server Error"},
		"lost blob": {
			func(w http.ResponseWriter, r *http.Request) bool {
				if strings.Contains(r.URL.Path, "/blobs/") {
					w.WriteHeader(http.StatusNotFound)
					_, _ = w.Write([]byte(`{"errors":[{"code":"BLOB_UNKNOWN","message":"unknown blob"}]}`))
					return true
				}
				return false
			}, "app", registry.ErrNotFound, "the registry has lost blob sha256:",
		},
		"html": {answer(404, "<html>"), "app", registry.ErrNotFound, "manifest for " + srv.host + "/app:latest not found"},
	} {
		t.Run(name, func(t *testing.T) {
			srv.intercept(tc.hook)
			s := newStore(t)
			_, err := client().Pull(t.Context(), srv.ref(tc.ref), s, nil)
			e := wantError(t, err, tc.kind, tc.text)
			if tc.kind != nil && e.Hint == "" {
				t.Error("no hint")
			}
			if left := stored(t, s); len(left) > 0 {
				t.Errorf("stored %v", left)
			}
		})
	}
}

func TestPullRetriesServerErrors(t *testing.T) {
	srv, s := newServer(t), newStore(t)
	srv.image("app", "latest", ociKind, here, layer(t, "a", 10))
	var failures atomic.Int32
	srv.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/v2/" && failures.Add(1)%3 != 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}
		return false
	})
	if _, err := client().Pull(t.Context(), srv.ref("app"), s, nil); err != nil {
		t.Errorf("two failures of three: %v", err)
	}
	if failures.Load() < 9 {
		t.Errorf("only %d requests", failures.Load())
	}
}

func TestPullUnreachable(t *testing.T) {
	srv := newServer(t)
	srv.Close()
	_, err := client().Pull(t.Context(), srv.ref("app"), newStore(t), nil)
	wantError(t, err, registry.ErrUnreachable, "cannot reach registry "+srv.host)
	r := ref.Reference{Registry: "registry.invalid", Repository: "app", Tag: "latest"}
	_, err = client().Pull(t.Context(), r, newStore(t), nil)
	wantError(t, err, registry.ErrUnreachable, "registry.invalid")
}

func TestPullCompressedLayers(t *testing.T) {
	plain := layer(t, "file", 100_000)
	var gz, zst bytes.Buffer
	zw, err := zstd.NewWriter(&zst)
	if err != nil {
		t.Fatal(err)
	}
	gw := gzip.NewWriter(&gz)
	for _, w := range []io.WriteCloser{gw, zw} {
		if _, err := w.Write(plain); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for mediaType, content := range map[string][]byte{
		v1.MediaTypeImageLayerGzip:                          gz.Bytes(),
		v1.MediaTypeImageLayerZstd:                          zst.Bytes(),
		"application/vnd.docker.image.rootfs.diff.tar.gzip": gz.Bytes(),
	} {
		srv, s := newServer(t), newStore(t)
		m := v1.Manifest{MediaType: v1.MediaTypeImageManifest, Layers: []v1.Descriptor{srv.blob("app", mediaType, content)}}
		m.SchemaVersion = 2
		m.Config = srv.blob("app", v1.MediaTypeImageConfig, encode(t, v1.Image{
			Platform: here, RootFS: v1.RootFS{Type: "layers", DiffIDs: []digest.Digest{digest.FromBytes(plain)}},
		}))
		srv.manifest("app", "latest", v1.MediaTypeImageManifest, m, nil)
		desc, err := client().Pull(t.Context(), srv.ref("app"), s, nil)
		if err != nil {
			t.Fatal(err)
		}
		img, err := s.ImageByManifest(t.Context(), desc)
		if err != nil {
			t.Fatal(err)
		}
		ids, err := s.ImageLayers(t.Context(), img)
		if err != nil {
			t.Fatalf("%s: %v", mediaType, err)
		}
		if _, err := os.Stat(filepath.Join(s.LayerDir(ids[0]), "file")); err != nil {
			t.Errorf("%s: %v", mediaType, err)
		}
	}
}
