package dockerfile_test

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/buildkit/frontend/dockerfile/shell"

	"github.com/deckhand-engine/deckhand/dockerfile"
)

// walk follows a file to the end of its last stage.
func walk(t *testing.T, f *dockerfile.File, o dockerfile.Options) *dockerfile.Scope {
	t.Helper()
	global, err := f.Scope(o)
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]*dockerfile.Scope{}
	var scope *dockerfile.Scope
	for i := range f.Stages {
		stage := &f.Stages[i]
		scope = global.Stage(named[stage.Base])
		for j := range stage.Instructions {
			if err := scope.Apply(&stage.Instructions[j]); err != nil {
				t.Fatal(err)
			}
		}
		named[stage.Name] = scope
	}
	return scope
}

func TestScope(t *testing.T) {
	tests := map[string]struct {
		source string // the argument of its last instruction is expanded
		args   map[string]string
		value  string
		unset  []string
		empty  []string
	}{
		"plain":                  {"FROM a\nUSER app", nil, "app", nil, nil},
		"quotes":                 {"FROM a\nUSER \"a b\"", nil, "a b", nil, nil},
		"mixed quotes":           {"FROM a\nUSER a'b'\\c", nil, "abc", nil, nil},
		"single quotes":          {"FROM a\nENV A=1\nUSER '$A'", nil, "$A", nil, nil},
		"env":                    {"FROM a\nENV A=1\nUSER $A", nil, "1", nil, nil},
		"env of old":             {"FROM a\nENV A x y\nUSER $A", nil, "x y", nil, nil},
		"env within itself":      {"FROM a\nENV A=1\nENV A=2 B=$A\nUSER $B", nil, "1", nil, nil},
		"env over arg":           {"FROM a\nARG A=1\nENV A=2\nUSER $A", map[string]string{"A": "3"}, "2", nil, nil},
		"arg":                    {"FROM a\nARG A=1\nUSER ${A}x", nil, "1x", nil, nil},
		"args in order":          {"FROM a\nARG A=1 B=$A\nUSER $B", nil, "1", nil, nil},
		"build arg":              {"FROM a\nARG A=1\nUSER $A", map[string]string{"A": "3"}, "3", nil, nil},
		"arg behind env":         {"FROM a\nENV A=1\nARG A=2\nUSER $A", nil, "2", nil, nil},
		"build arg not named":    {"FROM a\nUSER $A", map[string]string{"A": "3"}, "", []string{"A"}, []string{"A"}},
		"global":                 {"ARG A=1\nFROM a\nARG A\nUSER $A", nil, "1", nil, nil},
		"global not taken":       {"ARG A=1\nFROM a\nUSER $A", nil, "", []string{"A"}, []string{"A"}},
		"global under a default": {"ARG A=1\nFROM a\nARG A=2\nUSER $A", nil, "2", nil, nil},
		"global of global":       {"ARG A=1\nARG B=$A\nFROM a\nARG B\nUSER $B", nil, "1", nil, nil},
		"global build arg":       {"ARG A=1\nFROM a\nARG A\nUSER $A", map[string]string{"A": "3"}, "3", nil, nil},
		"arg without value":      {"FROM a\nARG A\nUSER $A", nil, "", []string{"A"}, []string{"A"}},
		"env before arg":         {"FROM a\nENV A=1\nARG A\nUSER $A", nil, "1", nil, nil},
		"parent":                 {"FROM a AS b\nARG A=1\nENV B=2\nFROM b\nUSER $A$B", nil, "12", nil, nil},
		"not a parent":           {"FROM a AS b\nENV B=2\nFROM c\nUSER $B", nil, "", []string{"B"}, []string{"B"}},
		"default":                {"FROM a\nUSER ${A:-x}", nil, "x", []string{"A"}, nil},
		"default of unset":       {"FROM a\nUSER ${A:-$B}", nil, "", []string{"A", "B"}, []string{"B"}},
		"default and bare":       {"FROM a\nUSER ${A:-x}$A", nil, "x", []string{"A"}, []string{"A"}},
		"longer name":            {"FROM a\nARG AB=1\nUSER ${A:-x}${AB}", nil, "x1", []string{"A"}, nil},
		"alternative":            {"FROM a\nENV A=1\nUSER ${A:+x}${B:+y}", nil, "x", []string{"B"}, nil},
		"demanded":               {"FROM a\nUSER x${A:?no}", nil, "", []string{"A"}, []string{"A"}},
		"prefix":                 {"FROM a\nENV A=a.b.c\nUSER ${A#*.}-${A##*.}", nil, "b.c-c", nil, nil},
		"suffix":                 {"FROM a\nENV A=a.b.c\nUSER ${A%.*}-${A%%.*}", nil, "a.b-a", nil, nil},
		"replaced":               {"FROM a\nENV A=a.b.c\nUSER ${A/./-}${A//./}", nil, "a-b.cabc", nil, nil},
		"escaped":                {"FROM a\nENV A=1\nUSER \\$A", nil, "$A", nil, nil},
		"escaped by backtick":    {"# escape=`\nFROM a\nENV A=1\nUSER `$A$A\\", nil, "$A1\\", nil, nil},
		"made of nothing":        {"FROM a\nARG A\nENV B=u$A\nUSER $B", nil, "u", []string{"A"}, []string{"A"}},
		"made of nothing global": {"ARG A\nARG B=u$A\nFROM a\nARG B\nUSER $B", nil, "u", []string{"A"}, []string{"A"}},
		"made of a default":      {"FROM a\nARG A\nENV B=${A:-u}\nUSER $B", nil, "u", nil, nil},
		"positional":             {"FROM a\nUSER a$1", nil, "a", []string{"1"}, []string{"1"}},
		"platform":               {"FROM a\nARG TARGETARCH\nARG TARGETPLATFORM\nUSER $TARGETARCH,$TARGETPLATFORM", nil, "arm,linux/arm/v7", nil, nil},
		"platform not taken":     {"FROM a\nUSER $TARGETARCH", nil, "", []string{"TARGETARCH"}, []string{"TARGETARCH"}},
		"platform given":         {"FROM a\nARG TARGETARCH\nUSER $TARGETARCH", map[string]string{"TARGETARCH": "x"}, "x", nil, nil},
		"build platform":         {"FROM a\nARG BUILDPLATFORM\nUSER $BUILDPLATFORM", nil, "linux/" + runtime.GOARCH, nil, nil},
		"target stage":           {"FROM a AS z\nARG TARGETSTAGE\nUSER $TARGETSTAGE", nil, "z", nil, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := parse(t, tt.source)
			scope := walk(t, f, dockerfile.Options{Args: tt.args, Platform: "linux/arm"})
			got, err := scope.Expand(last(f).Args[0])
			if err != nil {
				t.Fatal(err)
			}
			want := dockerfile.Expansion{Value: tt.value, Unset: tt.unset, Empty: tt.empty}
			if strings.HasPrefix(name, "made of nothing") {
				want.Through = tt.empty
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestScopeOfFrom(t *testing.T) {
	f := parse(t, "ARG V=1\nARG W\nFROM a:$V-$TARGETARCH$W")
	global, err := f.Scope(dockerfile.Options{Platform: "linux/s390x"})
	if err != nil {
		t.Fatal(err)
	}
	got, err := global.Expand(f.Stages[0].Base)
	want := dockerfile.Expansion{Value: "a:1-s390x", Unset: []string{"W"}, Empty: []string{"W"}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	if !global.Declared("W") || global.Declared("X") {
		t.Error("W is declared, X is not")
	}
}

func TestScopeError(t *testing.T) {
	for name, source := range map[string]string{
		"global": "ARG V=${}\nFROM a", "arg": "FROM a\nARG V=${x", "env": "FROM a\nENV V='", "env name": "FROM a\nENV ${}=1",
	} {
		t.Run(name, func(t *testing.T) {
			f := parse(t, source)
			scope, err := f.Scope(dockerfile.Options{})
			if err == nil {
				err = scope.Stage(nil).Apply(last(f))
			}
			var syntax *dockerfile.SyntaxError
			if !errors.As(err, &syntax) || syntax.Line != 1+strings.Count(source[:strings.IndexByte(source, 'V')-1], "\n") && name != "env name" {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestGrowth(t *testing.T) {
	for name, line := range map[string]string{"doubled": "ENV A=$A$A\n", "replaced": "ENV A=${A//x/xxxxxxxxxx}\n", "replaced by itself": "ENV A=${A//x/${A//x/$A}}\n", "many": "ENV A=$A$A B=$A C=$A\n"} {
		t.Run(name, func(t *testing.T) {
			f := parse(t, "FROM a\nENV A=xxxx\n"+strings.Repeat(line, 200))
			global, err := f.Scope(dockerfile.Options{})
			scope := global.Stage(nil)
			for i := range f.Stages[0].Instructions {
				if err == nil {
					err = scope.Apply(&f.Stages[0].Instructions[i])
				}
			}
			if err == nil || !strings.Contains(err.Error(), "grow") {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestWordsAndHeredocs(t *testing.T) {
	f := parse(t, "FROM a\nENV P=\"80 443\" A=1\n")
	scope := walk(t, f, dockerfile.Options{})
	words, err := scope.Words("1 $P/tcp 'x y'")
	if diff := cmp.Diff([]string{"1", "80", "443/tcp", "x y"}, words); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	body, err := scope.ExpandHeredoc("\"$A\" '$A' \\$A\n")
	if body.Value != "\"1\" '1' $A\n" || err != nil {
		t.Errorf("heredoc %q, %v", body.Value, err)
	}
}

func FuzzExpand(f *testing.F) {
	for _, word := range []string{"$A", "${A:-x}", "'a'\"b\"", "${A#*b}", "a\\$", "${A/b/${C}}", "\"\"", "$$"} {
		f.Add(word, "v")
	}
	f.Fuzz(func(t *testing.T, word, value string) {
		if strings.ToValidUTF8(word, "") != word || strings.ContainsRune(word, 0) || len(word) > 200 {
			return // the parser lets none of these through; the lexer complains about them on standard error
		}
		file, err := dockerfile.Parse([]byte("FROM a"))
		if err != nil {
			t.Fatal(err)
		}
		global, err := file.Scope(dockerfile.Options{})
		if err != nil {
			t.Fatal(err)
		}
		scope := global.Stage(nil)
		scope.Set("A", value)
		got, err := scope.Expand(word)
		want, wantErr := shell.NewLex('\\').ProcessWordWithMatches(word, shell.EnvsFromSlice([]string{"A=" + value}))
		if wantErr != nil {
			if err == nil && len(got.Empty) == 0 {
				t.Errorf("%q expands to %+v; BuildKit says %v", word, got, wantErr)
			}
			return
		}
		if err != nil || got.Value != want.Result || len(got.Unset) != len(want.Unmatched) {
			t.Errorf("%q expands to %+v, %v; BuildKit says %+v", word, got, err, want)
		}
	})
}
