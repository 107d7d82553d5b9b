package profile_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/deckhand-engine/deckhand/guard/profile"
	"github.com/deckhand-engine/deckhand/internal/hint"
)

const namedProfile = `{"version":1,"user":"9000:9000","capabilities":[],"seccomp":"filter.json"}`

func TestNamed(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for name, content := range map[string]string{
		"good/profile.json": namedProfile, "good/filter.json": "{}",
		"old/profile.json": `{"version":2}`, "lacking/profile.json": namedProfile,
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"good", "./good/", "good/profile.json", filepath.Join(dir, "good")} {
		p, at, err := profile.Named(name, "deckhand do")
		if err != nil || at != filepath.Join(dir, "good") || p.User != "9000:9000" {
			t.Errorf("%s: %+v in %s, %v", name, p, at, err)
			continue
		}
		if content, err := p.FilterContent(at); err != nil || string(content) != "{}" {
			t.Errorf("%s: the filter is %q, %v", name, content, err)
		}
	}
	for name, want := range map[string][2]string{
		"":                 {"names no directory", "deckhand do"},
		"none":             {"no such file", "deckhand do"},
		"good/filter.json": {"not a directory", ""},
		"old":              {"the profile in old cannot be obeyed", "docs/profile.md"},
		"lacking":          {"filter.json cannot be read", "docs/profile.md"},
	} {
		_, _, err := profile.Named(name, "deckhand do")
		if err == nil || !strings.Contains(err.Error(), want[0]) || !strings.Contains(strings.Join(hint.Of(err), "\n"), want[1]) {
			t.Errorf("%s: %v, %q", name, err, hint.Of(err))
		}
	}
}

func TestFilterContent(t *testing.T) {
	p := &profile.Profile{}
	if content, err := p.FilterContent(t.TempDir()); content != nil || err != nil {
		t.Errorf("without a filter: %q, %v", content, err)
	}
	p.Seccomp = "filter.json"
	if _, err := p.FilterContent(t.TempDir()); err == nil || !strings.Contains(err.Error(), "read seccomp profile") {
		t.Errorf("a filter that is gone: %v", err)
	}
}
