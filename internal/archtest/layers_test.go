package archtest

import (
	"slices"
	"strings"
	"testing"
)

// layers are the packages from the bottom up. A package imports only from layers below its own; the packages
// of one line may import each other.
var layers = [][]string{
	{"ref", "dockerfile", "docs", "internal/version", "internal/flight", "internal/hint", "internal/outfile", "internal/need", "internal/programs"},
	{"internal/linux/..."},
	{"oci"},
	{"internal/network"},
	{"internal/runtime/..."},
	{"internal/bundle"},
	{"internal/layer"},
	{"internal/store"},
	{"registry"},
	{"internal/ui"},
	{"guard"},
	{"guard/observe", "guard/profile"},
	{"guard/probe"},
	{"guard/probe/battery"},
	{"guard/repair"},
	{"guard/proof"},
	{"guard/harden"},
	{"internal/tracer"},
	{"guard/users"},
	{"guard/shell"},
	{"guard/load/images"},
	{"guard/load/dockerfiles"},
	{"guard/load/..."},
	{"guard/rules"},
	{"guard/policy"},
	{"guard/report"},
	{"guard/probe/report"},
	{"guard/check"},
	{"guard/lsp"},
	{"internal/imagesource"},
	{"internal/unchanged"},
	{"internal/engine"},
	{"internal/lab"},
	{"internal/build"},
	{"internal/cli/buildcmd", "internal/cli/checkcmd", "internal/cli/hardencmd"},
	{"internal/cli"},
	{"cmd/deckhand", "cmd/deckhand-build", "cmd/deckhand-check", "cmd/deckhand-check-images", "cmd/deckhand-harden", "cmd/deckhand-probe", "bench/..."},
}

// forTests are the packages that only tests import.
var forTests = []string{"internal/need", "internal/transcript", "internal/archtest", "internal/attack"}

// onlyBuild are the packages behind deckhand-build: nobody else imports them.
var onlyBuild = []string{"internal/build", "internal/cli/buildcmd", "cmd/deckhand-build"}

func TestLayers(t *testing.T) {
	for _, f := range goFiles(t) {
		if !slices.Contains(forTests, f.dir()) && layerOf(f.dir()) < 0 {
			t.Errorf("%s: the package is in no layer: add it here and in ARCHITECTURE.md", f.dir())
			continue
		}
		for _, imported := range f.imports() {
			if to, ours := strings.CutPrefix(imported, module+"/"); ours {
				if why := forbidden(f, to); why != "" {
					t.Errorf("%s imports %s: %s", f.path, to, why)
				}
			}
		}
	}
}

// forbidden says why the file may not import that package of ours.
func forbidden(f file, to string) string {
	support := slices.Contains(forTests, f.dir())
	switch {
	case slices.Contains(forTests, to):
		if f.test() || support {
			return ""
		}
		return "only tests import it"
	case slices.Contains(onlyBuild, to) && !slices.Contains(onlyBuild, f.dir()):
		return "only deckhand-build may link it"
	case f.dir() == to || support || layerOf(f.dir()) >= layerOf(to):
		if layerOf(to) < 0 {
			return "it is in no layer"
		}
		return ""
	}
	return "imports point down"
}

// layerOf is the index of the package's layer, -1 for none.
func layerOf(dir string) int {
	return slices.IndexFunc(layers, func(packages []string) bool {
		return slices.ContainsFunc(packages, func(pattern string) bool {
			prefix, below := strings.CutSuffix(pattern, "/...")
			return dir == prefix || below && strings.HasPrefix(dir, prefix+"/")
		})
	})
}

func TestForbidden(t *testing.T) {
	tests := map[string]struct {
		from, to string
		want     bool
	}{
		"down":                      {"internal/engine/engine.go", "internal/store", false},
		"up":                        {"internal/store/store.go", "internal/engine", true},
		"siblings in linux":         {"internal/linux/mount/mount.go", "internal/linux/caps", false},
		"test support in code":      {"internal/store/store.go", "internal/need", true},
		"test support in a test":    {"internal/store/store_test.go", "internal/need", false},
		"cli with the build inside": {"internal/cli/build.go", "internal/build", true},
		"unknown":                   {"internal/cli/build.go", "internal/util", true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := forbidden(file{path: tt.from}, tt.to); (got != "") != tt.want {
				t.Errorf("forbidden(%s, %s) = %q, want forbidden: %v", tt.from, tt.to, got, tt.want)
			}
		})
	}
}
