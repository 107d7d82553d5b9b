package archtest

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	link     = regexp.MustCompile(`\]\(([^)#\s]+)(?:#[^)]*)?\)`)
	fileName = regexp.MustCompile("`([A-Za-z0-9_./-]+\\.(?:md|go|txtar|yml|mod))`")
)

// TestDocumentsNameFilesThatExist checks the links and the file names in backquotes of every document.
func TestDocumentsNameFilesThatExist(t *testing.T) {
	documents := 0
	walk(t, ".md", func(name string, content []byte) {
		documents++
		var targets []string
		for _, pattern := range []*regexp.Regexp{link, fileName} {
			for _, match := range pattern.FindAllStringSubmatch(string(content), -1) {
				targets = append(targets, match[1])
			}
		}
		for _, target := range targets {
			if !strings.Contains(target, "://") && !exists(name, target) {
				t.Errorf("%s names %s, which does not exist", name, target)
			}
		}
	})
	if documents < 4 {
		t.Fatalf("found %d documents", documents)
	}
}

// exists looks beside the document and from the module's root.
func exists(document, target string) bool {
	for _, dir := range []string{path.Dir(document), "."} {
		if _, err := os.Stat(filepath.Join(root, dir, target)); err == nil {
			return true
		}
	}
	return false
}
