package check_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/deckhand-engine/deckhand/docs"
	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/check"
	"github.com/deckhand-engine/deckhand/guard/load"
	"github.com/deckhand-engine/deckhand/guard/rules"
)

// example is a code block of a page: what it is, and whether the page calls it bad or good.
type example struct {
	section, info, text string
	line                int
}

// TestPages holds every rule to its page: it has one with all sections, what the page calls bad is found, and what
// it calls good is not.
func TestPages(t *testing.T) {
	index := docs.Page("README")
	for _, r := range rules.All() {
		t.Run(r.ID, func(t *testing.T) {
			page := docs.Page(r.ID)
			if want := "# " + r.ID + " " + r.Name + "\n\n" + r.Title + ". Severity: " + r.Severity.String(); !strings.HasPrefix(page, want) {
				t.Fatalf("the page begins %.120q, want %q", page, want)
			}
			if !strings.Contains(index, "| ["+r.ID+"]("+r.ID+".md) | "+r.Name+" | "+r.Severity.String()+" | "+r.Title+" |") {
				t.Error("the index has no row for it, or another")
			}
			sections, examples := readPage(page)
			want := []string{"What it finds", "Bad", "Good", "Why", "How an attacker uses it", "Fix", "Ignore"}
			if !slices.Equal(sections, want) {
				t.Errorf("sections are %q, want %q", sections, want)
			}
			checkExamples(t, r.ID, examples)
		})
	}
}

// readPage takes a page apart.
func readPage(page string) (sections []string, examples []example) {
	var current *example
	for i, line := range strings.Split(page, "\n") {
		switch info, fence := strings.CutPrefix(line, "```"); {
		case fence && current == nil:
			current = &example{info: info, line: i + 1}
			if len(sections) > 0 {
				current.section = sections[len(sections)-1]
			}
		case fence:
			examples = append(examples, *current)
			current = nil
		case current != nil:
			current.text += line + "\n"
		case strings.HasPrefix(line, "## "):
			sections = append(sections, line[3:])
		}
	}
	return sections, examples
}

func checkExamples(t *testing.T, id string, examples []example) {
	t.Helper()
	count := map[string]int{}
	for _, e := range examples {
		if e.section != "Bad" && e.section != "Good" {
			continue
		}
		count[e.section]++
		doc := e.check(t)
		if doc.Err != nil {
			t.Errorf("line %d: %v", e.line, doc.Err)
			continue
		}
		found := slices.ContainsFunc(doc.Findings, func(f guard.Finding) bool { return f.Rule == id })
		if bad := e.section == "Bad"; found != bad {
			t.Errorf("line %d: found: %v, and it is called %s:\n%s", e.line, found, strings.ToLower(e.section), details(doc))
		}
		if syntax := slices.ContainsFunc(doc.Findings, func(f guard.Finding) bool { return f.Rule == "DH000" }); syntax && id != "DH000" {
			t.Errorf("line %d cannot be parsed:\n%s", e.line, details(doc))
		}
	}
	if count["Bad"] == 0 || count["Good"] == 0 {
		t.Errorf("there are %d bad and %d good examples", count["Bad"], count["Good"])
	}
}

func (e example) check(t *testing.T) *guard.Document {
	t.Helper()
	name, kind := "", guard.Kind("")
	switch e.info {
	case "dockerfile":
		name, kind = "Dockerfile", guard.KindDockerfile
	case "yaml compose":
		name, kind = "compose.yaml", guard.KindCompose
	case "yaml kubernetes":
		name, kind = "pod.yaml", guard.KindKubernetes
	case "ini quadlet":
		name, kind = "web.container", guard.KindQuadlet
	case "ini service":
		name, kind = "web.service", guard.KindUnit
	case "json image-config":
		c := &check.Checker{Texts: load.Texts{}, Env: guard.Env{Images: configImage(e.text)}}
		return c.Image(t.Context(), "page")
	default:
		t.Fatalf("line %d: a block of %q is no kind of document", e.line, e.info)
	}
	src := guard.Source{Path: name, File: filepath.Join(t.TempDir(), name), Data: []byte(e.text)}
	if found := (load.Texts{}).Kind(src); found != kind {
		t.Errorf("line %d: it is taken for %q", e.line, found)
	}
	c := &check.Checker{Texts: load.Texts{}, Env: guard.Env{Images: fakeImages{}}}
	return c.Text(t.Context(), src, kind)
}

// configImage is an image of which only the configuration is known.
type configImage string

func (c configImage) Image(_ context.Context, name string) (*guard.Image, error) {
	img := &guard.Image{Name: name, From: "a page"}
	if err := json.Unmarshal([]byte(c), &img.Config); err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	img.Files = fakeFiles{fakeImage{files: accounts("node:1000")}}
	return img, nil
}
