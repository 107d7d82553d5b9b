package harden

import (
	"context"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/guard"
)

// files are those of an image.
type files []guard.File

// Read is that of guard.Files.
func (f files) Read(_ context.Context, names ...string) (map[string][]byte, error) {
	out := map[string][]byte{}
	for _, name := range names {
		if name == "/etc/passwd" {
			out[name] = []byte("root:x:0:0:root:/root:/bin/sh\nweb:x:33:33::/:/bin/false\n")
		}
	}
	return out, nil
}

// Walk is that of guard.Files.
func (f files) Walk(_ context.Context, visit func(guard.File) error) error {
	for _, file := range f {
		if err := visit(file); err != nil {
			return err
		}
	}
	return nil
}

func directory(name string, mode fs.FileMode) guard.File {
	return guard.File{Path: name, Mode: fs.ModeDir | mode}
}

func regular(name string, mode fs.FileMode) guard.File { return guard.File{Path: name, Mode: mode} }

func link(name, target string) guard.File {
	return guard.File{Path: name, Mode: fs.ModeSymlink | 0o777, Link: target}
}

func treeOf(t testing.TB, list ...guard.File) *tree {
	t.Helper()
	out, err := readTree(t.Context(), &guard.Image{Files: files(list)})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestResolve(t *testing.T) {
	tr := treeOf(t,
		directory("/run", 0o755), directory("/var", 0o755), link("/var/run", "/run"), link("/var/lock", "../run/lock"),
		directory("/run/lock", 0o755), link("/a", "b"), link("/b", "a"), link("/self", "self"), link("/up", "../../.."),
		directory("/usr", 0o755), directory("/usr/lib", 0o755), link("/lib", "usr/lib/"), link("/usr/lib/x.so", "./x.so.1"),
		regular("/usr/lib/x.so.1", 0o644), link("/chain", "/var/lock/../../lib"), link("/gone", "/nowhere/at/all"),
	)
	tests := map[string]struct {
		p        string
		want     string
		wantLast string
	}{
		"the root":                {"/", "/", "/"},
		"plain":                   {"/usr/lib/x.so.1", "/usr/lib/x.so.1", "/usr/lib/x.so.1"},
		"missing":                 {"/usr/y/z", "/usr/y/z", "/usr/y/z"},
		"absolute":                {"/var/run/x", "/run/x", "/run/x"},
		"relative":                {"/lib/x.so", "/usr/lib/x.so", "/usr/lib/x.so.1"},
		"the last":                {"/var/lock", "/var/lock", "/run/lock"},
		"the last, with a slash":  {"/var/lock/", "/run/lock", "/run/lock"},
		"above the root":          {"/up/var/run/x", "/run/x", "/run/x"},
		"back from where it led":  {"/var/run/../x", "/x", "/x"},
		"back within a link":      {"/chain/x.so", "/usr/lib/x.so", "/usr/lib/x.so.1"},
		"it leads to what is not": {"/gone/f", "/nowhere/at/all/f", "/nowhere/at/all/f"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := tr.resolve(tt.p, false); got != tt.want {
				t.Errorf("%s is %s, want %s", tt.p, got, tt.want)
			}
			if got := tr.resolve(tt.p, true); got != tt.wantLast {
				t.Errorf("%s is %s, want %s, the last one followed", tt.p, got, tt.wantLast)
			}
		})
	}
	for _, loop := range []string{"/a", "/a/x", "/self", "/self/x"} {
		if got := tr.resolve(loop, true); !path.IsAbs(got) {
			t.Errorf("%s leads round to %q", loop, got)
		}
	}
}

