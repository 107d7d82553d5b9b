package engine

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/deckhand-engine/deckhand/internal/need"
)

// imageRoot makes a root directory as a container sees it from outside: its ids are shifted by base.
func imageRoot(t *testing.T, base int) *os.File {
	t.Helper()
	dir := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	data := filepath.Join(dir, "srv/data")
	must(os.MkdirAll(filepath.Join(data, "sub"), 0o755))
	must(os.WriteFile(filepath.Join(data, "file"), []byte("content"), 0o640))
	must(os.Link(filepath.Join(data, "file"), filepath.Join(data, "sub/same")))
	must(os.Symlink("/etc/passwd", filepath.Join(data, "link")))
	must(syscall.Mkfifo(filepath.Join(data, "fifo"), 0o600))
	must(os.Lchown(data, base+1000, base+1000))
	must(os.Lchown(filepath.Join(data, "file"), base+1000, base+7))
	must(os.Lchown(filepath.Join(data, "link"), base+5, base+5))
	must(os.Lchown(filepath.Join(data, "fifo"), base, base))
	must(os.Lchown(filepath.Join(data, "sub"), base, base))
	must(syscall.Chmod(data, 0o1777))
	must(syscall.Chmod(filepath.Join(data, "file"), 0o4750))
	must(os.Chtimes(filepath.Join(data, "file"), time.Unix(7, 0), time.Unix(8, 0)))
	must(os.Symlink("/srv/data", filepath.Join(dir, "alias")))
	f, err := os.Open(dir)
	must(err)
	t.Cleanup(func() { f.Close() })
	return f
}

func stat(t *testing.T, p string) *syscall.Stat_t {
	t.Helper()
	var st syscall.Stat_t
	if err := syscall.Lstat(p, &st); err != nil {
		t.Fatal(err)
	}
	return &st
}

func TestVolumeFill(t *testing.T) {
	need.Root(t)
	const base = 1 << 20
	root := imageRoot(t, base)
	for name, path := range map[string]string{"directory": "/srv/data", "through a symlink": "/alias", "above the root": "/../../srv/data/"} {
		t.Run(name, func(t *testing.T) {
			v := Volume{Path: path, Dir: t.TempDir()}
			if err := v.fill(root, base); err != nil {
				t.Fatal(err)
			}
			if st := stat(t, v.Dir); st.Uid != 1000 || st.Mode&0o7777 != 0o1777 {
				t.Errorf("the volume itself: uid %d, mode %o", st.Uid, st.Mode)
			}
			file := stat(t, filepath.Join(v.Dir, "file"))
			if file.Uid != 1000 || file.Gid != 7 || file.Mode&0o7777 != 0o4750 || file.Mtim.Sec != 8 || file.Nlink != 2 {
				t.Errorf("file: %+v", file)
			}
			if same := stat(t, filepath.Join(v.Dir, "sub/same")); same.Ino != file.Ino {
				t.Error("the hard link is a copy")
			}
			if target, err := os.Readlink(filepath.Join(v.Dir, "link")); err != nil || target != "/etc/passwd" {
				t.Errorf("link: %q, %v", target, err)
			}
			if st := stat(t, filepath.Join(v.Dir, "link")); st.Uid != 5 {
				t.Errorf("link: uid %d", st.Uid)
			}
			if st := stat(t, filepath.Join(v.Dir, "fifo")); st.Mode&syscall.S_IFMT != syscall.S_IFIFO || st.Uid != 0 {
				t.Errorf("fifo: %+v", st)
			}
			b, err := os.ReadFile(filepath.Join(v.Dir, "file"))
			if err != nil || string(b) != "content" {
				t.Errorf("%q, %v", b, err)
			}
		})
	}
}

// A volume whose path the image does not have is empty; one that has content keeps it.
func TestVolumeFillNot(t *testing.T) {
	need.Root(t)
	root := imageRoot(t, 0)
	for _, path := range []string{"/nosuch", "/srv/data/file/x"} {
		v := Volume{Path: path, Dir: t.TempDir()}
		if err := v.fill(root, 0); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if left := tree(t, v.Dir); len(left) > 0 {
			t.Errorf("%s: %v", path, left)
		}
	}
	v := Volume{Path: "/srv/data", Dir: t.TempDir()}
	if err := os.WriteFile(filepath.Join(v.Dir, "mine"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := v.fill(root, 0); err != nil {
		t.Fatal(err)
	}
	if got := tree(t, v.Dir); len(got) != 1 {
		t.Errorf("%v", got)
	}
}
