package layer

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// FuzzExtract unpacks anything: no panic, and nothing beside the root. What it accepts can be exported.
func FuzzExtract(f *testing.F) {
	f.Add(tarOf(f, dir("a"), file("a/b", "content"), symlink("l", "/"), hardlink("h", "a/b"), file("l/x", "")))
	f.Add(tarOf(f, overlayUpper...))
	f.Add(tarOf(f, file("../x", ""), symlink("x", ".."), file("x/y", "")))
	f.Add(tarOf(f, symlink("a", "../../.."), dir("a"), file("a/../b", ""), tar.Header{Name: "p", Typeflag: tar.TypeFifo}))
	f.Add(tarOf(f, tar.Header{Name: "x", PAXRecords: map[string]string{"SCHILY.xattr.user.a": "b"}}, file("x/y", "")))
	f.Fuzz(func(t *testing.T, archive []byte) {
		outer := t.TempDir()
		root := filepath.Join(outer, "fs")
		if err := os.Mkdir(root, 0o755); err != nil {
			t.Fatal(err)
		}
		o := Options{TolerateOwner: true, UserXattr: os.Geteuid() != 0, MaxEntries: 200, MaxBytes: 1 << 20}
		got, err := Extract(t.Context(), root, bytes.NewReader(archive), o)
		if names, readErr := os.ReadDir(outer); readErr != nil || len(names) != 1 {
			t.Fatalf("beside the root: %v, %v", names, readErr)
		}
		if err != nil {
			return
		}
		if err := InheritDirs(root, got.Implicit, []string{root}, o); err != nil {
			t.Errorf("inherit: %v", err)
		}
		if err := Export(t.Context(), &bytes.Buffer{}, root); err != nil {
			t.Errorf("export: %v", err)
		}
	})
}

// FuzzDecompress reads anything without a panic.
func FuzzDecompress(f *testing.F) {
	for _, magic := range []string{"\x1f\x8b\x08", "\x28\xb5\x2f\xfd", "BZh9", "plain"} {
		f.Add([]byte(magic + "rest"))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if Sniff(data) == Xz {
			t.Skip("a program of its own")
		}
		_ = readAll(t, data)
	})
}
