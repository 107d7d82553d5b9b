package build

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func testCache(t *testing.T, layers ...string) *cache {
	t.Helper()
	have := map[string]bool{}
	for _, l := range layers {
		have[l] = true
	}
	c, err := newCache(t.TempDir(), func() (string, error) { return t.TempDir(), nil }, func(id string) bool { return have[id] })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCacheRecord(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	whole := record{Outputs: [][]string{{"a", "b"}, {}}, Created: at}
	tests := map[string]struct {
		spoil func(t *testing.T, path string)
		have  []string
		hit   bool
	}{
		"whole":      {nil, []string{"a", "b"}, true},
		"layer gone": {nil, []string{"a"}, false},
		"truncated":  {func(t *testing.T, p string) { t.Helper(); check(t, os.Truncate(p, 20)) }, []string{"a", "b"}, false},
		"empty":      {func(t *testing.T, p string) { t.Helper(); check(t, os.Truncate(p, 0)) }, []string{"a", "b"}, false},
		"garbage":    {func(t *testing.T, p string) { t.Helper(); check(t, os.WriteFile(p, []byte("{}"), 0o600)) }, []string{"a", "b"}, false},
		"missing":    {func(t *testing.T, p string) { t.Helper(); check(t, os.Remove(p)) }, []string{"a", "b"}, false},
		"a layer garbage collection does not know of": {func(t *testing.T, p string) {
			t.Helper()
			check(t, os.WriteFile(p, []byte(`{"Layers":["a"],"Outputs":[["a","b"]],"Created":"2026-01-02T03:04:05Z"}`), 0o600))
		}, []string{"a", "b"}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := testCache(t, tt.have...)
			check(t, c.put("key", whole))
			if tt.spoil != nil {
				tt.spoil(t, filepath.Join(c.dir, "key"))
			}
			got := c.get("key")
			if (got != nil) != tt.hit {
				t.Fatalf("record %v, want a hit: %v", got, tt.hit)
			}
			if tt.hit {
				want := whole
				want.Layers = []string{"a", "b"}
				if d := cmp.Diff(&want, got); d != "" {
					t.Errorf("(-want +got):\n%s", d)
				}
			}
		})
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestCacheLock(t *testing.T) {
	c := testCache(t)
	l, err := c.tryLock("x", unix.LOCK_EX)
	check(t, err)
	if _, err := c.tryLock("x", unix.LOCK_SH); !errors.Is(err, errLocked) {
		t.Fatalf("a second holder got %v", err)
	}
	waits := make(chan struct{})
	got := make(chan error, 1)
	go func() {
		l2, err := c.lock(t.Context(), "x", unix.LOCK_EX, func() { close(waits) })
		if err == nil {
			l2.unlock()
		}
		got <- err
	}()
	<-waits
	l.unlock()
	check(t, <-got)

	l, err = c.tryLock("x", unix.LOCK_EX)
	check(t, err)
	defer l.unlock()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(syscall.EINTR)
	if _, err := c.lock(ctx, "x", unix.LOCK_EX, nil); !errors.Is(err, syscall.EINTR) {
		t.Errorf("a cancelled wait gives %v", err)
	}
}

func TestDigestFile(t *testing.T) {
	dir, cacheDir := makeTree(t, map[string]string{"f": "content"}), t.TempDir()
	path := filepath.Join(dir, "f")
	stat := func() *syscall.Stat_t {
		fi, err := os.Lstat(path)
		check(t, err)
		st, ok := fi.Sys().(*syscall.Stat_t)
		if !ok {
			t.Fatal("no stat")
		}
		return st
	}
	publish := func(p string, dt []byte) error { return os.WriteFile(p, dt, 0o600) }
	sum, err := fileDigest(path)
	check(t, err)
	later := time.Now().Add(time.Hour)

	t.Run("a file that has just changed is not remembered", func(t *testing.T) {
		d := openDigestFile(cacheDir, dir, time.Now())
		d.put(stat(), sum)
		check(t, d.save(publish))
		if _, err := os.Lstat(d.path); err == nil {
			t.Error("it is")
		}
	})
	t.Run("an old one is, over builds", func(t *testing.T) {
		d := openDigestFile(cacheDir, dir, later)
		d.put(stat(), sum)
		check(t, d.save(publish))
		got, ok := openDigestFile(cacheDir, dir, later).get(stat())
		if !ok || got != sum {
			t.Errorf("got %x, %v", got, ok)
		}
	})
	t.Run("a change of the same size with the old mtime is seen", func(t *testing.T) {
		st := stat()
		check(t, os.WriteFile(path, []byte("CONTENT"), 0o600))
		check(t, os.Chtimes(path, time.Now(), time.Unix(0, st.Mtim.Nano())))
		if _, ok := openDigestFile(cacheDir, dir, later).get(stat()); ok {
			t.Error("it is not")
		}
	})
	t.Run("a damaged file is as good as none", func(t *testing.T) {
		d := openDigestFile(cacheDir, dir, later)
		d.put(stat(), sum)
		check(t, d.save(publish))
		dt, err := os.ReadFile(d.path)
		check(t, err)
		dt[len(digestFileHeader)+45] ^= 1
		check(t, os.WriteFile(d.path, dt, 0o600))
		if _, ok := openDigestFile(cacheDir, dir, later).get(stat()); ok {
			t.Error("it is believed")
		}
	})
}
