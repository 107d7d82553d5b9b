package registry_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/deckhand-engine/deckhand/ref"
	"github.com/deckhand-engine/deckhand/registry"
)

func TestImage(t *testing.T) {
	srv := newServer(t)
	want := srv.image("team/app", "v1", ociKind, here, layer(t, "a", 10), layer(t, "b", 300_000))
	index := v1.Index{MediaType: v1.MediaTypeImageIndex, Manifests: []v1.Descriptor{want}}
	index.SchemaVersion = 2
	srv.manifest("team/app", "multi", v1.MediaTypeImageIndex, index, nil)
	c := client()
	for tag, requests := range map[string]int{"v1": 2, "multi": 3} {
		t.Run(tag, func(t *testing.T) {
			srv.intercept(nil)
			img, err := c.Image(t.Context(), srv.ref("team/app:"+tag))
			if err != nil {
				t.Fatal(err)
			}
			if img.Manifest.Digest != want.Digest || len(img.Layers) != 2 || len(img.Config.RootFS.DiffIDs) != 2 {
				t.Errorf("got %+v", img)
			}
			if n := srv.count("GET /v2/team/"); n != requests {
				t.Errorf("%d requests, want %d", n, requests)
			}
		})
	}
}

func TestImageAsksOnce(t *testing.T) {
	srv := newServer(t)
	const images = 40
	for i := range images {
		srv.image(fmt.Sprintf("r%d", i%10), fmt.Sprintf("t%d", i), ociKind, here, layer(t, "a", 10))
	}
	var now, most atomic.Int32
	var connections sync.Map
	srv.intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		connections.Store(r.RemoteAddr, true)
		for n := now.Add(1); ; {
			old := most.Load()
			if n <= old || most.CompareAndSwap(old, n) {
				break
			}
		}
		time.Sleep(time.Millisecond)
		now.Add(-1)
		return false
	})
	c := client()
	c.Requests = 3
	var wg sync.WaitGroup
	for i := range images {
		wg.Go(func() {
			if _, err := c.Image(t.Context(), srv.ref(fmt.Sprintf("r%d:t%d", i%10, i))); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got := map[string]int{
		"pings": srv.count("GET /v2/") - srv.count("GET /v2/r"), "images": srv.count("GET /v2/r"),
	}
	if d := cmp.Diff(map[string]int{"pings": 1, "images": 2 * images}, got); d != "" {
		t.Error(d)
	}
	if n := most.Load(); n > 3 {
		t.Errorf("%d requests at once, allowed were 3", n)
	}
	n := 0
	connections.Range(func(any, any) bool { n++; return true })
	if n > 4 { // the ping's may be lost in its race
		t.Errorf("%d connections for 3 requests at a time", n)
	}
}

func TestImageReusesToken(t *testing.T) {
	srv := newServer(t)
	for i := range 20 {
		srv.image(fmt.Sprintf("r%d", i%2), fmt.Sprintf("t%d", i), ociKind, here, layer(t, "a", 10))
	}
	var tokens, unasked atomic.Int32
	srv.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/token" {
			tokens.Add(1)
			_, _ = fmt.Fprintf(w, `{"token":%q}`, r.URL.Query().Get("scope"))
			return true
		}
		repo, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v2/"), "/")
		if repo != "" && strings.Contains(r.Header.Get("Authorization"), "repository:"+repo+":pull") {
			return false
		}
		unasked.Add(1)
		w.Header().Set("WWW-Authenticate", `Bearer realm="`+srv.URL+`/token",service="test"`)
		w.WriteHeader(http.StatusUnauthorized)
		return true
	})
	c := client()
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if _, err := c.Image(t.Context(), srv.ref(fmt.Sprintf("r%d:t%d", i%2, i))); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if tokens.Load() != 2 || unasked.Load() != 1 {
		t.Errorf("%d tokens for 2 repositories, %d requests without one; wanted only the ping", tokens.Load(), unasked.Load())
	}
}

