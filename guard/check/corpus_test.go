package check_test

import (
	"errors"
	"go/build"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/check"
	"github.com/deckhand-engine/deckhand/guard/load"
)

// moduleRoot is where go.mod is.
const moduleRoot = "../.."

// leastCorpus guards against looking in the wrong place.
const leastCorpus = 300

// TestCorpus checks every Dockerfile that documents, examples and transcripts hold, ours and BuildKit's, and every
// compose file and manifest among them: nothing crashes, every finding has a rule, a message and a line of the text,
// and what BuildKit's own documentation shows as a Dockerfile can be read.
func TestCorpus(t *testing.T) {
	c := &check.Checker{Texts: load.Texts{}, Env: guard.Env{}}
	n := 0
	for name, text := range corpus(t) {
		n++
		doc := c.Text(t.Context(), guard.Source{Path: name, Data: []byte(text)}, kindOfCorpus(name))
		if doc.Err != nil && !errors.Is(doc.Err, check.ErrUnknownKind) {
			t.Errorf("%s: %v", name, doc.Err)
		}
		lines := strings.Count(text, "\n") + 1
		for _, f := range append(doc.Findings, ignored(doc)...) {
			if f.Rule == "" || f.Message == "" || f.Severity == guard.Off {
				t.Errorf("%s: incomplete finding %+v", name, f)
			}
			if f.Where.Line < 1 || f.Where.Line > lines || f.Where.EndLine > lines {
				t.Errorf("%s: finding outside of the text's %d lines: %+v", name, lines, f)
			}
			for _, fix := range f.Fixes {
				if _, err := guard.Apply([]byte(text), fix.Edits); err != nil {
					t.Errorf("%s: fix %q: %v", name, fix.Title, err)
				}
			}
		}
	}
	if n < leastCorpus {
		t.Fatalf("found %d texts, want at least %d", n, leastCorpus)
	}
	t.Logf("%d texts", n)
}

// kindOfCorpus leaves it to the check to find out what a text is, but for fragments of documents.
func kindOfCorpus(name string) guard.Kind {
	if strings.Contains(name, "#") {
		return guard.KindDockerfile
	}
	return ""
}

func ignored(doc *guard.Document) []guard.Finding {
	var found []guard.Finding
	for _, i := range doc.Ignored {
		found = append(found, i.Finding)
	}
	return found
}

// corpus collects texts by name.
func corpus(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	fence := regexp.MustCompile("(?ms)^```[ \t]*dockerfile[^\n]*\n(.*?)^```")
	buildkit := moduleDir(t, "github.com/moby/buildkit/frontend/dockerfile")
	for _, root := range []string{moduleRoot, buildkit} {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !corpusName(entry.Name()) {
				return err
			}
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			switch filepath.Ext(path) {
			case ".md":
				for _, block := range fence.FindAllStringSubmatch(string(content), -1) {
					texts[path+"#"+block[1][:min(len(block[1]), 20)]] = block[1]
				}
			case ".txtar":
				for _, f := range txtar.Parse(content).Files {
					if corpusName(f.Name) {
						texts[path+"/"+f.Name] = string(f.Data)
					}
				}
			default:
				texts[path] = string(content)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return texts
}

// corpusName reports whether a file may hold a text that can be checked.
func corpusName(name string) bool {
	base := strings.ToLower(filepath.Base(name))
	return strings.Contains(base, "dockerfile") && !strings.HasSuffix(base, ".go") ||
		strings.HasSuffix(base, ".md") || strings.HasSuffix(base, ".txtar") ||
		strings.HasSuffix(base, ".yaml") || strings.HasSuffix(base, ".yml")
}

// moduleDir is the directory of a package of a required module.
func moduleDir(t *testing.T, importPath string) string {
	t.Helper()
	pkg, err := build.Import(importPath+"/parser", moduleRoot, build.FindOnly)
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Dir(pkg.Dir)
}
