package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const (
	root   = "../.."
	module = "github.com/deckhand-engine/deckhand"
)

// file is one Go file of the module.
type file struct {
	path  string // from the module's root
	ast   *ast.File
	lines int
	set   *token.FileSet
}

// dir is the package's directory from the module's root.
func (f file) dir() string { return path.Dir(f.path) }

// test reports whether it is a test's file.
func (f file) test() bool { return strings.HasSuffix(f.path, "_test.go") }

// generated reports whether a program wrote it.
func (f file) generated() bool { return ast.IsGenerated(f.ast) }

// imports are the import paths.
func (f file) imports() []string {
	var paths []string
	for _, spec := range f.ast.Imports {
		p, _ := strconv.Unquote(spec.Path.Value) // the parser has checked it
		paths = append(paths, p)
	}
	return paths
}

// goFiles parses every Go file of the module, whatever its build constraints.
func goFiles(t *testing.T) []file {
	t.Helper()
	var files []file
	walk(t, ".go", func(name string, content []byte) {
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, name, content, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file{path: name, ast: parsed, set: set, lines: strings.Count(string(content), "\n")})
	})
	if len(files) < 20 {
		t.Fatalf("found %d Go files below %s: looking in the wrong place", len(files), root)
	}
	return files
}

// walk calls f for every file of the module with that suffix, tools/ and what git ignores left out.
func walk(t *testing.T, suffix string, f func(name string, content []byte)) {
	t.Helper()
	err := filepath.WalkDir(root, func(p string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		if entry.IsDir() && skipDir(name, entry.Name()) {
			return fs.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(name, suffix) {
			return nil
		}
		content, err := os.ReadFile(p)
		if err == nil {
			f(filepath.ToSlash(name), content)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func skipDir(name, base string) bool {
	return name == "bin" || name == "tools" || base == "testdata" || name != "." && strings.HasPrefix(base, ".")
}