func TestImageFails(t *testing.T) {
	srv := newServer(t)
	m := srv.image("app", "v1", ociKind, here, layer(t, "a", 10))
	srv.image("windows", "v1", ociKind, v1.Platform{OS: "windows", Architecture: "amd64"}, layer(t, "a", 10))
	artifact := v1.Manifest{MediaType: v1.MediaTypeImageManifest, Config: srv.blob("chart", "application/vnd.cncf.helm.config.v1+json", []byte("{}"))}
	artifact.SchemaVersion = 2
	srv.manifest("chart", "v1", v1.MediaTypeImageManifest, artifact, nil)
	for name, tc := range map[string]struct {
		ref  string
		kind error
		want string
	}{
		"missing":  {"app:v2", registry.ErrNotFound, "manifest for " + srv.host + "/app:v2 not found"},
		"windows":  {"windows:v1", registry.ErrUnsupported, `operating system "windows"`},
		"artifact": {"chart:v1", registry.ErrUnsupported, "no container image but an artifact"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := client().Image(t.Context(), srv.ref(tc.ref))
			wantError(t, err, tc.kind, tc.want)
		})
	}
	t.Run("other config", func(t *testing.T) {
		srv.intercept(func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, "/blobs/") {
				return false
			}
			_, _ = w.Write(bytes.Repeat([]byte(" "), int(configSize(t, srv, m))))
			return true
		})
		_, err := client().Image(t.Context(), srv.ref("app:v1"))
		if err == nil || !strings.Contains(err.Error(), "the registry sent something else") {
			t.Errorf("got %v", err)
		}
	})
}

// configSize asks the registry, past the hook, for the size of a manifest's config.
func configSize(t *testing.T, srv *server, m v1.Descriptor) int64 {
	t.Helper()
	resp, err := http.Get(srv.URL + "/v2/app/manifests/" + m.Digest.String())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return decode[v1.Manifest](t, raw).Config.Size
}

func TestImageUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host := l.Addr().String()
	l.Close()
	c := client()
	for i := range 2 {
		r, err := ref.Parse(fmt.Sprintf("%s/app%d", host, i))
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Image(t.Context(), r)
		wantError(t, err, registry.ErrUnreachable, "cannot reach registry "+host)
	}
}

func TestOpenLayer(t *testing.T) {
	srv := newServer(t)
	srv.image("app", "v1", ociKind, here, layer(t, "a", 300_000))
	img, err := client().Image(t.Context(), srv.ref("app:v1"))
	if err != nil {
		t.Fatal(err)
	}
	read := func() ([]byte, error) {
		body, err := client().OpenLayer(t.Context(), srv.ref("app:v1"), img.Layers[0])
		if err != nil {
			return nil, err
		}
		defer body.Close()
		return io.ReadAll(body)
	}
	raw, err := read()
	if err != nil || digest.FromBytes(raw) != img.Layers[0].Digest {
		t.Fatalf("read %d bytes, %v", len(raw), err)
	}
	srv.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/blobs/") {
			_, _ = w.Write(bytes.Repeat([]byte{0}, len(raw)))
			return true
		}
		return false
	})
	if _, err := read(); err == nil || !strings.Contains(err.Error(), "the registry sent something else") {
		t.Errorf("another blob: %v", err)
	}
	foreign := img.Layers[0]
	foreign.URLs = []string{"https://example.com/layer"}
	_, err = client().OpenLayer(t.Context(), srv.ref("app:v1"), foreign)
	wantError(t, err, registry.ErrUnsupported, "foreign layer")
}

func TestPingGivenUpIsAskedAgain(t *testing.T) {
	srv := newServer(t)
	srv.image("app", "v1", ociKind, here, layer(t, "a", 10))
	asked := make(chan struct{}, 10)
	var slow atomic.Bool
	slow.Store(true)
	srv.intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/v2/" && slow.Load() {
			asked <- struct{}{}
			<-r.Context().Done()
			return true
		}
		return false
	})
	c := client()
	ctx, cancel := contextWithCancel(t)
	done := make(chan error)
	go func() {
		_, err := c.Image(ctx, srv.ref("app:v1"))
		done <- err
	}()
	<-asked
	slow.Store(false)
	cancel()
	if err := <-done; err == nil || errors.Is(err, registry.ErrNotFound) {
		t.Errorf("given up: %v", err)
	}
	if _, err := c.Image(t.Context(), srv.ref("app:v1")); err != nil {
		t.Error(err)
	}
}
