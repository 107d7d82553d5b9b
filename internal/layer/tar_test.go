package layer

import (
	"archive/tar"
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// testTime is in the past, so that a time that was not set shows.
var testTime = time.Date(2020, 2, 3, 4, 5, 6, 0, time.UTC)

// tarOf makes an archive. What a header leaves out becomes usual.
func tarOf(t testing.TB, entries ...tar.Header) []byte {
	t.Helper()
	var buf bytes.Buffer
	tw := tar.NewWriter(&buf)
	for _, hdr := range entries {
		content := ""
		if hdr.Typeflag == 0 {
			hdr.Typeflag = tar.TypeReg
		}
		if hdr.Typeflag == tar.TypeReg && hdr.Size == 0 {
			content = hdr.Linkname // a file's content, in this test's shorthand
			hdr.Size, hdr.Linkname = int64(len(content)), ""
		}
		if hdr.Mode == 0 {
			hdr.Mode = 0o644
			if hdr.Typeflag == tar.TypeDir {
				hdr.Mode = 0o755
			}
		}
		if hdr.ModTime.IsZero() {
			hdr.ModTime = testTime
		}
		if err := tw.WriteHeader(&hdr); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func file(name, content string) tar.Header { return tar.Header{Name: name, Linkname: content} }
func dir(name string) tar.Header           { return tar.Header{Name: name, Typeflag: tar.TypeDir} }
func symlink(name, target string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: target}
}

func hardlink(name, target string) tar.Header {
	return tar.Header{Name: name, Typeflag: tar.TypeLink, Linkname: target}
}

// entry is what a test compares of a file.
type entry struct {
	Mode     fs.FileMode
	Content  string // of a file; a link's target
	UID, GID int
	Time     int64
	Nlink    uint64
	Rdev     uint64
	Xattrs   map[string]string
}

// tree reads a directory completely.
func tree(t testing.TB, root string) map[string]entry {
	t.Helper()
	found := make(map[string]entry)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		found[rel] = entryOf(t, path)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func entryOf(t testing.TB, path string) entry {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	e := entry{Mode: info.Mode(), UID: int(st.Uid), GID: int(st.Gid), Time: st.Mtim.Sec, Rdev: st.Rdev}
	if !info.IsDir() {
		e.Nlink = uint64(st.Nlink) //nolint:unconvert // 32 bits on arm64
	}
	switch {
	case info.Mode().IsRegular():
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		e.Content = string(data)
	case info.Mode()&os.ModeSymlink != 0:
		if e.Content, err = os.Readlink(path); err != nil {
			t.Fatal(err)
		}
	}
	values, err := readXattrs(path, func(key string) bool { return key != "security.selinux" })
	if err != nil {
		t.Fatal(err)
	}
	for key, value := range values {
		if e.Xattrs == nil {
			e.Xattrs = make(map[string]string)
		}
		e.Xattrs[key] = string(value)
	}
	return e
}

// options unpack as whoever runs the test.
func options() Options { return Options{TolerateOwner: os.Geteuid() != 0} }

// extract unpacks into root/fs and returns that.
func extract(t testing.TB, archive []byte, o Options) (string, Extracted, error) {
	t.Helper()
	root := filepath.Join(t.TempDir(), "fs")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	got, err := Extract(t.Context(), root, bytes.NewReader(archive), o)
	return root, got, err
}
