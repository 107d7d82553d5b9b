package engine

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/deckhand-engine/deckhand/internal/store"
	"github.com/deckhand-engine/deckhand/oci"
)

func newEngine(t *testing.T) *Engine {
	t.Helper()
	s, err := store.Open(filepath.Join(t.TempDir(), "data"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &Engine{Store: s}
}

// tree lists what is below dir, directories with a slash.
func tree(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == dir {
			return err
		}
		name := strings.TrimPrefix(p, dir+"/")
		if d.IsDir() {
			name += "/"
		}
		out = append(out, name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Many processes may make the shared layer at once: all get the same, whole one, and nothing else is left.
func TestSharedStub(t *testing.T) {
	e := newEngine(t)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			dir, err := e.sharedStub()
			if err != nil {
				t.Error(err)
				return
			}
			want := []string{"dev/", "etc/", "etc/hostname", "etc/hosts", "etc/resolv.conf", "proc/", "sys/"}
			if diff := cmp.Diff(want, tree(t, dir)); diff != "" {
				t.Error(diff)
			}
		})
	}
	wg.Wait()
	left, err := os.ReadDir(filepath.Join(e.Store.Root(), "stubs"))
	if err != nil || len(left) != 1 {
		t.Errorf("%v, %v", left, err)
	}
}

func TestStubs(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	e, base := newEngine(t), t.TempDir()
	s := &Sandbox{Lower: []string{"/layer"}, UpperBase: base, Options: oci.SpecOptions{Mounts: []specs.Mount{
		{Destination: "/etc/hosts", Type: "bind", Source: file},
		{Destination: "/run/secrets/../key", Type: "bind", Source: file},
		{Destination: "/../../above", Type: "bind", Source: filepath.Dir(file)},
		{Destination: "/cache/deep", Type: "tmpfs"},
	}}}
	r := &Running{}
	lower, err := e.stubs(s, r)
	if err != nil {
		t.Fatal(err)
	}
	if len(lower) != 3 || lower[1] != filepath.Join(base, "stub") || lower[2] != "/layer" {
		t.Errorf("lower directories %v", lower)
	}
	want := []string{"above/", "cache/", "cache/deep/", "run/", "run/key"}
	if diff := cmp.Diff(want, tree(t, lower[1])); diff != "" {
		t.Error(diff)
	}
	if err := r.release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if left := tree(t, base); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// Without mounts of its own a sandbox needs the shared layer only.
func TestStubsShared(t *testing.T) {
	e := newEngine(t)
	lower, err := e.stubs(&Sandbox{Lower: []string{"/a", "/b"}, UpperBase: t.TempDir()}, &Running{})
	if err != nil || len(lower) != 3 || lower[1] != "/a" || lower[2] != "/b" {
		t.Errorf("%v, %v", lower, err)
	}
}

func TestSortMounts(t *testing.T) {
	mounts := []specs.Mount{{Destination: "/a/b/c"}, {Destination: "/a"}, {Destination: "/x/y/"}, {Destination: "/a/b"}}
	sortMounts(mounts)
	var got []string
	for _, m := range mounts {
		got = append(got, m.Destination)
	}
	if diff := cmp.Diff([]string{"/a", "/x/y/", "/a/b", "/a/b/c"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestRelease(t *testing.T) {
	var order []int
	r := &Running{}
	for i := range 3 {
		r.onRelease(func(ctx context.Context) error {
			if ctx.Err() != nil {
				t.Error("the caller's context ended the clearing up")
			}
			order = append(order, i)
			return nil
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.release(ctx); err != nil {
		t.Fatal(err)
	}
	_ = r.release(ctx) // does nothing more
	if diff := cmp.Diff([]int{2, 1, 0}, order); diff != "" {
		t.Error(diff)
	}
}
