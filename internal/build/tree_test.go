package build

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// makeTree makes files; a value "-> target" is a symlink, a name with a trailing slash a directory.
func makeTree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		switch target, link := strings.CutPrefix(content, "-> "); {
		case strings.HasSuffix(name, "/"):
			err = os.MkdirAll(p, 0o755)
		case link:
			err = os.Symlink(target, p)
		default:
			err = os.WriteFile(p, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func localTree(t *testing.T, dir string, excludes ...string) *tree {
	t.Helper()
	tr, err := newTree(dir, excludes)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func TestWalk(t *testing.T) {
	files := map[string]string{
		"a.txt": "", "b.log": "", "sub/c.txt": "", "sub/deep/d.txt": "", "sub/deep/e.log": "", "empty/": "",
		"weird/!x": "", "weird/*y": "",
	}
	tests := map[string]struct {
		ignore []string
		from   string
		want   []string
		hidden []string
	}{
		"everything": {nil, ".", []string{
			".", "a.txt", "b.log", "empty", "sub", "sub/c.txt", "sub/deep", "sub/deep/d.txt", "sub/deep/e.log",
			"weird", "weird/!x", "weird/*y",
		}, nil},
		"one name":       {[]string{"sub", "weird", "empty"}, ".", []string{".", "a.txt", "b.log"}, []string{"empty", "sub", "weird"}},
		"any depth":      {[]string{"**/*.log", "weird", "empty"}, ".", []string{".", "a.txt", "sub", "sub/c.txt", "sub/deep", "sub/deep/d.txt"}, []string{"b.log", "empty", "sub/deep/e.log", "weird"}},
		"taken back":     {[]string{"*", "!sub/deep/d.txt"}, ".", []string{".", "sub", "sub/deep", "sub/deep/d.txt"}, []string{"a.txt", "b.log", "empty", "sub/c.txt", "sub/deep/e.log", "weird"}},
		"from below":     {[]string{"**/*.log"}, "sub/deep", []string{".", "d.txt"}, []string{"e.log"}},
		"parent ignored": {[]string{"sub", "!sub/deep"}, "sub/deep", []string{".", "d.txt", "e.log"}, nil},
		"a file":         {nil, "a.txt", []string{"."}, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			entries, hidden, err := localTree(t, makeTree(t, files), tt.ignore...).walk(t.Context(), tt.from)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range entries {
				got = append(got, e.path)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("entries (-want +got):\n%s", d)
			}
			if d := cmp.Diff(tt.hidden, hidden); d != "" {
				t.Errorf("hidden (-want +got):\n%s", d)
			}
		})
	}
}

func TestSources(t *testing.T) {
	dir := makeTree(t, map[string]string{
		"a.txt": "", "b.txt": "", "sub/c.txt": "", "sub2/c.txt": "", "abs": "-> /etc/passwd", "up": "-> ../../../etc/passwd",
		"in": "-> sub/c.txt", "dir": "-> /sub", "etc/group": "inside", "abs2": "-> /etc/group", "secret.key": "", "lit[1]": "",
	})
	tests := map[string]struct {
		sel     selector
		want    []sourcePath
		wantErr string
	}{
		"plain":            {selector{path: "/a.txt"}, []sourcePath{{"a.txt", "a.txt"}}, ""},
		"root":             {selector{path: "/"}, []sourcePath{{"", "."}}, ""},
		"wildcard":         {selector{path: "/*.txt", wildcard: true}, []sourcePath{{"a.txt", "a.txt"}, {"b.txt", "b.txt"}}, ""},
		"wildcard dir":     {selector{path: "/sub*/c.txt", wildcard: true}, []sourcePath{{"sub/c.txt", "sub/c.txt"}, {"sub2/c.txt", "sub2/c.txt"}}, ""},
		"question mark":    {selector{path: "/?.txt", wildcard: true}, []sourcePath{{"a.txt", "a.txt"}, {"b.txt", "b.txt"}}, ""},
		"no match":         {selector{path: "/*.zip", wildcard: true}, []sourcePath{}, ""},
		"escaped":          {selector{path: `/lit\[1\]`, wildcard: true}, nil, `"/lit\\[1\\]": not found`},
		"escaped in glob":  {selector{path: `/lit\[?]`, wildcard: true}, []sourcePath{{"lit[1]", "lit[1]"}}, ""},
		"missing":          {selector{path: "/nosuch"}, nil, `"/nosuch": not found`},
		"below a file":     {selector{path: "/a.txt/x"}, nil, `"/a.txt/x": not found`},
		"dots":             {selector{path: "/../../a.txt"}, []sourcePath{{"a.txt", "a.txt"}}, ""},
		"link followed":    {selector{path: "/in", follow: true}, []sourcePath{{"in", "sub/c.txt"}}, ""},
		"link kept":        {selector{path: "/in"}, []sourcePath{{"in", "in"}}, ""},
		"dir link":         {selector{path: "/dir/c.txt"}, []sourcePath{{"dir/c.txt", "sub/c.txt"}}, ""},
		"absolute escape":  {selector{path: "/abs", follow: true}, nil, `"/abs": not found`},
		"relative escape":  {selector{path: "/up", follow: true}, nil, `"/up": not found`},
		"absolute inside":  {selector{path: "/abs2", follow: true}, []sourcePath{{"abs2", "etc/group"}}, ""},
		"ignored":          {selector{path: "/secret.key"}, nil, `"/secret.key": not found: .dockerignore excludes it`},
		"ignored wildcard": {selector{path: "/*.key", wildcard: true}, []sourcePath{}, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := localTree(t, dir, "*.key").sources(tt.sel)
			if tt.wantErr != "" {
				if err == nil || err.Error() != tt.wantErr {
					t.Fatalf("error %v, want %s", err, tt.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got, cmp.AllowUnexported(sourcePath{})); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestTreeDigest(t *testing.T) {
	base := map[string]string{"a.txt": "one", "sub/b.txt": "two", "sub/c.log": "three", "l": "-> a.txt"}
	digest := func(t *testing.T, files map[string]string, ignore []string, sels ...selector) string {
		t.Helper()
		d, err := treeDigest(t.Context(), localTree(t, makeTree(t, files), ignore...), sels, nil)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	with := func(k, v string) map[string]string {
		m := map[string]string{k: v}
		for k, v := range base {
			if _, ok := m[k]; !ok {
				m[k] = v
			}
		}
		return m
	}
	all, sub := selector{path: "/"}, selector{path: "/sub"}
	tests := map[string]struct {
		files  map[string]string
		ignore []string
		sel    selector
		same   bool
	}{
		"the same":                 {base, nil, all, true},
		"content":                  {with("a.txt", "ONE"), nil, all, false},
		"more":                     {with("new", ""), nil, all, false},
		"link target":              {with("l", "-> sub"), nil, all, false},
		"outside the selection":    {with("a.txt", "ONE"), nil, sub, true},
		"inside the selection":     {with("sub/b.txt", "TWO"), nil, sub, false},
		"ignored file":             {with("sub/d.log", "four"), []string{"**/d.log"}, all, true},
		"excluded by the copy":     {with("sub/d.tmp", "four"), nil, selector{path: "/", exclude: []string{"**/*.tmp"}}, true},
		"not excluded":             {with("sub/d.txt", "four"), nil, selector{path: "/", exclude: []string{"**/*.tmp"}}, false},
		"not included":             {with("a.txt", "ONE"), nil, selector{path: "/", includes: []string{"sub/*.txt"}}, true},
		"included":                 {with("sub/b.txt", "TWO"), nil, selector{path: "/", includes: []string{"sub/*.txt"}}, false},
		"included by name":         {with("sub/b.txt", "TWO"), nil, selector{path: "/", includes: []string{"sub/b.txt"}}, false},
		"beside what is by name":   {with("sub/c.log", "THREE"), nil, selector{path: "/", includes: []string{"sub/b.txt"}}, true},
		"wildcard finds one more":  {with("z.txt", ""), nil, selector{path: "/*.txt", wildcard: true}, false},
		"wildcard finds no more":   {with("z.log", ""), nil, selector{path: "/*.txt", wildcard: true}, true},
		"followed link's target":   {with("a.txt", "ONE"), nil, selector{path: "/l", follow: true}, false},
		"link itself, not content": {with("a.txt", "ONE"), nil, selector{path: "/l"}, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			before, after := digest(t, base, tt.ignore, tt.sel), digest(t, tt.files, tt.ignore, tt.sel)
			if (before == after) != tt.same {
				t.Errorf("digests equal: %v, want %v", before == after, tt.same)
			}
		})
	}
	t.Run("mode", func(t *testing.T) {
		dir := makeTree(t, base)
		tr := localTree(t, dir)
		before, err := treeDigest(t.Context(), tr, []selector{all}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(dir, "a.txt"), 0o600); err != nil {
			t.Fatal(err)
		}
		if after, err := treeDigest(t.Context(), tr, []selector{all}, nil); err != nil || after == before {
			t.Errorf("a change of mode does not change the digest (%v)", err)
		}
	})
	t.Run("order of selectors", func(t *testing.T) {
		if digest(t, base, nil, all, sub) != digest(t, base, nil, sub, all) {
			t.Error("the order of selectors changes the digest")
		}
	})
}

func TestLiteralPatterns(t *testing.T) {
	for _, name := range []string{"a*b", "a?b", "[x]", `back\slash`, "!bang", " lead", "trail ", "plain", "dir/!x", "ünï"} {
		t.Run(name, func(t *testing.T) {
			f, err := newFilter(nil, literalPatterns([]string{name}))
			if err != nil {
				t.Fatal(err)
			}
			for _, other := range []string{name, "aXXb", "aXb", "x", "other"} {
				ok, _, err := f.exclude.MatchesUsingParentResults(other, zeroMatch)
				if err != nil {
					t.Fatal(err)
				}
				if ok != (other == name) {
					t.Errorf("pattern for %q matches %q: %v", name, other, ok)
				}
			}
		})
	}
}
