package checkcmd

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"
)

// top is the repository, where pre-commit and GitHub look for their files.
const top = "../../.."

func readYAML(t *testing.T, name string, into any) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(top, name))
	if err != nil {
		t.Fatal(err)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	decoder.KnownFields(true)
	if err := decoder.Decode(into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// parseCheck reads arguments as `deckhand check` does, and returns those that are no flags.
func parseCheck(t *testing.T, args []string) []string {
	t.Helper()
	o := &options{}
	cmd := newCheck(files{out: io.Discard, err: io.Discard}, o)
	if err := cmd.ParseFlags(args); err != nil {
		t.Errorf("deckhand check %s: %v", strings.Join(args, " "), err)
	}
	if err := o.check(); err != nil {
		t.Errorf("deckhand check %s: %v", strings.Join(args, " "), err)
	}
	return cmd.Flags().Args()
}

type hook struct {
	ID, Name, Description, Entry, Language, Files string
	RequireSerial                                 bool   `yaml:"require_serial"`
	MinimumPreCommitVersion                       string `yaml:"minimum_pre_commit_version"`
}

func TestHooks(t *testing.T) {
	var hooks []hook
	readYAML(t, ".pre-commit-hooks.yaml", &hooks)
	var ids []string
	for _, h := range hooks {
		ids = append(ids, h.ID)
		words := strings.Fields(h.Entry)
		if len(words) < 2 || words[0] != "deckhand-check" || words[1] != "check" || h.Language != "golang" {
			t.Fatalf("%s: the entry is %q in %s", h.ID, h.Entry, h.Language)
		}
		if _, err := os.Stat(filepath.Join(top, "cmd", words[0])); err != nil {
			t.Error(err)
		}
		if !slices.Contains(words, "--skip-unknown") {
			t.Errorf("%s fails over files that are nothing to check", h.ID)
		}
		if paths := parseCheck(t, append(words[2:], "a", "b")); len(paths) != 2 {
			t.Errorf("%s: the paths are %q", h.ID, paths)
		}
	}
	if diff := cmp.Diff([]string{"deckhand-check", "deckhand-check-fix"}, ids); diff != "" {
		t.Error(diff)
	}
}

// TestHookFiles holds the pattern to names that can, and that cannot, be checked.
func TestHookFiles(t *testing.T) {
	var hooks []hook
	readYAML(t, ".pre-commit-hooks.yaml", &hooks)
	tests := map[string]bool{
		"Dockerfile": true, "a/Dockerfile.dev": true, "Containerfile": true, "b/app.dockerfile": true, "app.Dockerfile": true,
		"compose.yaml": true, "k8s/web.yml": true, "pod.json": true, "quadlet/web.container": true, "units/web.service": true,
		"main.go": false, "Dockerfiles.md/x.txt": false, "notmydockerfile/x": false, "yaml": false, "README.md": false,
	}
	for _, h := range hooks {
		pattern, err := regexp.Compile(h.Files)
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range tests {
			if got := pattern.MatchString(name); got != want {
				t.Errorf("%s: %s matches: %v", h.ID, name, got)
			}
		}
	}
}

type action struct {
	Name, Description, Author string
	Branding                  struct{ Icon, Color string }
	Inputs                    map[string]struct{ Description, Default string }
	Outputs                   map[string]struct{ Description, Value string }
	Runs                      struct {
		Using string
		Steps []step
	}
}

type step struct {
	Name, ID, Uses, Shell, Run string
	WorkingDirectory           string `yaml:"working-directory"`
	With, Env                  map[string]string
}

// TestAction runs the step of the GitHub Action that checks, with a program in deckhand's place.
func TestAction(t *testing.T) {
	var a action
	readYAML(t, "action.yml", &a)
	i := slices.IndexFunc(a.Runs.Steps, func(s step) bool { return s.ID == "check" })
	if i < 0 || a.Runs.Using != "composite" || a.Runs.Steps[i].Shell != "bash" {
		t.Fatalf("there is no step to check in %+v", a.Runs)
	}
	tests := map[string]struct {
		inputs map[string]string
		status string
		want   []string // arguments after check
		paths  []string // those that are no flags
	}{
		"nothing said": {nil, "0", []string{"--format", "github", "--", "."}, []string{"."}},
		"all said": {
			map[string]string{"paths": "a b\n\ndocker://r/x:1\n", "format": "text", "fail-on": "error", "args": "--offline  --platform linux/arm64"},
			"3",
			[]string{"--format", "text", "--fail-on", "error", "--offline", "--platform", "linux/arm64", "--", "a b", "docker://r/x:1"},
			[]string{"a b", "docker://r/x:1"},
		},
		"SARIF": {
			map[string]string{"sarif-file": "out/x.sarif"},
			"3",
			[]string{"--format", "sarif", "--output", "out/x.sarif", "--", "."},
			[]string{"."},
		},
		"no command": {map[string]string{"paths": "$(touch /x)`id`", "args": "--policy $HOME"}, "1", []string{"--format", "github", "--policy", "$HOME", "--", "$(touch /x)`id`"}, []string{"$(touch /x)`id`"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			args, output, status := a.check(t, a.Runs.Steps[i], tt.inputs, tt.status)
			if diff := cmp.Diff(append([]string{"check"}, tt.want...), args); diff != "" {
				t.Fatal(diff)
			}
			if diff := cmp.Diff(tt.paths, parseCheck(t, args[1:])); diff != "" {
				t.Error(diff)
			}
			if output != "status="+tt.status+"\n" || status != tt.status {
				t.Errorf("the step says %q and exits with %s", output, status)
			}
		})
	}
}

// check runs a step as GitHub does, and returns what deckhand was called with, what the step puts out, and its status.
func (a *action) check(t *testing.T, s step, inputs map[string]string, status string) (args []string, output, exit string) {
	t.Helper()
	dir := t.TempDir()
	const program = "#!/bin/sh\nprintf '%s\\n' \"$@\" > \"$CALLED\"\nexit \"$STATUS\"\n"
	if err := os.WriteFile(filepath.Join(dir, "deckhand"), []byte(program), 0o700); err != nil {
		t.Fatal(err)
	}
	called, put := filepath.Join(dir, "called"), filepath.Join(dir, "output")
	cmd := exec.CommandContext(t.Context(), "bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", s.Run)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + dir + ":" + os.Getenv("PATH"), "HOME=/root", "CALLED=" + called, "STATUS=" + status, "GITHUB_OUTPUT=" + put}
	for name, value := range s.Env {
		input, ok := strings.CutPrefix(value, "${{ inputs.")
		input = strings.TrimSuffix(input, " }}")
		declared, known := a.Inputs[input]
		if !ok || !known {
			t.Fatalf("%s is %s", name, value)
		}
		given, ok := inputs[input]
		if !ok {
			given = declared.Default
		}
		cmd.Env = append(cmd.Env, name+"="+given)
	}
	if out, err := cmd.CombinedOutput(); err != nil && cmd.ProcessState == nil {
		t.Fatalf("bash: %v: %s", err, out)
	}
	lines, err := os.ReadFile(called)
	if err != nil {
		t.Fatal(err)
	}
	said, err := os.ReadFile(put)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(lines), "\n"), "\n"), string(said), strings.TrimPrefix(cmd.ProcessState.String(), "exit status ")
}

