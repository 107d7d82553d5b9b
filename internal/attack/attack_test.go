package attack

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/deckhand-engine/deckhand/internal/need"
)

const root = "../.." // of the module

// TestSucceedsWithoutDefence runs each attack against a build without the defence.
func TestSucceedsWithoutDefence(t *testing.T) {
	need.Root(t)
	for name, a := range attacks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			program := a.build(t)
			out, err := runTest(t, program, a)
			if _, failed := errors.AsType[*exec.ExitError](err); !failed {
				t.Fatalf("%s passes without its defence: %v\n%s", a.test, err, out)
			}
			if !strings.Contains(out, "--- FAIL: "+a.test+" ") {
				t.Fatalf("%s did not fail, but:\n%s", a.test, out)
			}
			if !regexp.MustCompile(a.shows).MatchString(out) {
				t.Errorf("%s fails, but not because the attack succeeds (%s):\n%s", a.test, a.shows, out)
			}
		})
	}
}

// build makes the package's test program, weakened.
func (a attack) build(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	replace := map[string]string{}
	for i, e := range a.without {
		path, err := filepath.Abs(filepath.Join(root, e.file))
		if err != nil {
			t.Fatal(err)
		}
		from := path
		if changed, ok := replace[path]; ok {
			from = changed
		}
		text, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(text), e.is); n != 1 {
			t.Fatalf("%s has %q %d times, want it once: where is the defence now?", e.file, e.is, n)
		}
		to := filepath.Join(dir, string(rune('a'+i))+".go")
		if err := os.WriteFile(to, []byte(strings.Replace(string(text), e.is, e.becomes, 1)), 0o644); err != nil {
			t.Fatal(err)
		}
		replace[path] = to
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	overlay := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlay, text, 0o644); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "weakened.test")
	cmd := exec.CommandContext(t.Context(), "go", "test", "-c", "-o", program, "-overlay", overlay, "./"+a.pkg)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build without the defence: %v\n%s", err, out)
	}
	return program
}

func runTest(t *testing.T, program string, a attack) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, "-test.run", "^"+a.test+"$", "-test.v", "-test.timeout=2m")
	cmd.Dir = filepath.Join(root, a.pkg)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// TestDocumented holds docs/security.md to the list: each attack has a row, and no row is without one.
func TestDocumented(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "docs/security.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), "\n## Attacks\n")
	if !found {
		t.Fatal("docs/security.md has no section Attacks")
	}
	table, _, _ = strings.Cut(table, "\n## ")
	rows := map[string]string{}
	for line := range strings.Lines(table) {
		if cells := strings.Split(strings.TrimSpace(line), " | "); len(cells) == 4 {
			rows[strings.TrimPrefix(cells[0], "| ")] = line
		}
	}
	delete(rows, "attack")
	for name, a := range attacks {
		row, ok := rows[name]
		if !ok {
			t.Errorf("docs/security.md: no row for %q", name)
		}
		for _, want := range append(strings.Fields(a.cve), a.pkg, a.test) {
			if !strings.Contains(row, want) {
				t.Errorf("docs/security.md: the row of %q does not say %s", name, want)
			}
		}
		delete(rows, name)
	}
	for name := range rows {
		t.Errorf("docs/security.md: %q is no attack of the tests", name)
	}
}
