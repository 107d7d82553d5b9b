package repair_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/deckhand-engine/deckhand/dockerfile"
	"github.com/deckhand-engine/deckhand/guard/repair"
)

// TestConfigLine has the shells and seds of this machine change a file as a repair says.
func TestConfigLine(t *testing.T) {
	shells := map[string][]string{"sh": {"sh"}}
	if busybox, err := exec.LookPath("busybox"); err == nil {
		shells["busybox"] = []string{busybox, "sh"}
	}
	signs := `/|,#%@!~;=` + "`'\"$^*.[]\\&+?(){}<>\t-"
	tests := map[string]struct{ old, value string }{
		"plain":            {"user www-data;", "# user www-data;"},
		"gone":             {"pid /run/nginx.pid;", ""},
		"gone, all marks":  {signs, ""},
		"all signs":        {signs, "x" + signs},
		"signs to plain":   {`  [a-z]* \1 ^$ a.b`, "b"},
		"plain to signs":   {"b", `& \0 \n a/b|c $HOME`},
		"the whole line":   {"listen 80", "listen 8080"},
		"a class":          {"[::]:80", "[::]:8080"},
		"looks like regex": {`\(a\|b\)\{2\}`, `\2`},
	}
	for name, tt := range tests {
		for shell, argv := range shells {
			t.Run(name+" by "+shell, func(t *testing.T) {
				file := filepath.Join(t.TempDir(), "it's a $file")
				before := "first\n" + tt.old + "\n" + tt.old + " more\nx" + tt.old + "\nlast\n"
				if err := os.WriteFile(file, []byte(before), 0o600); err != nil {
					t.Fatal(err)
				}
				command := runOf(t, repair.Repair{Kind: repair.Config, Path: file, Old: tt.old, Value: tt.value})
				cmd := exec.CommandContext(t.Context(), argv[0], append(argv[1:], "-c", command)...)
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("%s: %v\n%s", command, err, out)
				}
				got, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				value := tt.value
				if value != "" {
					value += "\n"
				}
				want := strings.Replace(before, tt.old+"\n", value, 1)
				if diff := cmp.Diff(want, string(got)); diff != "" {
					t.Errorf("%s (-want +got)\n%s", command, diff)
				}
			})
		}
	}
}

// TestWords has a shell read the paths of a command.
func TestWords(t *testing.T) {
	for _, path := range []string{"/a b", "/it's", `/"$HOME"`, "/`id`", `/back\`, "/*?[a]", "/~", "/a;b&c|d", "/<<EOF", "/ü"} {
		command := runOf(t, repair.Repair{Kind: repair.Chown, Path: path})
		rest, ok := strings.CutPrefix(command, "chown 9000:9000 ")
		if !ok {
			t.Fatalf("command %q", command)
		}
		got, err := exec.CommandContext(t.Context(), "sh", "-c", "printf %s "+rest).Output()
		if err != nil || string(got) != path {
			t.Errorf("%s: the shell reads %q, %v; want %q", command, got, err, path)
		}
	}
}

// runOf is what RUN gives to the shell for a repair.
func runOf(t *testing.T, r repair.Repair) string {
	t.Helper()
	out, err := repair.Dockerfile([]byte("FROM debian\n"), repair.Options{User: user}, []repair.Repair{r})
	if err != nil {
		t.Fatal(err)
	}
	f, err := dockerfile.Parse(bytes.Clone(out))
	if err != nil {
		t.Fatal(err)
	}
	return f.Stages[0].Instructions[0].Args[0]
}
