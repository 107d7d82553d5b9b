package layer

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/deckhand-engine/deckhand/internal/need"
)

func TestExtractRefusesEscapes(t *testing.T) {
	outside := t.TempDir()
	secret := filepath.Join(outside, "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		entries []tar.Header
		want    error
		entry   string
	}{
		"parent":                {[]tar.Header{file("../x", "")}, ErrEscapes, "../x"},
		"parent in the middle":  {[]tar.Header{dir("a"), file("a/../../x", "")}, ErrEscapes, "a/../../x"},
		"absolute parent":       {[]tar.Header{file("/../x", "")}, ErrEscapes, "/../x"},
		"parent itself":         {[]tar.Header{dir("..")}, ErrEscapes, ".."},
		"hard link to parent":   {[]tar.Header{hardlink("x", "../../secret")}, ErrEscapes, "x"},
		"hard link to absolute": {[]tar.Header{hardlink("x", secret)}, ErrMalformed, "x"},
		"hard link through symlink": {
			[]tar.Header{symlink("l", outside), hardlink("x", "l/secret")}, ErrMalformed, "x",
		},
		"file through absolute symlink": {[]tar.Header{symlink("l", outside), file("l/x", "owned")}, os.ErrExist, "l/x"},
		"whiteout of parent":            {[]tar.Header{file(".wh...", "")}, ErrMalformed, ".wh..."},
		"whiteout of the directory":     {[]tar.Header{file("a/.wh..", "")}, ErrMalformed, "a/.wh.."},
		"whiteout of nothing":           {[]tar.Header{file(".wh.", "")}, ErrMalformed, ".wh."},
		"root as a file":                {[]tar.Header{file("./.", "x")}, ErrMalformed, "./."},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			root, _, err := extract(t, tarOf(t, test.entries...), options())
			if !errors.Is(err, test.want) {
				t.Fatalf("got %v, want %v", err, test.want)
			}
			if !strings.Contains(err.Error(), `"`+test.entry+`"`) {
				t.Errorf("%q does not name the entry %q", err, test.entry)
			}
			if names, err := os.ReadDir(filepath.Dir(root)); err != nil || len(names) != 1 {
				t.Errorf("beside the root: %v, %v", names, err)
			}
			if names, err := os.ReadDir(outside); err != nil || len(names) != 1 {
				t.Errorf("outside: %v, %v", names, err)
			}
		})
	}
}

// Symbolic links to anywhere are fine; what goes through them stays inside.
func TestExtractFollowsLinksInsideTheRoot(t *testing.T) {
	root, _, err := extract(t, tarOf(t,
		dir("usr"), dir("usr/lib"), symlink("lib", "/usr/lib"), symlink("up", "../../.."), symlink("dots", "/usr/../../usr"),
		file("lib/a", "A"), file("up/b", "B"), file("dots/c", "C"), hardlink("d", "/lib/a"), symlink("passwd", "/etc/passwd"),
	), options())
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"usr/lib/a": "A", "b": "B", "usr/c": "C", "d": "A"} {
		got, err := os.ReadFile(filepath.Join(root, name))
		if err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if target, err := os.Readlink(filepath.Join(root, "passwd")); err != nil || target != "/etc/passwd" {
		t.Errorf("symbolic link: %q, %v", target, err)
	}
}

func TestExtractReplaces(t *testing.T) {
	deep := []tar.Header{dir("x"), dir("x/y"), file("x/y/z", "old"), symlink("x/l", "/")}
	tests := map[string]struct {
		entries []tar.Header
		want    string // type of x, and content
	}{
		"file by file":         {[]tar.Header{file("x", "old"), file("x", "new")}, "-new"},
		"directory by file":    {append(slices.Clip(deep), file("x", "new")), "-new"},
		"file by directory":    {[]tar.Header{file("x", "old"), dir("x")}, "d"},
		"link by directory":    {[]tar.Header{symlink("x", "/"), dir("x")}, "d"},
		"directory by link":    {append(slices.Clip(deep), symlink("x", "new")), "Lnew"},
		"link by file":         {[]tar.Header{file("t", "target"), symlink("x", "t"), file("x", "new")}, "-new"},
		"file by hard link":    {[]tar.Header{file("t", "new"), file("x", "old"), hardlink("x", "t")}, "-new"},
		"hard link to itself":  {[]tar.Header{file("x", "new"), hardlink("x", "x")}, "-new"},
		"directory twice":      {[]tar.Header{dir("x"), file("x/a", ""), {Name: "x", Typeflag: tar.TypeDir, Mode: 0o700}}, "d"},
		"then filled":          {append(slices.Clip(deep), file("x", ""), dir("x"), file("x/y", "")), "d"},
		"with slashes and dot": {[]tar.Header{file("./x", "old"), file("//x", "new")}, "-new"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			root, _, err := extract(t, tarOf(t, test.entries...), options())
			if err != nil {
				t.Fatal(err)
			}
			e := entryOf(t, filepath.Join(root, "x"))
			if got := e.Mode.String()[:1] + e.Content; got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			if target, err := os.ReadFile(filepath.Join(root, "t")); err == nil && string(target) == "old" {
				t.Error("the link's target was overwritten")
			}
		})
	}
}

