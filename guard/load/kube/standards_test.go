package kube_test

import (
	"go/build"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/load/kube"
)

const securityModule = "k8s.io/pod-security-admission"

// fixture is a pod that passes a level at a version of Kubernetes, or fails it.
type fixture struct {
	path string
	lv   api.LevelVersion
	pass bool
	data []byte
}

// fixtures are those of the module's own test, in the module cache.
func fixtures(t testing.TB) []fixture {
	t.Helper()
	dir := filepath.Join(moduleCache(), securityModule+"@"+version(t), "test/testdata")
	var found []fixture
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".yaml" {
			return err
		}
		parts := strings.Split(filepath.ToSlash(path[len(dir)+1:]), "/") // baseline/v1.0/pass/base.yaml
		lv, err := api.ParseLevel(parts[0])
		if err != nil {
			return err
		}
		v, err := api.ParseVersion(parts[1])
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		found = append(found, fixture{path[len(dir)+1:], api.LevelVersion{Level: lv, Version: v}, parts[2] == "pass", data})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) < 1000 {
		t.Fatalf("found %d fixtures in %s", len(found), dir)
	}
	return found
}

func moduleCache() string {
	if dir := os.Getenv("GOMODCACHE"); dir != "" {
		return dir
	}
	return filepath.Join(filepath.SplitList(build.Default.GOPATH)[0], "pkg/mod")
}

// version is the module's in go.mod.
func version(t testing.TB) string {
	t.Helper()
	content, err := os.ReadFile("../../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		f := strings.Fields(strings.TrimPrefix(line, "require "))
		if len(f) >= 2 && f[0] == securityModule {
			return f[1]
		}
	}
	t.Fatalf("%s is not in go.mod", securityModule)
	return ""
}

func reasons(results []policy.CheckResult) []string {
	found := []string{}
	for _, r := range results {
		if !r.Allowed {
			found = append(found, r.ForbiddenReason+" ("+r.ForbiddenDetail+")")
		}
	}
	return found
}

// TestFixtures judges every fixture of the standards' own test as its directory says, and as the evaluator does
// that reads the pod by itself.
func TestFixtures(t *testing.T) {
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range fixtures(t) {
		var pod corev1.Pod
		if err := yaml.Unmarshal(f.data, &pod); err != nil {
			t.Fatal(err)
		}
		for i := range pod.Spec.Volumes { // as the API server does before it asks
			if v := &pod.Spec.Volumes[i]; v.VolumeSource == (corev1.VolumeSource{}) {
				v.EmptyDir = &corev1.EmptyDirVolumeSource{}
			}
		}
		results, err := kube.Evaluate(guard.Source{Path: f.path, Data: f.data}, f.lv)
		if err != nil {
			t.Errorf("%s: %v", f.path, err)
			continue
		}
		want := reasons(evaluator.EvaluatePod(f.lv, &pod.ObjectMeta, &pod.Spec))
		if diff := cmp.Diff(want, reasons(results)); diff != "" {
			t.Errorf("%s: -evaluator +ours\n%s", f.path, diff)
		}
		if pass := policy.AggregateCheckResults(results).Allowed; pass != f.pass {
			t.Errorf("%s: allowed %v", f.path, pass)
		}
	}
}

// TestViolationsOfFixtures compares what is told of the subjects with the evaluator's words: the same reasons at the
// same levels, each at a place of the pod, none twice.
func TestViolationsOfFixtures(t *testing.T) {
	for _, f := range fixtures(t) {
		src := guard.Source{Path: f.path, Data: f.data}
		subjects, err := kube.Load(t.Context(), src, guard.Env{})
		if err != nil || len(subjects) == 0 {
			t.Errorf("%s: %d subjects, %v", f.path, len(subjects), err)
			continue
		}
		got := map[string][]string{"baseline": {}, "restricted": {}}
		seen := map[guard.Violation]bool{}
		for _, s := range subjects {
			for _, v := range s.Violations {
				if seen[v] || v.Where.Line < 1 || v.Where.Column < 1 {
					t.Errorf("%s: %+v", f.path, v)
				}
				seen[v] = true
				got["restricted"] = append(got["restricted"], family(v.Reason))
				if v.Level == "baseline" {
					got["baseline"] = append(got["baseline"], family(v.Reason))
				}
			}
		}
		for level, reasons := range got {
			results, err := kube.Evaluate(src, api.LevelVersion{Level: api.Level(level), Version: api.LatestVersion()})
			if err != nil {
				t.Fatal(err)
			}
			want := []string{}
			for _, r := range results {
				if !r.Allowed {
					want = append(want, family(r.ForbiddenReason))
				}
			}
			slices.Sort(want)
			slices.Sort(reasons)
			if diff := cmp.Diff(slices.Compact(want), slices.Compact(reasons)); diff != "" {
				t.Errorf("%s, %s: -evaluator +ours\n%s", f.path, level, diff)
			}
		}
	}
}

// family is a reason without its number, and the baseline's for those with which the restricted level replaces it.
func family(reason string) string {
	switch reason {
	case "forbidden AppArmor profiles":
		return "forbidden AppArmor profile"
	case "unrestricted capabilities":
		return "non-default capabilities"
	case "restricted volume types":
		return "hostPath volumes"
	}
	return reason
}
