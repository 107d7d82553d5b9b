package proof_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestFill runs the command that fills a new volume in Kubernetes: once it has succeeded it does nothing more, and
// what an interrupted one has left is no obstacle.
func TestFill(t *testing.T) {
	d, _ := manifest(t, sample())
	command := d.Spec.Template.Spec.InitContainers[0].Command
	dir := t.TempDir()
	image, volume := filepath.Join(dir, "an image"), filepath.Join(dir, "new")
	makeFiles(t, image, map[string]string{"a": "a", "sub/b": "b"})
	makeFiles(t, volume, map[string]string{".part/half": "", "lost+found/x": ""})
	if err := os.Chmod(image, 0o700); err != nil {
		t.Fatal(err)
	}
	fill := func() {
		t.Helper()
		script := strings.ReplaceAll(command[2], "/new", volume)
		if out, err := exec.Command(command[0], command[1], script, command[3], image).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	fill()
	want := map[string]string{"kept": "d---------", "kept/a": "a", "kept/sub": "d---------", "kept/sub/b": "b", "lost+found": "d---------", "lost+found/x": ""}
	if diff := cmp.Diff(want, tree(t, volume)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if st, err := os.Stat(filepath.Join(volume, "kept")); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("the directory's mode is %v, %v", st.Mode(), err)
	}
	makeFiles(t, volume, map[string]string{"kept/a": "changed by the service"})
	if err := os.RemoveAll(filepath.Join(volume, "kept/sub")); err != nil {
		t.Fatal(err)
	}
	fill()
	delete(want, "kept/sub")
	delete(want, "kept/sub/b")
	want["kept/a"] = "changed by the service"
	if diff := cmp.Diff(want, tree(t, volume)); diff != "" {
		t.Errorf("filled again: -want +got:\n%s", diff)
	}
	if command[4] != "/var/lib/redis" {
		t.Errorf("it copies %q", command[4])
	}
}
