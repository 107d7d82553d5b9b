package registry_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/opencontainers/go-digest"

	"github.com/deckhand-engine/deckhand/internal/store"
	"github.com/deckhand-engine/deckhand/registry"
)

// imported makes an image of one layer in the store.
func imported(t *testing.T, s *store.Store, size int) *store.Image {
	t.Helper()
	config := dockerspec.DockerOCIImage{}
	config.Platform = here
	img, err := s.Import(t.Context(), bytes.NewReader(layer(t, "a", size)), config)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func TestPushAndPullBack(t *testing.T) {
	srv, s := newServer(t), newStore(t)
	img := imported(t, s, 200_000)
	var p states
	got, err := client().Push(t.Context(), srv.ref("team/app:v1"), img.Target, s, &p)
	if err != nil {
		t.Fatal(err)
	}
	if got != img.Target.Digest {
		t.Errorf("pushed %s, the image is %s", got, img.Target.Digest)
	}
	if d := cmp.Diff(map[string]int{registry.StateDone: 2}, p.final()); d != "" {
		t.Error(d)
	}
	back := newStore(t)
	desc, err := client().Pull(t.Context(), srv.ref("team/app@"+got.String()), back, nil)
	if err != nil || desc.Digest != got {
		t.Fatalf("pull back: %v, %v", desc, err)
	}
	again, err := back.ImageByManifest(t.Context(), desc)
	if err != nil || again.ID != img.ID {
		t.Errorf("image %v, %v, want %s", again, err, img.ID)
	}
}

func TestPushSkipsWhatIsThere(t *testing.T) {
	srv, s := newServer(t), newStore(t)
	img := imported(t, s, 1000)
	if _, err := client().Push(t.Context(), srv.ref("app:v1"), img.Target, s, nil); err != nil {
		t.Fatal(err)
	}
	srv.intercept(nil)
	var p states
	if _, err := client().Push(t.Context(), srv.ref("app:v2"), img.Target, s, &p); err != nil {
		t.Fatal(err)
	}
	if n := srv.count("PUT /v2/app/blobs/"); n != 0 {
		t.Errorf("%d blobs were sent again", n)
	}
	if d := cmp.Diff(map[string]int{registry.StateExists: 2}, p.final()); d != "" {
		t.Error(d)
	}
}

// The registry in this process has one store of blobs for all repositories; a HEAD that denies them makes the
// client ask for a mount.
func TestPushMounts(t *testing.T) {
	srv, s := newServer(t), newStore(t)
	img := imported(t, s, 1000)
	var mounts atomic.Int32
	srv.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		switch {
		case r.Method == http.MethodHead:
			w.WriteHeader(http.StatusNotFound)
			return true
		case r.Method == http.MethodPost && r.URL.Query().Get("mount") != "":
			if r.URL.Query().Get("from") != "library/base" {
				t.Errorf("mount from %q", r.URL.Query().Get("from"))
			}
			mounts.Add(1)
			w.WriteHeader(http.StatusCreated)
			return true
		}
		return false
	})
	c := client()
	c.Mount = map[digest.Digest]string{img.Manifest.Layers[0].Digest: "library/base"}
	var p states
	_, _ = c.Push(t.Context(), srv.ref("app:v1"), img.Target, s, &p) // the manifest's layer is not really there
	if mounts.Load() != 1 || p.final()[registry.StateMounted] != 1 {
		t.Errorf("%d mounts, states %v", mounts.Load(), p.final())
	}
}

func TestPushMountRefused(t *testing.T) {
	srv, s := newServer(t), newStore(t)
	img := imported(t, s, 1000)
	srv.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost && r.URL.Query().Get("mount") != "" {
			w.WriteHeader(http.StatusForbidden)
			return true
		}
		return false
	})
	c := client()
	c.Mount = map[digest.Digest]string{img.Manifest.Layers[0].Digest: "secret/base"}
	if _, err := c.Push(t.Context(), srv.ref("app:v1"), img.Target, s, nil); err != nil {
		t.Errorf("without the mount the upload was not tried: %v", err)
	}
}

func TestPushRetriesUploads(t *testing.T) {
	srv, s := newServer(t), newStore(t)
	img := imported(t, s, 300_000)
	var puts atomic.Int32
	srv.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut || !strings.Contains(r.URL.Path, "/blobs/") {
			return false
		}
		switch puts.Add(1) {
		case 1:
			_, _ = io.CopyN(io.Discard, r.Body, 1000)
			panic(http.ErrAbortHandler)
		case 2:
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(http.StatusBadGateway)
			return true
		}
		return false
	})
	c := client()
	c.Jobs = 1
	var p states
	got, err := c.Push(t.Context(), srv.ref("app:v1"), img.Target, s, &p)
	if err != nil || got != img.Target.Digest {
		t.Fatalf("push: %v", err)
	}
	if !p.saw(registry.StateRetry) {
		t.Error("no retry was reported")
	}
	if _, err := client().Pull(t.Context(), srv.ref("app:v1"), newStore(t), nil); err != nil {
		t.Errorf("pull back: %v", err)
	}
}

func TestPushDamagedBlob(t *testing.T) {
	srv, s := newServer(t), newStore(t)
	img := imported(t, s, 1000)
	var path string
	for _, f := range stored(t, s) {
		if strings.Contains(f, img.Manifest.Layers[0].Digest.Encoded()) {
			path = s.Root() + "/" + f
		}
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)/2] ^= 1
	if err := errors.Join(os.Chmod(path, 0o600), os.WriteFile(path, raw, 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := client().Push(t.Context(), srv.ref("app:v1"), img.Target, s, nil); err == nil {
		t.Error("a damaged blob was pushed")
	}
	if n := srv.count("PUT /v2/app/manifests/"); n != 0 {
		t.Error("the manifest was pushed without its layer")
	}
}

func TestPushErrors(t *testing.T) {
	srv, s := newServer(t), newStore(t)
	img := imported(t, s, 1000)
	srv.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = fmt.Fprint(w, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`)
			return true
		}
		return false
	})
	_, err := client().Push(t.Context(), srv.ref("app:v1"), img.Target, s, nil)
	e := wantError(t, err, registry.ErrDenied, "push access denied for "+srv.host+"/app")
	if !strings.Contains(e.Hint, "docker login "+srv.host) {
		t.Errorf("hint %q", e.Hint)
	}
}
