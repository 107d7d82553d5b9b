package archtest

import (
	"go/build"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// heavy are the modules that cost deckhand its start-up time: only deckhand-build links them.
var heavy = []string{
	"google.golang.org/grpc", "google.golang.org/protobuf", "google.golang.org/genproto", "go.opentelemetry.io",
	"github.com/moby/buildkit", "github.com/containerd/containerd", "github.com/gogo/protobuf",
	"github.com/planetscale/vtprotobuf",
}

// requirement is a line of go.mod.
type requirement struct {
	path, version string
	direct        bool
}

// TestDeckhandIsLight walks everything cmd/deckhand imports, in this module and in the module cache.
func TestDeckhandIsLight(t *testing.T) {
	importers := closure(t, module+"/cmd/deckhand")
	if _, ok := importers["github.com/spf13/cobra"]; !ok {
		t.Fatal("cobra is not among the imports: the walk does not work")
	}
	for imported := range importers {
		if slices.ContainsFunc(heavy, func(h string) bool { return imported == h || strings.HasPrefix(imported, h+"/") }) {
			t.Errorf("cmd/deckhand links %s: %s", imported, chain(importers, imported))
		}
	}
}

// forTexts are the modules that texts are read with. They cost half of the start-up time of a check.
var forTexts = []string{"github.com/moby/buildkit", "github.com/compose-spec/compose-go", "github.com/santhosh-tekuri/jsonschema", "k8s.io"}

// TestCheckImagesIsLight walks what the check of images imports. That the whole check imports more keeps it honest.
func TestCheckImagesIsLight(t *testing.T) {
	for program, light := range map[string]bool{"deckhand-check-images": true, "deckhand-check": false} {
		importers := closure(t, module+"/cmd/"+program)
		for _, m := range forTexts {
			links := ""
			for imported := range importers {
				if strings.HasPrefix(imported, m+"/") {
					links = chain(importers, imported)
				}
			}
			if (links == "") != light {
				t.Errorf("%s links %s: %q", program, m, links)
			}
		}
	}
}

// TestBuildIsHeavy keeps the test above honest: the same walk does find BuildKit behind deckhand-build.
func TestBuildIsHeavy(t *testing.T) {
	if _, ok := closure(t, module+"/cmd/deckhand-build")["github.com/moby/buildkit/client/llb"]; !ok {
		t.Error("BuildKit is not among the imports of cmd/deckhand-build: the walk does not work")
	}
}

// closure maps every package that start links to the package that imported it first, the standard library left out.
func closure(t *testing.T, start string) map[string]string {
	t.Helper()
	requirements := goMod(t)
	importers, queue := map[string]string{start: ""}, []string{start}
	context := build.Default
	context.CgoEnabled = false
	for len(queue) > 0 {
		current := queue[0]
		queue = queue[1:]
		pkg, err := context.ImportDir(directory(t, requirements, current), 0)
		if err != nil {
			t.Fatalf("%s: %v", chain(importers, current), err)
		}
		for _, imported := range pkg.Imports {
			first, _, _ := strings.Cut(imported, "/")
			if _, seen := importers[imported]; !seen && strings.Contains(first, ".") {
				importers[imported] = current
				queue = append(queue, imported)
			}
		}
	}
	return importers
}

// chain is the way from the program to a package.
func chain(importers map[string]string, p string) string {
	way := []string{p}
	for importers[p] != "" {
		p = importers[p]
		way = append(way, p)
	}
	slices.Reverse(way)
	return strings.Join(way, " > ")
}

// directory finds a package's directory in the module or the module cache.
func directory(t *testing.T, requirements []requirement, imported string) string {
	t.Helper()
	if rest, ours := strings.CutPrefix(imported, module); ours {
		return filepath.Join(root, rest)
	}
	var best requirement
	for _, r := range requirements {
		if (imported == r.path || strings.HasPrefix(imported, r.path+"/")) && len(r.path) > len(best.path) {
			best = r
		}
	}
	if best.path == "" {
		t.Fatalf("no module of go.mod has the package %s", imported)
	}
	return filepath.Join(moduleCache(), escape(best.path)+"@"+escape(best.version), imported[len(best.path):])
}

func moduleCache() string {
	if dir := os.Getenv("GOMODCACHE"); dir != "" {
		return dir
	}
	return filepath.Join(filepath.SplitList(build.Default.GOPATH)[0], "pkg/mod")
}

// escape writes upper case letters as the module cache does: !l for L.
func escape(s string) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.IsUpper(r) {
			b.WriteByte('!')
			r = unicode.ToLower(r)
		}
		b.WriteRune(r)
	}
	return b.String()
}

func goMod(t *testing.T) []requirement {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	var found []requirement
	for line := range strings.Lines(string(content)) {
		f := strings.Fields(strings.TrimPrefix(line, "require "))
		if len(f) >= 2 && strings.Contains(f[0], ".") && strings.HasPrefix(f[1], "v") {
			found = append(found, requirement{f[0], f[1], !strings.Contains(line, "// indirect")})
		}
	}
	if len(found) < 10 {
		t.Fatalf("found %d requirements in go.mod: it is read wrongly", len(found))
	}
	return found
}

// TestDependenciesHaveReasons looks for a row of ARCHITECTURE.md's table for every direct dependency.
func TestDependenciesHaveReasons(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(root, "ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	reasons := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| ([^|]{10,}) \\|$").FindAllStringSubmatch(string(content), -1) {
		reasons[row[1]] = true
	}
	direct := map[string]bool{}
	for _, r := range goMod(t) {
		if !r.direct {
			continue
		}
		direct[r.path] = true
		if !reasons[r.path] {
			t.Errorf("%s: ARCHITECTURE.md gives no reason for this dependency", r.path)
		}
	}
	for dependency := range reasons {
		if strings.Contains(dependency, ".") && strings.Contains(dependency, "/") && !direct[dependency] {
			t.Errorf("%s: ARCHITECTURE.md gives a reason, go.mod does not require it", dependency)
		}
	}
}
