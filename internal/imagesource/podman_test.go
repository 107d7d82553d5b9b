package imagesource

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gcr "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/internal/need"
)

// podmanStorage lays an image out as podman does, without whiteouts, which take privileges.
func podmanStorage(t testing.TB, driver string, img gcr.Image, name string, layers ...map[string]string) (root, id string) {
	t.Helper()
	root = t.TempDir()
	put := func(data []byte, elem ...string) {
		t.Helper()
		file := filepath.Join(append([]string{root}, elem...)...)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	encode := func(v any) []byte {
		t.Helper()
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	id = strings.TrimPrefix(configOf(t, img), "sha256:")
	manifest, err := img.RawManifest()
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.RawConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	var known []podmanLayer
	parent := ""
	for i, files := range layers {
		l := podmanLayer{ID: strings.Repeat(string(rune('a'+i)), 64), Parent: parent}
		known, parent = append(known, l), l.ID
		for name, content := range files {
			if driver == "vfs" {
				put([]byte(content), "vfs", "dir", l.ID, name)
			} else {
				put([]byte(content), "overlay", l.ID, "diff", name)
			}
		}
	}
	put(encode(known), driver+"-layers", "layers.json")
	put(encode([]podmanImage{{ID: id, Names: []string{name}, Layer: parent}}), driver+"-images", "images.json")
	put(manifest, driver+"-images", id, "manifest")
	put(config, driver+"-images", id, bigData("sha256:"+id))
	return root, id
}

func TestPodman(t *testing.T) {
	img := imageOf(t, gcr.Config{User: "app"}, []file{{name: "x"}})
	for _, driver := range []string{"overlay", "vfs"} {
		t.Run(driver, func(t *testing.T) {
			root, id := podmanStorage(t, driver, img, "localhost/corp/app:v1",
				map[string]string{"etc/passwd": rootOnly, "etc/group": "root:x:0:\n"},
				map[string]string{"etc/passwd": withApp, "etc/group": "root:x:0:\n"})
			s := New(Options{Podman: []string{filepath.Join(root, "nosuch"), root}})
			for _, name := range []string{"localhost/corp/app:v1", "corp/app:v1", id[:12], id, "sha256:" + id} {
				found, err := s.Image(t.Context(), "containers-storage:"+name)
				if err != nil {
					t.Error(name, err)
					continue
				}
				if got := read(t, found.Files, "/etc/passwd"); got != withApp || found.Config.Config.User != "app" {
					t.Errorf("%s: user %q, passwd %q", name, found.Config.Config.User, got)
				}
				if found.Local != (os.Geteuid() == 0) {
					t.Errorf("local: %v", found.Local)
				}
			}
			if found, err := New(Options{}).Image(t.Context(), "containers-storage:["+driver+"@"+root+"+/run/x]corp/app:v1"); err != nil {
				t.Error(found, err)
			}
			if _, err := s.Image(t.Context(), "containers-storage:redis:7"); !errors.Is(err, errNotInPodman) {
				t.Errorf("got %v", err)
			}
			names, ok, err := s.List(t.Context(), "containers-storage:")
			if err != nil || !ok || !slices.Equal(names, []string{"containers-storage:localhost/corp/app:v1"}) {
				t.Errorf("list %v, %v, %v", names, ok, err)
			}
		})
	}
}

func TestPodmanWhiteouts(t *testing.T) {
	need.Root(t)
	root, _ := podmanStorage(t, "overlay", imageOf(t, gcr.Config{}), "corp/app:v1",
		map[string]string{"a/1": "1", "a/2": "2", "b/1": "1"}, map[string]string{"a/3": "3", "b/2": "2"})
	top := filepath.Join(root, "overlay", strings.Repeat("b", 64), "diff")
	if err := unix.Mknod(filepath.Join(top, "a/1"), unix.S_IFCHR, 0); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setxattr(filepath.Join(top, "b"), "trusted.overlay.opaque", []byte("y"), 0); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(top, "a/3"), fs.ModeSetuid|0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Lchown(filepath.Join(top, "b/2"), 1000, 1000); err != nil {
		t.Fatal(err)
	}
	img, err := New(Options{Podman: []string{root}}).Image(t.Context(), "containers-storage:corp/app:v1")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	err = img.Files.Walk(t.Context(), func(f guard.File) error {
		if f.Mode.IsRegular() {
			got = append(got, f.Path)
		}
		if f.Path == "/a/3" && f.Mode != fs.ModeSetuid|0o755 || f.Path == "/b/2" && f.UID != 1000 {
			t.Errorf("file %+v", f)
		}
		return nil
	})
	slices.Sort(got)
	if want := []string{"/a/2", "/a/3", "/b/2"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("files %v, %v, want %v", got, err, want)
	}
}

func TestPodmanFails(t *testing.T) {
	img := imageOf(t, gcr.Config{})
	for name, tc := range map[string]struct {
		spoil func(root, id string) error
		want  string
	}{
		"no JSON": {func(root, _ string) error {
			return os.WriteFile(filepath.Join(root, "overlay-images/images.json"), []byte("{"), 0o600)
		}, "parse "},
		"layer missing": {func(root, _ string) error {
			return os.WriteFile(filepath.Join(root, "overlay-layers/layers.json"), []byte("[]"), 0o600)
		}, "has no layer"},
		"layers in a circle": {func(root, _ string) error {
			id := strings.Repeat("a", 64)
			return os.WriteFile(filepath.Join(root, "overlay-layers/layers.json"), []byte(`[{"id":"`+id+`","parent":"`+id+`"}]`), 0o600)
		}, "below itself"},
		"id of a path": {func(root, _ string) error {
			return os.WriteFile(filepath.Join(root, "overlay-images/images.json"), []byte(`[{"id":"../x","names":["a:b"]}]`), 0o600)
		}, `image id "../x" is none`},
	} {
		t.Run(name, func(t *testing.T) {
			root, id := podmanStorage(t, "overlay", img, "a:b", map[string]string{"x": "x"})
			if err := tc.spoil(root, id); err != nil {
				t.Fatal(err)
			}
			got, err := New(Options{Podman: []string{root}}).Image(t.Context(), "containers-storage:a:b")
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
	if err := unreadable(&fs.PathError{Op: "open", Path: "x", Err: unix.EACCES}, "/r", "a:b"); !strings.Contains(err.Error(), "podman save -o app.tar a:b") {
		t.Errorf("got %v", err)
	}
	names, ok, err := New(Options{Podman: []string{t.TempDir()}}).List(t.Context(), "containers-storage:")
	if len(names) > 0 || !ok || err != nil {
		t.Errorf("an empty storage: %v, %v, %v", names, ok, err)
	}
}

func TestConfiguredRoot(t *testing.T) {
	for name, tc := range map[string]struct{ conf, want string }{
		"set":       {"[storage]\ndriver = \"overlay\"\n# graphroot = \"/no\"\ngraphroot = \"/srv/containers\"\n", "/srv/containers"},
		"not set":   {"[storage]\ndriver = \"overlay\"\n", "/default"},
		"relative":  {"graphroot = \"x\"\n", "/default"},
		"malformed": {"graphroot", "/default"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := configuredRoot(write(t, tc.conf), "/default"); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
	if got := configuredRoot("/nonexistent", "/default"); got != "/default" {
		t.Errorf("got %s", got)
	}
}