func TestExtractBlamesTheArchive(t *testing.T) {
	whole := tarOf(t, file("a", strings.Repeat("x", 4000)), file("b", "y"))
	tests := map[string]struct {
		archive []byte
		opts    Options
		want    error
	}{
		"truncated content": {whole[:2000], Options{}, ErrTruncated},
		"truncated header":  {whole[:512+4096+100], Options{}, ErrTruncated},
		"no tar":            {bytes.Repeat([]byte("no tar "), 1000), Options{}, ErrNotTar},
		"too many entries":  {whole, Options{MaxEntries: 1}, ErrTooLarge},
		"too many bytes":    {whole, Options{MaxBytes: 4000}, ErrTooLarge},
		"zeros without end": {append(bytes.Clone(whole), make([]byte, 1<<20)...), Options{MaxBytes: 100_000}, ErrTooLarge},
		"declared too large": {
			func() []byte {
				var buf bytes.Buffer
				_ = tar.NewWriter(&buf).WriteHeader(&tar.Header{Name: "bomb", Size: 1 << 62, Mode: 0o644})
				return buf.Bytes()
			}(), Options{}, ErrTooLarge,
		},
		"unknown type":  {tarOf(t, tar.Header{Name: "x", Typeflag: 'Z'}), Options{}, ErrMalformed},
		"device number": {tarOf(t, tar.Header{Name: "x", Typeflag: tar.TypeChar, Devmajor: 1 << 40}), Options{}, ErrMalformed},
		"link to nowhere": {
			tarOf(t, file("a", ""), hardlink("b", "c")), Options{}, ErrMalformed,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.opts.TolerateOwner = options().TolerateOwner
			_, _, err := extract(t, test.archive, test.opts)
			if !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

func TestExtractStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Extract(ctx, t.TempDir(), bytes.NewReader(tarOf(t, file("a", ""))), options())
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// What follows the end marker is read, too: whoever hashes the stream must see it.
func TestExtractReadsToTheEnd(t *testing.T) {
	r := bytes.NewReader(append(tarOf(t, file("a", "")), make([]byte, 100_000)...))
	if _, err := Extract(t.Context(), t.TempDir(), r, options()); err != nil {
		t.Fatal(err)
	}
	if r.Len() != 0 {
		t.Errorf("%d bytes left", r.Len())
	}
}

func TestExtractMetadata(t *testing.T) {
	need.Root(t)
	long := strings.Repeat("long-name-", 25)
	capability := "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" // cap_net_raw+ep
	bound := "\x01\x00\x00\x03" + capability[4:] + "\xa0\x86\x01\x00"                                // the same for root 100000
	archive := tarOf(t,
		tar.Header{Name: "./", Typeflag: tar.TypeDir, Mode: 0o1777, Uid: 5},
		tar.Header{Name: "su", Mode: 0o4755, Uid: 1, Gid: 2, Linkname: "su"},
		tar.Header{Name: "sg", Mode: 0o2711, Uid: 65535, Gid: 65535},
		tar.Header{Name: "d", Typeflag: tar.TypeDir, Mode: 0o2000, Gid: 7},
		tar.Header{Name: "d/" + long, Linkname: "x"},
		tar.Header{Name: "fifo", Typeflag: tar.TypeFifo, Mode: 0o600, Devmajor: 9},
		tar.Header{Name: "null", Typeflag: tar.TypeChar, Mode: 0o666, Devmajor: 1, Devminor: 3},
		tar.Header{Name: "loop", Typeflag: tar.TypeBlock, Mode: 0o660, Gid: 6, Devmajor: 7, Devminor: 300},
		tar.Header{Name: "fake", Typeflag: tar.TypeChar, Mode: 0o666},
		tar.Header{Name: "link", Typeflag: tar.TypeSymlink, Linkname: "nowhere", Uid: 3},
		tar.Header{Name: "hard", Typeflag: tar.TypeLink, Linkname: "su"},
		tar.Header{Name: "ping", Mode: 0o755, PAXRecords: map[string]string{
			"SCHILY.xattr.security.capability": capability, "SCHILY.xattr.user.a": "1\x002",
			"SCHILY.xattr.trusted.overlay.opaque": "y", "SCHILY.xattr.user.overlay.opaque": "y",
		}},
		tar.Header{Name: "bound", Mode: 0o755, PAXRecords: map[string]string{"SCHILY.xattr.security.capability": bound}},
		tar.Header{Name: "ns", ModTime: time.Unix(1, 5), Format: tar.FormatPAX},
	)
	root, got, err := extract(t, archive, Options{})
	if err != nil {
		t.Fatal(err)
	}
	at := testTime.Unix()
	want := map[string]entry{
		".":         {Mode: os.ModeDir | os.ModeSticky | 0o777, UID: 5, Time: at},
		"su":        {Mode: os.ModeSetuid | 0o755, UID: 1, GID: 2, Content: "su", Nlink: 2, Time: at},
		"hard":      {Mode: os.ModeSetuid | 0o755, UID: 1, GID: 2, Content: "su", Nlink: 2, Time: at},
		"sg":        {Mode: os.ModeSetgid | 0o711, UID: 65535, GID: 65535, Nlink: 1, Time: at},
		"d":         {Mode: os.ModeDir | os.ModeSetgid, GID: 7, Time: at},
		"d/" + long: {Mode: 0o644, Content: "x", Nlink: 1, Time: at},
		"fifo":      {Mode: os.ModeNamedPipe | 0o600, Nlink: 1, Time: at},
		"null":      {Mode: os.ModeDevice | os.ModeCharDevice | 0o666, Nlink: 1, Time: at, Rdev: 1<<8 | 3},
		"loop":      {Mode: os.ModeDevice | 0o660, GID: 6, Nlink: 1, Time: at, Rdev: 7<<8 | 300&0xff | (300&^0xff)<<12},
		"link":      {Mode: os.ModeSymlink | 0o777, Content: "nowhere", UID: 3, Nlink: 1, Time: at},
		"ping":      {Mode: 0o755, Nlink: 1, Time: at, Xattrs: map[string]string{"security.capability": capability, "user.a": "1\x002"}},
		"bound":     {Mode: 0o755, Nlink: 1, Time: at, Xattrs: map[string]string{"security.capability": capability}},
		"ns":        {Mode: 0o644, Nlink: 1, Time: 1},
	}
	if diff := cmp.Diff(want, tree(t, root)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(Extracted{Entries: 14, Bytes: 3, Devices: 1, Xattrs: 2}, got); diff != "" {
		t.Error(diff)
	}
}

func TestSparseFilesKeepTheirHoles(t *testing.T) {
	need.Program(t, "tar")
	src := t.TempDir()
	f, err := os.OpenFile(filepath.Join(src, "sparse"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	const size = 64 << 20
	if _, err := f.WriteAt([]byte("middle"), size/2); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(size), f.Close()); err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"gnu", "posix"} {
		t.Run(format, func(t *testing.T) {
			archive := run(t, "tar", "--sparse", "--format="+format, "-C", src, "-cf", "-", ".")
			if len(archive) > 1<<20 {
				t.Fatalf("the archive itself is not sparse: %d bytes", len(archive))
			}
			root, _, err := extract(t, archive, options())
			if err != nil {
				t.Fatal(err)
			}
			got := statOf(t, filepath.Join(root, "sparse"))
			if got.Size != size || got.Blocks*512 > 4<<20 {
				t.Errorf("size %d, on disk %d", got.Size, got.Blocks*512)
			}
			data, err := os.ReadFile(filepath.Join(root, "sparse"))
			if err != nil || string(data[size/2:size/2+6]) != "middle" || bytes.Count(data, []byte{0}) != size-6 {
				t.Errorf("content differs (%v)", err)
			}
		})
	}
}

func TestDecompress(t *testing.T) {
	archive := tarOf(t, file("a", strings.Repeat("abc", 100_000)))
	for _, program := range []string{"cat", "gzip", "zstd", "xz", "bzip2"} {
		t.Run(program, func(t *testing.T) {
			need.Program(t, program)
			packed := runWith(t, archive, program)
			r, compression, err := Decompress(t.Context(), bytes.NewReader(packed))
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(r)
			if err := errors.Join(err, r.Close()); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, archive) {
				t.Error("content differs")
			}
			if want := strings.Replace(program, "cat", "plain", 1); compression.String() != want {
				t.Errorf("compression %s, want %s", compression, want)
			}
			if program == "cat" {
				return
			}
			damaged := bytes.Clone(packed)
			damaged[len(damaged)/2] ^= 0x55
			for name, bad := range map[string]struct {
				data []byte
				want error
			}{"truncated": {packed[:len(packed)*2/3], ErrTruncated}, "damaged": {damaged, ErrMalformed}} {
				if err := readAll(t, bad.data); !errors.Is(err, bad.want) {
					t.Errorf("%s: %v, want %v", name, err, bad.want)
				}
			}
		})
	}
}

// readAll decompresses and returns the error.
func readAll(t *testing.T, data []byte) error {
	t.Helper()
	r, _, err := Decompress(t.Context(), bytes.NewReader(data))
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, r)
	return errors.Join(err, r.Close())
}
