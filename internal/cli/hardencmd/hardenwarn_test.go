package hardencmd

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/deckhand-engine/deckhand/guard/harden"
	"github.com/deckhand-engine/deckhand/guard/profile"
	"github.com/deckhand-engine/deckhand/guard/proof"
	"github.com/deckhand-engine/deckhand/internal/need"
	"github.com/deckhand-engine/deckhand/internal/store"
)

// TestHardenStartsOver from the Dockerfile that an earlier run began with, unless somebody has changed what it made.
func TestHardenStartsOver(t *testing.T) {
	tree(t, map[string]string{"app/Dockerfile": "FROM base\n"})
	s := newShop(t)
	for _, args := range [][]string{{"--write"}, {"--write"}, {}, {"--output", "out"}} {
		if code, _, errOut := s.harden(t.Context(), append(args, "app")...); code != 0 {
			t.Fatalf("%v: exit code %d: %s", args, code, errOut)
		}
		if got := string(s.asked.Dockerfile); got != "FROM base\n" {
			t.Errorf("%v: it starts with %q", args, got)
		}
	}
	if p, err := proof.Read("out"); err != nil || p.Original != "FROM base\n" {
		t.Errorf("the proof is %v, %v", p, err)
	}
	const changed = "FROM base\nUSER 9000:9000\n# more\n"
	if err := os.WriteFile("app/Dockerfile", []byte(changed), 0o644); err != nil {
		t.Fatal(err)
	}
	if code, _, errOut := s.harden(t.Context(), "app"); code != 0 || string(s.asked.Dockerfile) != changed {
		t.Errorf("exit code %d, %q, it starts with %q", code, errOut, s.asked.Dockerfile)
	}
}

// TestHardenWarnsOfCopies where the next build would copy the proof.
func TestHardenWarnsOfCopies(t *testing.T) {
	const warning = "deckhand: warning: app/Dockerfile copies its whole directory, and from now on deckhand-proof with it\n" +
		"  leave it out:  echo deckhand-proof >>app/"
	tests := map[string]struct {
		files map[string]string
		args  string
		want  string
	}{
		"a part":          {map[string]string{"app/Dockerfile": "FROM base\nCOPY a b /\nCOPY x .\n"}, "--write app", ""},
		"all":             {map[string]string{"app/Dockerfile": "FROM base\nCOPY --chown=1 ./ /app\n"}, "--write app", warning + ".dockerignore\n"},
		"all, by JSON":    {map[string]string{"app/Dockerfile": "FROM base\nADD [\"x\", \"/\", \"/app/\"]\n"}, "--write app", warning + ".dockerignore\n"},
		"of a stage":      {map[string]string{"app/Dockerfile": "FROM base AS b\nFROM base\nCOPY --from=b / /\n"}, "--write app", ""},
		"ignored":         {map[string]string{"app/Dockerfile": "FROM base\nCOPY . .\n", "app/.dockerignore": "deckhand-proof\n"}, "--write app", ""},
		"not ignored":     {map[string]string{"app/Dockerfile": "FROM base\nCOPY . .\n", "app/Dockerfile.dockerignore": "x\n"}, "--write app", warning + "Dockerfile.dockerignore\n"},
		"other context":   {map[string]string{"app/Dockerfile": "FROM base\nCOPY . .\n", "src/x": ""}, "--write -f app/Dockerfile src", ""},
		"other directory": {map[string]string{"app/Dockerfile": "FROM base\nCOPY . .\n"}, "--write --output out app", ""},
		"nothing written": {map[string]string{"app/Dockerfile": "FROM base\nCOPY . .\n"}, "app", ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tree(t, tt.files)
			if code, _, errOut := newShop(t).harden(t.Context(), strings.Fields(tt.args)...); code != 0 || errOut != tt.want {
				t.Errorf("exit code %d, (-want +got):\n%s", code, cmp.Diff(tt.want, errOut))
			}
		})
	}
}

// TestHardenWarnsOfVolumes that root has filled.
func TestHardenWarnsOfVolumes(t *testing.T) {
	need.Root(t)
	tree(t, map[string]string{"app/Dockerfile": "FROM base\n"})
	s := newShop(t)
	for name, owner := range map[string]int{"app-old": 0, "app-new": 9000} {
		if err := s.store.CreateVolume(&store.Volume{Name: name}); err != nil {
			t.Fatal(err)
		}
		dir := s.store.VolumeDir(name)
		if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{dir, filepath.Join(dir, "file")} {
			if err := os.Chown(file, owner, owner); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.run = func(context.Context, harden.Options) (*proof.Proof, error) {
		p := anyProof()
		for _, name := range []string{"app-old", "app-new", "app-none"} {
			p.Profile.Volumes = append(p.Profile.Volumes, profile.Volume{Path: "/" + name, Name: name})
		}
		return p, nil
	}
	const want = "deckhand: warning: the volume app-old is there already, and 2 of 2 files in it belong to root\n" +
		"  see which files are root's, and give them away:  deckhand volume chown app-old 9000:9000\n"
	if code, _, errOut := s.harden(t.Context(), "--quiet", "app"); code != 0 || errOut != want {
		t.Errorf("exit code %d, (-want +got):\n%s", code, cmp.Diff(want, errOut))
	}
}
