package yamltree_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/load/yamltree"
)

// cut is the text of a range.
func cut(t *testing.T, source string, l guard.Location) string {
	t.Helper()
	start, ok := guard.Offset([]byte(source), l.Line, l.Column)
	end, okEnd := guard.Offset([]byte(source), l.EndLine, l.EndColumn)
	if !ok || !okEnd || end < start {
		t.Fatalf("%+v is no range of the text", l)
	}
	return source[start:end]
}

func TestPlaces(t *testing.T) {
	tests := map[string]struct {
		source           string
		path             []any
		value, pair, key string
	}{
		"plain":                 {"a:\n  b: c # d\n", []any{"a", "b"}, "c", "b: c", "b"},
		"mapping":               {"a:\n  b: c\n  d: e\nf: g", []any{"a"}, "b: c\n  d: e", "a:\n  b: c\n  d: e", "a"},
		"null":                  {"a:\nb: 1", []any{"a"}, "", "a:", "a"},
		"tilde":                 {"a: ~\nb: 1", []any{"a"}, "~", "a: ~", "a"},
		"double quotes":         {`a: "x\"y" # "`, []any{"a"}, `"x\"y"`, `a: "x\"y"`, "a"},
		"single quotes":         {`{a: 'x''y', b: 1}`, []any{"a"}, `'x''y'`, `a: 'x''y'`, "a"},
		"quoted key":            {`{"a": 1}`, []any{"a"}, `1`, `"a": 1`, `"a"`},
		"many bytes a column":   {"ä: \"ö\"  \nü: é", []any{"ü"}, "é", "ü: é", "ü"},
		"anchor":                {"a: &x b\n", []any{"a"}, "b", "a: &x b", "a"},
		"tag":                   {"a: !!str 1\n", []any{"a"}, "1", "a: !!str 1", "a"},
		"anchor of a mapping":   {"a: &x # why\n  b: 1\n", []any{"a"}, "b: 1", "a: &x # why\n  b: 1", "a"},
		"anchor of nothing":     {"a: &x\nb: 1\n", []any{"a"}, "", "a: &x", "a"},
		"alias":                 {"a: &x [1]\nb: *x\n", []any{"b"}, "[1]", "[1]", "b"},
		"behind an alias":       {"a: &x {c: d}\nb: *x\n", []any{"b", "c"}, "d", "c: d", "c"},
		"merged":                {"a: &x {c: d}\nb:\n  <<: *x\n", []any{"b", "c"}, "d", "c: d", "c"},
		"own before merged":     {"a: &x {c: d}\nb:\n  c: e\n  <<: *x\n", []any{"b", "c"}, "e", "c: e", "c"},
		"first merged":          {"a: &x {c: d}\nf: &y {c: e}\nb: {<<: [*x, *y]}\n", []any{"b", "c"}, "d", "c: d", "c"},
		"merged twice":          {"a: &x {c: d}\nf: &y {<<: *x}\nb: {<<: *y}\n", []any{"b", "c"}, "d", "c: d", "c"},
		"last of the same key":  {"a: 1\na: 2\n", []any{"a"}, "2", "a: 2", "a"},
		"literal":               {"a: |\n  x\n\n  y\n\nb: 1", []any{"a"}, "|\n  x\n\n  y", "a: |\n  x\n\n  y", "a"},
		"folded":                {"a: >-\n  x\n   y\nb: 1", []any{"a"}, ">-\n  x\n   y", "a: >-\n  x\n   y", "a"},
		"empty literal":         {"a: |\nb: 1", []any{"a"}, "|", "a: |", "a"},
		"plain on two lines":    {"a: x\n  y\nb: 1", []any{"a"}, "x\n  y", "a: x\n  y", "a"},
		"quoted on two lines":   {"a: \"x\n  y\"\nb: 1", []any{"a"}, "\"x\n  y\"", "a: \"x\n  y\"", "a"},
		"item":                  {"a:\n- b\n- c: 1\n  d: 2\n", []any{"a", 1}, "c: 1\n  d: 2", "c: 1\n  d: 2", "c: 1"},
		"item of many lines":    {"a:\n- c:\n    d\n", []any{"a", 0}, "c:\n    d", "c:\n    d", "c:"},
		"scalar item":           {"a: [b, c]", []any{"a", 1}, "c", "c", "c"},
		"flow list":             {"a: [b, [c], ] # ]\n", []any{"a"}, "[b, [c], ]", "a: [b, [c], ]", "a"},
		"empty flow":            {"a: { } \n", []any{"a"}, "{ }", "a: { }", "a"},
		"flow on lines":         {"a: {\n  b: 1, # }\n}\n", []any{"a"}, "{\n  b: 1, # }\n}", "a: {\n  b: 1, # }\n}", "a"},
		"carriage returns":      {"a:\r\n  b: c\r\n  d: |\r\n   e\r\n   f\r\ng: h\r\n", []any{"a", "d"}, "|\r\n   e\r\n   f", "d: |\r\n   e\r\n   f", "d"},
		"lines of another kind": {"a: 'x\u2028y'\nb: c\n", []any{"b"}, "c", "b: c", "b"},
		"byte order mark":       {"\ufeffa: b\n", []any{"a"}, "b", "a: b", "a"},
		"explicit key":          {"? a\n: b\n", []any{"a"}, "b", "a\n: b", "a"},
		"JSON":                  {"{\n\t\"a\": [ {\"b\": \"\\ud83d\\ude00c\"} ]\n}", []any{"a", 0, "b"}, `"\ud83d\ude00c"`, `"b": "\ud83d\ude00c"`, `"b"`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tree, err := yamltree.Parse("f", []byte(tt.source), yamltree.Options{})
			if err != nil {
				t.Fatal(err)
			}
			n := tree.Documents()[0].Get(tt.path...)
			if !n.Exists() {
				t.Fatal("not found")
			}
			got := []string{cut(t, tt.source, n.Value()), cut(t, tt.source, n.Pair()), cut(t, tt.source, n.KeyPlace())}
			if diff := cmp.Diff([]string{tt.value, tt.pair, tt.key}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDocuments(t *testing.T) {
	tests := map[string]struct {
		source string
		want   string // line: JSON of each document
		err    string
	}{
		"none":                    {"", "", ""},
		"comments":                {"# a\n---\n# b\n", "", ""},
		"two":                     {"a: 1\n---\nb: 2\n", `1:{"a":1} 3:{"b":2}`, ""},
		"on the marker's line":    {"--- {a: 1}\n---   \n--- [2]\n", `1:{"a":1} 3:[2]`, ""},
		"empty ones":              {"---\n---\n\n---\n# Source: x\na: 1\n---", `6:{"a":1}`, ""},
		"directive":               {"# x\n%YAML 1.2\n---\na: 1\n", `4:{"a":1}`, ""},
		"end marker":              {"a: 1\n...\n---\nb: 2\n", `1:{"a":1} 4:{"b":2}`, ""},
		"broken in the middle":    {"a: 1\n---\nb: [\n---\nc: 3\n", `1:{"a":1} 5:{"c":3}`, "line 3: did not find expected node content"},
		"no marker in a literal":  {"a: |\n  ---\n  x\n", `1:{"a":"---\nx\n"}`, ""},
		"JSON stream":             {"{\"a\": 1}\n{\"b\": 2} {\"c\": 3}\n", `1:{"a":1} 2:{"b":2} 2:{"c":3}`, ""},
		"tab":                     {"a:\n\tb: 1\n", "", "line 2: found character that cannot start any token"},
		"Helm template":           {"a: 1\n{{ if .x }}\nb: 2\n", "", "line 2: could not find expected ':'"},
		"bad indentation":         {"a: 1\n\nb:\n  - x\n y: 2\n", "", "line 5: did not find expected key"},
		"quote without end":       {"\n\na: \"x\ny: 1\n", "", "line 3: found unexpected end of stream"},
		"list behind a mapping":   {"a: 1\n- b\n", "", "line 2: did not find expected key"},
		"in the first line":       {"a: 'x' y\n", "", "line 1: did not find expected key"},
		"unknown anchor":          {"a: 1\nb: *x\n", "", "line 2: unknown anchor 'x' referenced"},
		"control character":       {"a: 1\nb: \x01\n", "", "line 2: control characters are not allowed"},
		"UTF-16":                  {"\xff\xfea\x00", "", "line 1: the text is UTF-16: write it as UTF-8"},
		"second document's error": {"a: 1\r\n---\r\nb: 1\r\nc: d: e\r\n", `1:{"a":1}`, "line 4: mapping values are not allowed in this context"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tree, err := yamltree.Parse("f", []byte(tt.source), yamltree.Options{})
			var got []string
			for _, d := range tree.Documents() {
				data, err := d.JSON()
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, fmt.Sprintf("%d:%s", d.Line(), data))
			}
			message := ""
			var syntax *guard.SyntaxError
			if err != nil && !errors.As(err, &syntax) {
				t.Fatalf("%v is no SyntaxError", err)
			} else if err != nil {
				message = syntax.Error()
			}
			if strings.Join(got, " ") != tt.want || message != tt.err {
				t.Errorf("%s, %q; want %s, %q", got, message, tt.want, tt.err)
			}
		})
	}
}

// TestJSONIsKubernetes compares with what Kubernetes' own tools make of a manifest.
func TestJSONIsKubernetes(t *testing.T) {
	words := strings.Fields(`0755 0o17 0x1F 0b11 -0b1 1_000 1e3 1.50 .5 5. +1 -1 1:30 2001-01-01 2001-01-01T00:00:00Z yes No ON
		off y N true FALSE ~ null Null nUll TRUE tRue - . + -. 18446744073709551615 99999999999999999999 -9223372036854775808 1e
		e1 0x 0b2 09 1__0 _1 !!str !!int '1' "yes" "\u0041" 'it''s' !!str&x 1.2.3 12e03 -1.5E-3 a#b a: <x>&`)
	sources := []string{
		"a: &x {b: 1, c: 2}\nd: {b: 3, <<: *x}\ne: {<<: *x, b: 3}\nf: {c: 9, <<: [{b: 7}, *x]}\n",
		"1: a\ntrue: b\n~: c\n\"yes\": d\n", "a: !!str 1\nb: !!int \"2\"\nc: !!str yes\nd: !!str\n", "a: |\n  x\n  y\nb: >\n  x\n  y\n",
		"a: 1\nb: 2\na: 3\n",
	}
	for _, w := range words {
		sources = append(sources, "k: "+w+"\nl: ["+w+"]\n")
	}
	compared := 0
	for _, source := range sources {
		want, wantErr := yaml.YAMLToJSON([]byte(source))
		tree, err := yamltree.Parse("f", []byte(source), yamltree.Options{Ordered: true})
		if err != nil || wantErr != nil {
			continue // what is no YAML of 1.1 or of 1.2
		}
		got, err := tree.Documents()[0].JSON()
		if err != nil {
			t.Errorf("%q: %v", source, err)
			continue
		}
		var g, w any
		if err := errors.Join(json.Unmarshal(got, &g), json.Unmarshal(want, &w)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(w, g); diff != "" {
			t.Errorf("%q: -kubernetes +ours\n%s", source, diff)
		}
		compared++
	}
	if compared < len(sources)*3/4 {
		t.Errorf("compared %d of %d", compared, len(sources))
	}
}

func TestCulprit(t *testing.T) {
	tests := map[string]struct{ source, want string }{
		"a word for a number":  {"n: 1\nlist:\n- {n: 2}\n- {n: x, b: 1}\n", "n: x"},
		"a mapping for a list": {"list:\n  a: 1\n", "list:\n  a: 1"},
		"two":                  {"list:\n- {b: 1}\nn: x\n", "b: 1"},
		"behind an alias":      {"x: &x {n: y}\nlist: [*x]\n", "n: y"},
	}
	decode := func(data []byte) error {
		type value struct {
			N    int  `json:"n"`
			B    bool `json:"b"`
			List []struct {
				N int  `json:"n"`
				B bool `json:"b"`
			} `json:"list"`
		}
		return json.Unmarshal(data, &value{})
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tree, err := yamltree.Parse("f", []byte(tt.source), yamltree.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if got := cut(t, tt.source, tree.Documents()[0].Culprit(decode).Pair()); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

// bomb is a text in which every line doubles the one before.
func bomb(format string) string {
	var b strings.Builder
	b.WriteString("a0: &a0 {x0: 1}\n")
	for i := 1; i < 60; i++ {
		fmt.Fprintf(&b, format, i, i, i-1, i-1, i)
	}
	return b.String()
}

func TestBombs(t *testing.T) {
	tests := map[string]string{
		"aliases": bomb("a%d: &a%d [*a%d, *a%d, %d]\n"),
		"cycle":   "a: &a [*a]\n",
		"cycles":  "a: &a {b: *a, c: *a}\n",
		"deep":    "a: " + strings.Repeat("[", 300) + strings.Repeat("]", 300),
	}
	for name, source := range tests {
		t.Run(name, func(t *testing.T) {
			tree, err := yamltree.Parse("f", []byte(source), yamltree.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := tree.Documents()[0].JSON(); !errors.Is(err, yamltree.ErrTooLarge) {
				t.Errorf("JSON: %v", err)
			}
		})
	}
}

// TestMergeBomb merges the same mapping many times, which makes it no larger.
func TestMergeBomb(t *testing.T) {
	tree, err := yamltree.Parse("f", []byte(bomb("a%d: &a%d {<<: [*a%d, *a%d], k%d: 1}\n")), yamltree.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := tree.Documents()[0].Get("a59", "x0").Line(); got != 1 {
		t.Errorf("x0 is in line %d", got)
	}
	if n := tree.Documents()[0].Get("a59", "<<"); n.Exists() {
		t.Error("the merge key is there")
	}
	cycle, err := yamltree.Parse("f", []byte("a: &a\n  <<: *a\n  b: 1\n"), yamltree.Options{})
	if err != nil || cycle.Documents()[0].Get("a", "b").Text() != "1" {
		t.Errorf("a mapping that merges itself: %v", err)
	}
}

func TestApart(t *testing.T) {
	tree, err := yamltree.Parse("f", []byte("x: &x {k: 1}\na: *x\nb: {<<: *x, l: 2}\n"), yamltree.Options{})
	if err != nil {
		t.Fatal(err)
	}
	root := tree.Documents()[0]
	for path, want := range map[string]bool{"x k": false, "a": true, "a k": true, "b": false, "b k": true, "b l": false} {
		n := root
		for step := range strings.FieldsSeq(path) {
			n = n.Get(step)
		}
		if !n.Exists() || n.Apart() != want {
			t.Errorf("%s: exists %v, apart %v", path, n.Exists(), n.Apart())
		}
	}
}

func BenchmarkParse(b *testing.B) {
	source := []byte(strings.Repeat("---\napiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - name: a # c\n    image: b:1\n", 20))
	b.SetBytes(int64(len(source)))
	for b.Loop() {
		tree, err := yamltree.Parse("f", source, yamltree.Options{})
		if err != nil || len(tree.Documents()) != 20 {
			b.Fatal(err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"a: &x {b: [c, 'd', \"e\"]}\n<<: *x\n", "a: |\n  b\n c\n", "? a\n: b\n", "- - a\n  - !t &x b\n", "{\"a\": \"\\ud83d\"}",
		"a: \u2028b\r\nc: d\u0085e: f", "%YAML 1.2\n---\na\n...\nb", "\ufeffa: b", "a: >2-\n    x\n", "!<x> a: !y\n", "a: [b: c, ? d, e: ]",
		"&a a: &b\n*a : b\n", "a: *a\n", "'a''b': \"\\\n c\"\n", bomb("a%d: &a%d [*a%d, *a%d, %d]\n"),
	} {
		f.Add([]byte(seed))
	}
	paths, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, source []byte) {
		tree, err := yamltree.Parse("f", source, yamltree.Options{})
		var syntax *guard.SyntaxError
		if err != nil && (!errors.As(err, &syntax) || syntax.Line < 1 || syntax.Line > 1+strings.Count(string(source), "\n")) {
			t.Fatalf("error %v", err)
		}
		for _, d := range tree.Documents() {
			budget := 2000
			check(t, source, d, 0, &budget)
			if data, err := d.JSON(); err == nil && !json.Valid(data) {
				t.Errorf("no JSON: %s", data)
			}
		}
	})
}

// check looks at every value of a document: it must have a place.
func check(t *testing.T, source []byte, n yamltree.Node, depth int, budget *int) {
	t.Helper()
	if *budget--; *budget < 0 || depth > 50 {
		return
	}
	for _, l := range []guard.Location{n.Value(), n.Pair(), n.KeyPlace()} {
		start, ok := guard.Offset(source, l.Line, l.Column)
		end, okEnd := guard.Offset(source, l.EndLine, l.EndColumn)
		if !ok || !okEnd || end < start {
			t.Fatalf("%+v is no range", l)
		}
	}
	if text := n.Text(); text != "" && !strings.ContainsAny(text, " \t\r\n\u0085\u2028\u2029\ufeff") {
		got := cut(t, string(source), n.Value())
		if got != text && !strings.ContainsAny(got[:min(1, len(got))], "\"'|>") {
			t.Fatalf("%q stands where %q is", got, text)
		}
	}
	for _, item := range n.Items() {
		check(t, source, item, depth+1, budget)
	}
	for _, value := range n.Pairs() {
		check(t, source, value, depth+1, budget)
	}
}
