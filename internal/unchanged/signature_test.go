package unchanged

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestSignature(t *testing.T) {
	dir := t.TempDir()
	write := func(name, data string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("ctx/a", "1")
	write("ctx/sub/b", "1")
	write("Dockerfile", "FROM scratch")
	in := Inputs{Dirs: []string{filepath.Join(dir, "ctx")}, Files: []string{filepath.Join(dir, "Dockerfile"), filepath.Join(dir, "Dockerfile.dockerignore")}}
	path := func(name string) string { return filepath.Join(dir, name) }
	changes := []struct {
		name string
		do   func() error
	}{
		{"content in place, with its old time", func() error {
			fi, err := os.Stat(path("ctx/a"))
			if err != nil {
				return err
			}
			write("ctx/a", "2")
			return os.Chtimes(path("ctx/a"), fi.ModTime(), fi.ModTime())
		}},
		{"mode", func() error { return os.Chmod(path("ctx/sub/b"), 0o600) }},
		{"new file", func() error { write("ctx/sub/c", ""); return nil }},
		{"removed file", func() error { return os.Remove(path("ctx/sub/c")) }},
		{"link for a file", func() error {
			if err := os.Remove(path("ctx/sub/b")); err != nil {
				return err
			}
			return os.Symlink("../a", path("ctx/sub/b"))
		}},
		{"Dockerfile", func() error { write("Dockerfile", "FROM debian "); return nil }},
		{"ignore file that was missing", func() error { write("Dockerfile.dockerignore", "*"); return nil }},
		{"another directory in its place", func() error {
			if err := os.Rename(path("ctx"), path("old")); err != nil {
				return err
			}
			return os.Symlink("old", path("ctx"))
		}},
		{"file behind a linked context", func() error { write("old/new", ""); return nil }},
	}
	last := ""
	for _, c := range append(changes[:0:0], changes...) {
		time.Sleep(10 * time.Millisecond) // more than the kernel's clock tick, which stamps files
		sig, err := in.sign()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := in.sign(); err != nil || again.digest != sig.digest {
			t.Errorf("before %q: two signatures of the same: %v", c.name, err)
		}
		if err := c.do(); err != nil {
			t.Fatal(err)
		}
		after, err := in.sign()
		if err != nil {
			t.Fatal(err)
		}
		if after.digest == sig.digest || after.digest == last {
			t.Errorf("%s: the signature does not show it", c.name)
		}
		last = sig.digest
	}
}

func TestSignTooFresh(t *testing.T) {
	in := Inputs{Dirs: []string{t.TempDir()}}
	now := time.Now()
	if _, ok := in.Sign(now); ok {
		t.Error("a directory made just now was signed")
	}
	if _, ok := in.Sign(now.Add(settled + time.Second)); !ok {
		t.Error("a settled directory was not signed")
	}
	if _, ok := in.Sign(now.Add(-time.Hour)); ok {
		t.Error("a directory from the future was signed")
	}
}

func TestSignTooMany(t *testing.T) {
	dir := t.TempDir()
	for i := range maxEntries + 1 {
		if err := os.Symlink("x", filepath.Join(dir, time.Duration(i).String())); err != nil {
			t.Fatal(err)
		}
	}
	if _, ok := (Inputs{Dirs: []string{dir}}).Sign(time.Now().Add(time.Hour)); ok {
		t.Errorf("more than %d files were signed", maxEntries)
	}
}
