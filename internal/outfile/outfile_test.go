package outfile

import (
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestFile writes to a new file, over a file, and through links, which stay.
func TestFile(t *testing.T) {
	tests := map[string]struct{ name, target string }{
		"a new file":            {"new", "new"},
		"over a file":           {"old", "old"},
		"a link to a file":      {"link", "dir/real"},
		"links to a new file":   {"first", "dir/none"},
		"a long name":           {strings.Repeat("n", 255), strings.Repeat("n", 255)},
		"what looks like a dir": {"./dir/../old", "old"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			makeLinks(t, dir)
			out, err := Open(dir + "/" + tt.name)
			if err != nil {
				t.Fatal(err)
			}
			defer out.Discard()
			if _, err := io.WriteString(out, "all of it"); err != nil {
				t.Fatal(err)
			}
			if now, err := os.ReadFile(filepath.Join(dir, tt.target)); string(now) == "all of it" {
				t.Errorf("it is there before it is whole: %v", err)
			}
			if err := out.Finish(0o640); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(filepath.Join(dir, tt.target))
			if err != nil || string(got) != "all of it" {
				t.Errorf("it holds %q, %v", got, err)
			}
			for _, link := range []string{"link", "first", "second"} {
				if _, err := os.Readlink(filepath.Join(dir, link)); err != nil {
					t.Error(err)
				}
			}
			noneLeft(t, dir)
		})
	}
}

func makeLinks(t *testing.T, dir string) {
	t.Helper()
	for _, err := range []error{
		os.WriteFile(filepath.Join(dir, "old"), []byte("before"), 0o600),
		os.Mkdir(filepath.Join(dir, "dir"), 0o700),
		os.WriteFile(filepath.Join(dir, "dir/real"), []byte("before"), 0o600),
		os.Symlink("dir/real", filepath.Join(dir, "link")),
		os.Symlink(filepath.Join(dir, "second"), filepath.Join(dir, "first")),
		os.Symlink("dir/none", filepath.Join(dir, "second")),
		os.Symlink("loop", filepath.Join(dir, "loop")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func noneLeft(t *testing.T, dir string) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(dir, ".deckhand*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

// TestDiscarded leaves what was there.
func TestDiscarded(t *testing.T) {
	dir := t.TempDir()
	makeLinks(t, dir)
	out, err := Open(filepath.Join(dir, "link"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(out, "half"); err != nil {
		t.Fatal(err)
	}
	out.Discard()
	out.Discard()
	if got, err := os.ReadFile(filepath.Join(dir, "dir/real")); err != nil || string(got) != "before" {
		t.Errorf("it holds %q, %v", got, err)
	}
	noneLeft(t, dir)
}

// TestErrors names what the user typed, and no file that only we know.
func TestErrors(t *testing.T) {
	dir := t.TempDir()
	makeLinks(t, dir)
	t.Chdir(dir)
	tests := map[string]string{
		"dir":      "write dir: is a directory",
		"loop":     "write loop: too many levels of symbolic links",
		"no/file":  "write no/file: no such file or directory",
		"old/file": "write old/file: not a directory",
	}
	for name, want := range tests {
		if _, err := Open(name); err == nil || err.Error() != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	out, err := Open("/dev/full")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(out, "x"); err == nil || err.Error() != "write /dev/full: no space left on device" {
		t.Errorf("a full disk: %v", err)
	}
}

// TestNoFile writes to a device, a pipe and a file that only a descriptor names; none is replaced.
func TestNoFile(t *testing.T) {
	dir := t.TempDir()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.OpenFile(filepath.Join(dir, "file"), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteString("before, "); err != nil {
		t.Fatal(err)
	}
	null := filepath.Join(dir, "null")
	if err := os.Symlink(os.DevNull, null); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{null, descriptor(write), descriptor(file), strings.Replace(descriptor(file), "/dev/fd", "/proc/self/fd", 1)} {
		out, err := Open(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(out, "all; "); err != nil {
			t.Fatal(err)
		}
		if err := out.Finish(0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := write.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(file.Name()); err != nil || string(got) != "before, all; all; " {
		t.Errorf("the file holds %q, %v", got, err)
	}
	got := make([]byte, 5)
	if _, err := io.ReadFull(read, got); err != nil || string(got) != "all; " {
		t.Errorf("the pipe holds %q, %v", got, err)
	}
	if info, err := os.Stat(null); err != nil || info.Mode()&os.ModeDevice == 0 {
		t.Errorf("the device is now %v, %v", info, err)
	}
}

func descriptor(f *os.File) string { return "/dev/fd/" + strconv.Itoa(int(f.Fd())) }
