package layer

import (
	"archive/tar"
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/need"
)

// The layers of TestOverlay, and what a container sees.
var (
	overlayLower = []tar.Header{
		dir("gone"), file("gone/x", ""), file("file", "old"), dir("opaque"), file("opaque/old", ""), dir("opaque/sub"),
		dir("again"), file("again/old", ""), dir("swap"), file("swap/old", ""), dir("keep"), file("keep/old", ""),
		dir("late"), file("late/old", ""), dir("implicit"), file("implicit/old", ""), dir("both"), file("both/old", ""),
		file(".wh.bottom", ""),
	}
	overlayUpper = []tar.Header{
		file(".wh.gone", ""), file(".wh.file", ""), file(".wh.never", ""),
		dir("opaque"), file("opaque/.wh..wh..opq", ""), file("opaque/new", ""),
		file(".wh.again", ""), dir("again"), file("again/new", ""), // deleted and made anew
		dir("swap"), file("swap/new", ""), file(".wh.swap", ""), // the other way round
		dir("keep"), file("keep/new", ""), file(".wh..wh.plnk", ""),
		dir("late"), file("late/new", ""), file("late/.wh..wh..opq", ""),
		file(".wh.implicit", ""), file("implicit/new", ""),
		file(".wh.both", ""), file("both", "now a file"),
	}
	overlayMerged = []string{
		".", "again", "again/new", "both", "implicit", "implicit/new", "keep", "keep/new", "keep/old", "late", "late/new",
		"opaque", "opaque/new", "swap", "swap/new",
	}
)

func TestOverlay(t *testing.T) {
	need.Root(t)
	testOverlay(t, Options{})
}

// In a user namespace whiteouts are devices as well, which Linux allows since 5.8, and the opaque mark is user.*.
func TestOverlayInUserNamespace(t *testing.T) {
	if os.Getenv("LAYER_TEST_IN_USERNS") != "" {
		testOverlay(t, Options{UserXattr: true, TolerateOwner: true})
		return
	}
	need.Userns(t)
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestOverlayInUserNamespace$", "-test.v")
	cmd.Env = append(os.Environ(), "LAYER_TEST_IN_USERNS=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS")) {
		t.Fatalf("%v\n%s", err, out)
	}
}

func testOverlay(t *testing.T, o Options) {
	bottom := o
	bottom.Bottom = true
	lower, _, err := extract(t, tarOf(t, overlayLower...), bottom)
	if err != nil {
		t.Fatal(err)
	}
	archive := tarOf(t, append(overlayUpper, tar.Header{Name: "dev", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3})...)
	upper, got, err := extract(t, archive, o)
	if err != nil {
		t.Fatal(err)
	}
	if o.UserXattr {
		if got.Devices != 1 {
			t.Errorf("%d device nodes left out, want 1", got.Devices)
		}
	} else if err := os.Remove(filepath.Join(upper, "dev")); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(overlayMerged, mountedNames(t, o, upper, lower)); diff != "" {
		t.Error(diff)
	}
	// What is exported and unpacked again means the same.
	again, _, err := extract(t, export(t, upper), o)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(overlayMerged, mountedNames(t, o, again, lower)); diff != "" {
		t.Errorf("after export:\n%s", diff)
	}
}

