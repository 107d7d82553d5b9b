package proof_test

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/guard/proof"
	"github.com/deckhand-engine/deckhand/internal/hint"
	"github.com/deckhand-engine/deckhand/internal/need"
)

// tree is what is in a directory: regular files with their content, other things with their kind.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		content := e.Type().String()
		if e.Type().IsRegular() {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			content = string(data)
		}
		all[path[len(dir)+1:]] = content
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// written is what Write is to have made of a proof.
func written(t *testing.T, p *proof.Proof) map[string]string {
	t.Helper()
	all := map[string]string{}
	for name, content := range files(t, p) {
		all[name] = string(content)
	}
	return all
}

func makeFiles(t *testing.T, dir string, all map[string]string) {
	t.Helper()
	for name, content := range all {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWrite(t *testing.T) {
	above := t.TempDir()
	dir := filepath.Join(above, "proof")
	if err := proof.Write(dir, sample()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(written(t, sample()), tree(t, dir)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	for name, want := range map[string]fs.FileMode{proof.RunName: 0o755, proof.FileName: 0o644} {
		if st, err := os.Stat(filepath.Join(dir, name)); err != nil || st.Mode().Perm() != want {
			t.Errorf("%s: mode %v, %v", name, st.Mode(), err)
		}
	}
	got, err := proof.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sample(), got); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}

	// Another proof takes its place; files of others stay, those of the first that the second has not go.
	makeFiles(t, dir, map[string]string{"notes": "mine", "sub/notes": "mine as well"})
	if err := proof.Write(dir, irreducible()); err != nil {
		t.Fatal(err)
	}
	want := written(t, irreducible())
	maps.Copy(want, map[string]string{"notes": "mine", "sub": "d---------", "sub/notes": "mine as well"})
	if diff := cmp.Diff(want, tree(t, dir)); diff != "" {
		t.Errorf("replaced (-want +got):\n%s", diff)
	}
	if left := tree(t, above); len(left) != len(want)+1 {
		t.Errorf("there is more than the proof: %q", slices.Sorted(maps.Keys(left)))
	}
}

func TestWriteInto(t *testing.T) {
	whole := string(files(t, sample())[proof.FileName])
	tests := map[string]struct {
		there map[string]string // in the directory
		links map[string]string // beside it
		dir   string
		want  string // of the error; empty: it is taken
		hint  string
	}{
		"an empty directory": {there: map[string]string{}, dir: "proof"},
		"itself":             {there: map[string]string{}, dir: "proof/."},
		"a link to it":       {there: map[string]string{}, links: map[string]string{"link": "proof"}, dir: "link"},
		"another version's":  {there: map[string]string{proof.FileName: strings.Replace(whole, `"version": 1`, `"version": 9`, 1)}, dir: "proof"},
		"what a kill left":   {there: map[string]string{".deckhand-harden-x/proof.json": "{"}, dir: "proof"},
		"others' files": {
			there: map[string]string{"main.go": "package main"}, dir: "proof",
			want: "/proof holds other files and no proof.json of deckhand harden", hint: "deckhand harden --output DIR",
		},
		"another proof.json": {there: map[string]string{proof.FileName: `{"version": 1}`}, dir: "proof", want: "no proof.json of deckhand harden"},
		"no JSON":            {there: map[string]string{proof.FileName: `x`}, dir: "proof", want: "no proof.json of deckhand harden"},
		"a directory in the way": {
			there: map[string]string{proof.FileName: whole, "run.sh/x": ""}, dir: "proof", want: "/run.sh is a directory",
		},
		"a file":              {there: map[string]string{"x": ""}, dir: "proof/x", want: "not a directory"},
		"below a file":        {there: map[string]string{"x": ""}, dir: "proof/x/y", want: "not a directory"},
		"nothing above":       {dir: "a b/c", want: "there is no directory ", hint: "mkdir -p '"},
		"a link that dangles": {links: map[string]string{"link": "nowhere"}, dir: "link", want: "is a link that leads nowhere"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			above := t.TempDir()
			if tt.there != nil {
				if err := os.Mkdir(filepath.Join(above, "proof"), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			makeFiles(t, filepath.Join(above, "proof"), tt.there)
			for name, to := range tt.links {
				if err := os.Symlink(to, filepath.Join(above, name)); err != nil {
					t.Fatal(err)
				}
			}
			before := tree(t, above)
			dir := above + "/" + tt.dir
			asked, err := proof.MayWrite(dir), proof.Write(dir, sample())
			if tt.want == "" {
				if asked != nil || err != nil {
					t.Fatalf("%v, and then %v", asked, err)
				}
				if diff := cmp.Diff(written(t, sample()), tree(t, filepath.Join(above, "proof"))); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || asked == nil || asked.Error() != err.Error() {
				t.Errorf("error %v, want %q, and asked before %v", err, tt.want, asked)
			}
			if got := strings.Join(hint.Of(err), "\n"); !strings.Contains(got, tt.hint) {
				t.Errorf("hint %q, want %q", got, tt.hint)
			}
			if diff := cmp.Diff(before, tree(t, above)); diff != "" {
				t.Errorf("something was changed (-before +after):\n%s", diff)
			}
		})
	}
}

// TestWriteOfNothing leaves everything as it was where the proof cannot be written at all.
func TestWriteOfNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "proof")
	p := sample()
	p.Profile.User = ""
	if err := proof.Write(dir, p); err == nil {
		t.Error("a profile without a user was written")
	}
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory is there: %v", err)
	}
}

// TestFullDisk: a proof for which there is no room leaves nothing, and the one before as it was.
func TestFullDisk(t *testing.T) {
	need.Root(t)
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=160k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	large := sample()
	large.Dockerfile += strings.Repeat("#", 200<<10)
	dir := filepath.Join(disk, "proof")
	full := func() {
		t.Helper()
		before := tree(t, disk)
		if err := proof.Write(dir, large); !errors.Is(err, unix.ENOSPC) {
			t.Fatalf("error %v, want %v", err, unix.ENOSPC)
		}
		if diff := cmp.Diff(before, tree(t, disk)); diff != "" {
			t.Errorf("-before +after:\n%s", diff)
		}
	}
	full()
	if err := proof.Write(dir, sample()); err != nil {
		t.Fatal(err)
	}
	full()
}

// TestReadOnly says before the work that its result cannot be written.
func TestReadOnly(t *testing.T) {
	need.Root(t)
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	for _, dir := range []string{disk, filepath.Join(disk, "proof")} {
		for _, err := range []error{proof.MayWrite(dir), proof.Write(dir, sample())} {
			if want := "write proof: make files in " + disk + ": read-only file system"; err == nil || err.Error() != want {
				t.Errorf("%s: error %v, want %s", dir, err, want)
			}
		}
	}
}

// TestSweep removes what somebody who was killed has left, and leaves alone who still works.
func TestSweep(t *testing.T) {
	above := t.TempDir()
	makeFiles(t, above, map[string]string{".deckhand-harden-dead/x": "", ".deckhand-harden-alive/x": "", ".deckhand-harden-file": ""})
	alive, err := os.Open(filepath.Join(above, ".deckhand-harden-alive"))
	if err != nil {
		t.Fatal(err)
	}
	defer alive.Close()
	if err := unix.Flock(int(alive.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if err := proof.Write(filepath.Join(above, "proof"), irreducible()); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(above)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if diff := cmp.Diff([]string{".deckhand-harden-alive", ".deckhand-harden-file", "proof"}, names); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestWriteAtOnce has several write into one place: each succeeds or says why, and what is there in the end is one
// whole proof.
func TestWriteAtOnce(t *testing.T) {
	above := t.TempDir()
	dir := filepath.Join(above, "proof")
	done := make(chan error)
	for range 8 {
		go func() { done <- proof.Write(dir, sample()) }()
	}
	succeeded := 0
	for range 8 {
		if err := <-done; err == nil {
			succeeded++
		} else if !errors.Is(err, fs.ErrExist) {
			t.Error(err)
		}
	}
	if succeeded == 0 {
		t.Error("nobody succeeded")
	}
	if diff := cmp.Diff(written(t, sample()), tree(t, dir)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if left := tree(t, above); len(left) != len(written(t, sample()))+1 {
		t.Errorf("left behind: %q", slices.Sorted(maps.Keys(left)))
	}
}
