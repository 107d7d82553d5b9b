package check_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/check"
	"github.com/deckhand-engine/deckhand/guard/load"
)

// tree makes files; a name that ends with | is a pipe.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		name, pipe := strings.CutSuffix(filepath.Join(dir, name), "|")
		err := os.MkdirAll(filepath.Dir(name), 0o755)
		if err == nil && pipe {
			err = unix.Mkfifo(name, 0o600)
		} else if err == nil {
			err = os.WriteFile(name, []byte(content), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// outcome runs a check and returns the documents' paths below dir, with why they were not checked.
func outcome(t *testing.T, dir string, args []string, o check.RunOptions) []string {
	t.Helper()
	var got []string
	err := (&check.Checker{Texts: load.Texts{}}).Run(t.Context(), args, o, func(doc *guard.Document) error {
		line := strings.TrimPrefix(doc.Path, dir+"/")
		if doc.Err != nil {
			line += ": " + strings.ReplaceAll(doc.Err.Error(), dir, "DIR")
		}
		got = append(got, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestArguments(t *testing.T) {
	dir := tree(t, map[string]string{
		"Dockerfile": "FROM scratch\n", "config.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n", "empty.yaml": "",
		"app.tar": strings.Repeat("\x00", 257) + "ustar\x0000" + strings.Repeat("\x00", 512), "app.tgz": "\x1f\x8b\x08",
		"large.tar":         strings.Repeat("\x00", 257) + "ustar\x0000" + strings.Repeat("\x00", 17<<20),
		"layout/oci-layout": "{}", "layout/Dockerfile": "FROM scratch\n",
	})
	const archive = ": it is an archive: if it holds an image, name it docker-archive:DIR/"
	tests := map[string]struct {
		arg  string
		kind guard.Kind
		want string
	}{
		"of no use to its kind":        {"Dockerfile", guard.KindKubernetes, "Dockerfile: there is nothing in it of the kind kubernetes"},
		"a Dockerfile is no unit":      {"Dockerfile", guard.KindUnit, "Dockerfile: there is nothing in it of the kind unit"},
		"what Helm failed to make":     {"empty.yaml", guard.KindKubernetes, "empty.yaml: there is nothing in it of the kind kubernetes"},
		"manifests that run nothing":   {"config.yaml", guard.KindKubernetes, "config.yaml"},
		"an archive":                   {"app.tar", "", "app.tar" + archive + "app.tar or oci-archive:DIR/app.tar"},
		"a compressed archive":         {"app.tgz", "", "app.tgz" + archive + "app.tgz or oci-archive:DIR/app.tgz"},
		"an archive too large to read": {"large.tar", "", "large.tar" + archive + "large.tar or oci-archive:DIR/large.tar"},
		"an image layout":              {"layout", "", "layout: it is an image layout: name it oci:DIR/layout"},
		"neither file nor image":       {"../nosuch", "", "../nosuch: stat ../nosuch: no such file or directory"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			arg := tt.arg
			if !strings.HasPrefix(arg, "..") {
				arg = filepath.Join(dir, arg)
			}
			if diff := cmp.Diff([]string{tt.want}, outcome(t, dir, []string{arg}, check.RunOptions{Kind: tt.kind})); diff != "" {
				t.Error(diff)
			}
		})
	}
	got := outcome(t, dir, []string{"nosuch"}, check.RunOptions{})
	if len(got) != 1 || !strings.Contains(got[0], "no such file or container; as an image: ") {
		t.Errorf("a name of nothing: %q", got)
	}
}

// TestPipesInATree: nobody writes to them, and nobody must wait for them.
func TestPipesInATree(t *testing.T) {
	dir := tree(t, map[string]string{
		"a/Dockerfile": "FROM scratch\n", "a/.gitignore|": "", "a/Dockerfile.pipe|": "", "a/x.yaml|": "",
		"b/.git/info/exclude|": "", "b/Dockerfile": "FROM scratch\n",
	})
	if diff := cmp.Diff([]string{"a/Dockerfile", "b/Dockerfile"}, outcome(t, dir, []string{dir}, check.RunOptions{})); diff != "" {
		t.Error(diff)
	}
}

// TestIgnored holds the walk to what git ignores, as git understands it.
func TestIgnored(t *testing.T) {
	dir := tree(t, map[string]string{
		".git/info/exclude": "excluded\n", "excluded/Dockerfile": "FROM scratch\n",
		"bom/.gitignore": "\xef\xbb\xbffirst\r\nsecond\r\n", "bom/first/Dockerfile": "FROM scratch\n", "bom/second/Dockerfile": "FROM scratch\n",
		"kept/Dockerfile": "FROM scratch\n",
	})
	if diff := cmp.Diff([]string{"kept/Dockerfile"}, outcome(t, dir, []string{dir}, check.RunOptions{})); diff != "" {
		t.Error(diff)
	}
}

// TestCancel interrupts a check that waits for a pipe.
func TestCancel(t *testing.T) {
	dir := tree(t, map[string]string{"Dockerfile|": ""})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		o := check.RunOptions{Now: func(string) { cancel() }}
		ended <- (&check.Checker{Texts: load.Texts{}}).Run(ctx, []string{filepath.Join(dir, "Dockerfile")}, o, func(*guard.Document) error {
			return errors.New("there is nothing to hand out")
		})
	}()
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("it does not end")
	}
	// Let go of the goroutine that waits for a writer.
	if f, err := os.OpenFile(filepath.Join(dir, "Dockerfile"), os.O_RDWR, 0); err != nil {
		t.Error(err)
	} else if err := f.Close(); err != nil {
		t.Error(err)
	}
}

// TestNow follows what a run says that it waits for.
func TestNow(t *testing.T) {
	dir := tree(t, map[string]string{"a/none.txt": "", "b/Dockerfile": "FROM scratch\n"})
	var mu sync.Mutex
	var told []string
	outcome(t, dir, []string{dir}, check.RunOptions{Now: func(path string) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, strings.TrimPrefix(path, dir+"/"))
	}})
	for _, want := range []string{"a", "b/Dockerfile"} {
		if !slices.Contains(told, want) {
			t.Errorf("nothing is said of %s: %q", want, told)
		}
	}
}

// TestVanishing checks a tree whose files go while it is walked, as those of a build do.
func TestVanishing(t *testing.T) {
	files := map[string]string{"a/Dockerfile": "FROM scratch\n"}
	for i := range 200 {
		files["b/"+strconv.Itoa(i)+"/Dockerfile"] = "FROM scratch\n"
	}
	dir := tree(t, files)
	var gone sync.Once
	var got []string
	err := (&check.Checker{Texts: load.Texts{}}).Run(t.Context(), []string{dir}, check.RunOptions{Jobs: 1}, func(doc *guard.Document) error {
		gone.Do(func() {
			if err := os.RemoveAll(filepath.Join(dir, "b")); err != nil {
				t.Error(err)
			}
		})
		if doc.Err != nil {
			got = append(got, doc.Err.Error())
		}
		return nil
	})
	if err != nil || len(got) > 0 {
		t.Errorf("Run: %v, not checked: %q", err, got)
	}
	if got := outcome(t, dir, []string{filepath.Join(dir, "b/")}, check.RunOptions{}); len(got) != 1 || !strings.Contains(got[0], "no such file") {
		t.Errorf("what is named and not there: %q", got)
	}
}