// FuzzResolve compares with the kernel. layout has directories and links in lines: "a/b", "a/c>../b".
func FuzzResolve(f *testing.F) {
	f.Add("a\na/b\na/c>../a/b\nd>/a/c", "/d/x/../y")
	f.Add("a\na/b\nl>a/b\nm>l/../b", "/m/../..")
	f.Add("a>b\nb>a\nc>../../c", "/a/c")
	f.Add("v\nr\nv/r>/r\nr/x>/v/r/../r/x", "/v/r/./x/")
	f.Fuzz(func(t *testing.T, layout, p string) {
		if len(layout)+len(p) > 400 || strings.ContainsRune(p, 0) {
			return
		}
		dir := t.TempDir()
		tr := treeOf(t, grow(t, dir, layout)...)
		for _, last := range []bool{true, false} {
			want, ok := kernelResolves(t, dir, p, last)
			got := tr.resolve(p, last)
			if ok && got != want {
				t.Errorf("%q in %q is %q, want %q (last %v)", p, layout, got, want, last)
			}
			if !path.IsAbs(got) || path.Clean(got) != got {
				t.Errorf("%q in %q is %q", p, layout, got)
			}
		}
	})
}

// grow makes a layout in a directory, as far as it can be made, and lists it.
func grow(t *testing.T, dir, layout string) []guard.File {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = root.Close() }()
	for line := range strings.SplitSeq(layout, "\n") {
		if name, target, isLink := strings.Cut(line, ">"); isLink {
			_ = root.Symlink(target, name)
		} else {
			_ = root.Mkdir(name, 0o755)
		}
	}
	var out []guard.File
	err = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == dir {
			return err
		}
		file := guard.File{Path: strings.TrimPrefix(name, dir), Mode: d.Type()}
		if d.Type()&fs.ModeSymlink != 0 {
			file.Link, err = os.Readlink(name)
		}
		out = append(out, file)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// kernelResolves is where a path leads in a directory that is taken for the root, if it leads anywhere.
func kernelResolves(t *testing.T, dir, p string, last bool) (string, bool) {
	t.Helper()
	root, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = root.Close() }()
	how := unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT}
	if !last {
		how.Flags |= unix.O_NOFOLLOW
	}
	fd, err := unix.Openat2(int(root.Fd()), "/"+p, &how)
	if err != nil {
		return "", false
	}
	file := os.NewFile(uintptr(fd), p)
	defer func() { _ = file.Close() }()
	at, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
	if err != nil {
		t.Fatal(err)
	}
	return path.Join("/", strings.TrimPrefix(at, dir)), true
}

func TestObstacles(t *testing.T) {
	own := regular("/etc/x/own", 0o600)
	own.UID, own.GID = 9000, 9000
	group := regular("/etc/x/group", 0o640)
	group.GID = 9000
	tr := treeOf(t,
		directory("/etc", 0o755), directory("/etc/x", 0o750), directory("/etc/list", 0o711), directory("/etc/open", 0o755),
		regular("/etc/open/f", 0o644), regular("/etc/open/private", 0o600), regular("/etc/open/program", 0o700), own, group,
		regular("/etc/open/executable", 0o711), link("/etc/open/link", "f"), regular("/etc/x/f", 0o600),
	)
	tests := map[string]struct {
		p       string
		execute bool
		want    []string
	}{
		"open":                            {"/etc/open/f", false, nil},
		"private":                         {"/etc/open/private", false, []string{"/etc/open/private"}},
		"private below private":           {"/etc/x/f", false, []string{"/etc/x", "/etc/x/f"}},
		"its own below private":           {"/etc/x/own", false, []string{"/etc/x"}},
		"its group's below private":       {"/etc/x/group", false, []string{"/etc/x"}},
		"a program":                       {"/etc/open/program", true, []string{"/etc/open/program"}},
		"a program that it may run":       {"/etc/open/executable", true, nil},
		"a program that it may not read":  {"/etc/open/executable", false, []string{"/etc/open/executable"}},
		"a directory that it may not see": {"/etc/list", false, []string{"/etc/list"}},
		"below a directory that it may":   {"/etc/list/missing", false, nil},
		"a link":                          {"/etc/open/link", false, nil},
		"missing":                         {"/missing/f", false, nil},
		"the root":                        {"/", false, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, f := range tr.obstacles(tt.p, 9000, 9000, tt.execute) {
				got = append(got, f.Path)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("obstacles (-want +got)\n%s", diff)
			}
		})
	}
}