// TestActionBuilds holds the packages and the variable that the action builds with to those that exist.
func TestActionBuilds(t *testing.T) {
	var a action
	readYAML(t, "action.yml", &a)
	i := slices.IndexFunc(a.Runs.Steps, func(s step) bool { return strings.Contains(s.Run, "go install") })
	if i < 0 {
		t.Fatal("no step installs")
	}
	packages := regexp.MustCompile(`\./cmd/[a-z-]+`).FindAllString(a.Runs.Steps[i].Run, -1)
	if want := []string{"./cmd/deckhand", "./cmd/deckhand-check", "./cmd/deckhand-check-images"}; !slices.Equal(packages, want) {
		t.Errorf("it installs %q", packages)
	}
	for _, p := range packages {
		if _, err := os.Stat(filepath.Join(top, p, "main.go")); err != nil {
			t.Error(err)
		}
	}
	if !strings.Contains(a.Runs.Steps[i].Run, "github.com/deckhand-engine/deckhand/internal/version.number=") {
		t.Error("it sets no version")
	}
}

// TestDocumentsUseFlagsThatExist looks for check's and lsp's flags in the pages about them.
func TestDocumentsUseFlagsThatExist(t *testing.T) {
	std := files{out: io.Discard, err: io.Discard}
	check, serve := newCheck(std, &options{}), newLsp(std, &options{})
	used := regexp.MustCompile(`deckhand (check|lsp)([^|#` + "`" + `\n]*)`)
	flag := regexp.MustCompile(`--([a-z][a-z-]+)`)
	found := 0
	for _, name := range []string{"README.md", "docs/check.md", "docs/ci.md", "docs/editors.md"} {
		data, err := os.ReadFile(filepath.Join(top, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, call := range used.FindAllStringSubmatch(string(data), -1) {
			cmd := check
			if call[1] == "lsp" {
				cmd = serve
			}
			for _, f := range flag.FindAllStringSubmatch(call[2], -1) {
				found++
				if cmd.Flags().Lookup(f[1]) == nil {
					t.Errorf("%s: %s has no flag --%s", name, strings.TrimSpace(call[0]), f[1])
				}
			}
		}
	}
	if found < 10 {
		t.Errorf("found %d flags: the pages are read wrongly", found)
	}
}
