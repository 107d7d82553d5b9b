package store

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

func TestPutBlob(t *testing.T) {
	s := openTest(t)
	boom := errors.New("boom")
	good := blobOf("good")
	tests := map[string]struct {
		in   io.Reader
		want v1.Descriptor
		err  error
	}{
		"unchecked":   {strings.NewReader("good"), v1.Descriptor{MediaType: "x/y"}, nil},
		"checked":     {strings.NewReader("good"), good, nil},
		"digest only": {strings.NewReader("good"), v1.Descriptor{Digest: good.Digest}, nil},
		"other":       {strings.NewReader("evil"), good, ErrCorrupt},
		"short":       {strings.NewReader("goo"), good, ErrCorrupt},
		"endless":     {io.MultiReader(strings.NewReader("good"), zeros{}), good, ErrCorrupt},
		"size wrong":  {strings.NewReader("good"), v1.Descriptor{Digest: good.Digest, Size: 3}, ErrCorrupt},
		"broken":      {iotest.ErrReader(boom), v1.Descriptor{}, boom},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := s.PutBlob(t.Context(), test.in, test.want)
			if !errors.Is(err, test.err) {
				t.Fatalf("got %v, want %v", err, test.err)
			}
			if err != nil {
				return
			}
			want := v1.Descriptor{MediaType: test.want.MediaType, Digest: good.Digest, Size: 4}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if data, err := s.ReadBlob(good.Digest); err != nil || string(data) != "good" {
				t.Errorf("read %q, %v", data, err)
			}
		})
	}
	mustBeSound(t, s)
	if names, err := readNames(s.path(blobDir)); err != nil || len(names) != 1 {
		t.Errorf("blobs: %v, %v", names, err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestPutBlobStopsWithItsContext(t *testing.T) {
	s := openTest(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.PutBlob(ctx, zeros{}, v1.Descriptor{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	mustBeSound(t, s)
}

func TestWritersOfTheSameBlob(t *testing.T) {
	root := t.TempDir()
	data := strings.Repeat("same", 1<<18)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			s := openAt(t, root)
			if _, err := s.PutBlob(t.Context(), strings.NewReader(data), blobOf(data)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	mustBeSound(t, openAt(t, root))
}

func TestReadDamagedBlob(t *testing.T) {
	s := openTest(t)
	d, err := s.PutBlob(t.Context(), strings.NewReader("content"), v1.Descriptor{})
	if err != nil {
		t.Fatal(err)
	}
	damage(t, s, d.Digest)
	_, err = s.ReadBlob(d.Digest)
	wantError(t, err, ErrCorrupt, s.Root(), d.Digest.Encoded(), "deckhand pull")
	// It was set aside: a good one can come.
	if _, ok := s.HasBlob(d.Digest); ok {
		t.Error("still there")
	}
	if _, err := s.PutBlob(t.Context(), strings.NewReader("content"), d); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ReadBlob(d.Digest); err != nil {
		t.Error(err)
	}
}

// A digest comes from anywhere and becomes a file name.
func TestDigestsAreNoPaths(t *testing.T) {
	s := openTest(t)
	if err := os.WriteFile(s.path("secret"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, d := range []digest.Digest{"", "sha256:", "sha256:../../secret", "../secret", "sha512:" + digest.Digest(strings.Repeat("a", 128)), "sha256:" + digest.Digest(strings.Repeat("A", 64))} {
		if _, err := s.OpenBlob(d); err == nil || errors.Is(err, ErrNotFound) {
			t.Errorf("OpenBlob(%q): %v", d, err)
		}
		if _, ok := s.HasBlob(d); ok {
			t.Errorf("HasBlob(%q)", d)
		}
	}
	if _, err := s.OpenBlob(blobOf("absent").Digest); !errors.Is(err, ErrNotFound) {
		t.Errorf("absent blob: %v", err)
	}
}