// mountedNames lists what overlayfs makes of the layers, topmost first.
func mountedNames(t *testing.T, o Options, layers ...string) []string {
	t.Helper()
	target := t.TempDir()
	options := "lowerdir=" + strings.Join(layers, ":")
	if o.UserXattr {
		options += ",userxattr"
	}
	if err := unix.Mount("overlay", target, "overlay", unix.MS_RDONLY, options); err != nil {
		t.Fatalf("mount overlay: %v", err)
	}
	defer func() {
		if err := unix.Unmount(target, 0); err != nil {
			t.Error(err)
		}
	}()
	var names []string
	err := filepath.WalkDir(target, func(path string, _ os.DirEntry, err error) error {
		rel, relErr := filepath.Rel(target, path)
		names = append(names, rel)
		return errors.Join(err, relErr)
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func export(t testing.TB, dir string) []byte {
	t.Helper()
	var buf bytes.Buffer
	if err := Export(t.Context(), &buf, dir); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestExportRoundTrip(t *testing.T) {
	need.Root(t)
	capability := "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	archive := tarOf(t,
		tar.Header{Name: ".", Typeflag: tar.TypeDir, Mode: 0o711, Uid: 3},
		tar.Header{Name: "b", Typeflag: tar.TypeDir, Mode: 0o1755, Gid: 7, PAXRecords: map[string]string{"SCHILY.xattr.user.x": "y"}},
		tar.Header{Name: "b/su", Mode: 0o4755, Uid: 1, Linkname: strings.Repeat("content", 100_000)},
		hardlink("a-link", "b/su"), hardlink("z-link", "b/su"),
		symlink("l", "/abs"), hardlink("l2", "l"),
		tar.Header{Name: "null", Typeflag: tar.TypeChar, Mode: 0o666, Devmajor: 1, Devminor: 3},
		tar.Header{Name: "loop", Typeflag: tar.TypeBlock, Mode: 0o660, Devmajor: 7, Devminor: 300},
		tar.Header{Name: "fifo", Typeflag: tar.TypeFifo},
		tar.Header{Name: "ping", PAXRecords: map[string]string{"SCHILY.xattr.security.capability": capability}},
		file("b/"+strings.Repeat("n", 255), "long"), file("b/spa ce\nand\tmore é \xff", "odd"),
		tar.Header{Name: "big-id", Uid: 5_000_000, Gid: 5_000_000},
	)
	root, _, err := extract(t, archive, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Mknod(filepath.Join(root, "socket"), unix.S_IFSOCK|0o600, 0); err != nil {
		t.Fatal(err)
	}
	first := export(t, root)
	again, _, err := extract(t, first, Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := tree(t, root)
	delete(want, "socket")
	if diff := cmp.Diff(want, tree(t, again)); diff != "" {
		t.Error(diff)
	}
	if !bytes.Equal(first, export(t, again)) {
		t.Error("the same content was exported differently")
	}
}

// A file that is named like a whiteout cannot be said in a layer.
func TestExportRefusesFakeWhiteouts(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, ".wh.x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Export(t.Context(), &bytes.Buffer{}, root); err == nil || !strings.Contains(err.Error(), ".wh.x") {
		t.Errorf("got %v", err)
	}
}

func TestInheritDirs(t *testing.T) {
	need.Root(t)
	capital := func(h tar.Header, mode int64, uid int) tar.Header {
		h.Mode, h.Uid = mode, uid
		return h
	}
	bottom, _, err := extract(t, tarOf(t,
		capital(dir("."), 0o711, 9), capital(dir("a"), 0o700, 1), capital(dir("a/b"), 0o2770, 2), dir("gone"), capital(dir("gone/x"), 0o700, 3),
		symlink("link", "a"), capital(dir("was"), 0o700, 4),
	), Options{Bottom: true})
	if err != nil {
		t.Fatal(err)
	}
	middle, got, err := extract(t, tarOf(t, capital(dir("a"), 0o750, 5), file(".wh.gone", ""), file("was", "file")), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := InheritDirs(middle, got.Implicit, []string{bottom}, Options{}); err != nil {
		t.Fatal(err)
	}
	top, got, err := extract(t, tarOf(t, file("a/b/c/f", ""), file("gone/x/f", ""), file("was/f", ""), file("link/f", "")), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{".", "a", "a/b", "a/b/c", "gone", "gone/x", "link", "was"}, got.Implicit); diff != "" {
		t.Fatal(diff)
	}
	if err := InheritDirs(top, got.Implicit, []string{middle, bottom}, Options{}); err != nil {
		t.Fatal(err)
	}
	at := testTime.Unix()
	want := map[string]entry{
		".":       {Mode: os.ModeDir | 0o711, UID: 9, Time: at},
		"a":       {Mode: os.ModeDir | 0o750, UID: 5, Time: at},
		"a/b":     {Mode: os.ModeDir | os.ModeSetgid | 0o770, UID: 2, Time: at},
		"a/b/c":   {Mode: os.ModeDir | 0o755},
		"gone":    {Mode: os.ModeDir | 0o755},
		"gone/x":  {Mode: os.ModeDir | 0o755},
		"was":     {Mode: os.ModeDir | 0o755},
		"link":    {Mode: os.ModeDir | 0o755},
		"a/b/c/f": {Mode: 0o644, Nlink: 1, Time: at}, "gone/x/f": {Mode: 0o644, Nlink: 1, Time: at},
		"was/f": {Mode: 0o644, Nlink: 1, Time: at}, "link/f": {Mode: 0o644, Nlink: 1, Time: at},
	}
	if diff := cmp.Diff(want, tree(t, top)); diff != "" {
		t.Error(diff)
	}
	if got := entryOf(t, middle); got.UID != 9 || got.Mode.Perm() != 0o711 {
		t.Errorf("the root directory was not inherited: %+v", got)
	}
}

// The machine's own /etc comes out as tar unpacks it.
func TestExtractLikeTar(t *testing.T) {
	need.Root(t)
	need.Program(t, "tar")
	archive := run(t, "tar", "--xattrs", "--numeric-owner", "-C", "/", "-cf", "-", "etc")
	theirs := t.TempDir()
	path := filepath.Join(t.TempDir(), "etc.tar")
	if err := os.WriteFile(path, archive, 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "tar", "--xattrs", "--numeric-owner", "-C", theirs, "-xpf", path)
	ours, _, err := extract(t, archive, Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := tree(t, filepath.Join(theirs, "etc"))
	if len(want) < 20 {
		t.Fatalf("only %d files in /etc", len(want))
	}
	if diff := cmp.Diff(want, tree(t, filepath.Join(ours, "etc"))); diff != "" {
		t.Error(diff)
	}
}
