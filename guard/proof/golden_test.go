package proof_test

import (
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/deckhand-engine/deckhand/guard/proof"
)

var update = flag.Bool("update", false, "write the golden files")

// TestFiles compares all files with those in testdata.
func TestFiles(t *testing.T) {
	for name, p := range map[string]*proof.Proof{"redis": sample(), "cron": irreducible()} {
		t.Run(name, func(t *testing.T) {
			got, dir := files(t, p), filepath.Join("testdata", name)
			if *update {
				rewrite(t, dir, got)
			}
			entries, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, e := range entries {
				names = append(names, e.Name())
			}
			if diff := cmp.Diff(names, slices.Sorted(maps.Keys(got))); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
			for _, name := range names {
				want, err := os.ReadFile(filepath.Join(dir, name))
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(string(want), string(got[name])); diff != "" {
					t.Errorf("%s (-want +got):\n%s", name, diff)
				}
			}
		})
	}
}

func rewrite(t *testing.T, dir string, all map[string][]byte) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range all {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDeterministic writes the same proof from lists in another order, and leaves the proof as it was.
func TestDeterministic(t *testing.T) {
	p := sample()
	slices.Reverse(p.Syscalls)
	slices.Reverse(p.Refused)
	p.Syscalls = append(p.Syscalls, p.Syscalls[0])
	before := slices.Clone(p.Syscalls)
	if diff := cmp.Diff(files(t, sample()), files(t, p)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(before, p.Syscalls); diff != "" {
		t.Errorf("the proof was changed:\n%s", diff)
	}
}

func TestFilesRefuses(t *testing.T) {
	tests := map[string]struct {
		spoil func(*proof.Proof)
		want  string
	}{
		"version":     {func(p *proof.Proof) { p.Version = 7 }, "write proof: version 7 is not known here, only 1 is"},
		"profile":     {func(p *proof.Proof) { p.Profile.User = "redis" }, `write proof: profile: user: "redis" is not two numbers UID:GID`},
		"system call": {func(p *proof.Proof) { p.Syscalls = []string{"Read"} }, `write proof: syscalls[0]: "Read" is no system call's name`},
		"time":        {func(p *proof.Proof) { p.Trials[0].Took = -1 }, "write proof.json: json: error calling MarshalJSON for type proof.Trial: a trial took -1e-09 seconds: 0 to 1048576 are known"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := sample()
			tt.spoil(p)
			if _, err := proof.Files(p); err == nil || err.Error() != tt.want {
				t.Errorf("error %v, want %s", err, tt.want)
			}
		})
	}
}
