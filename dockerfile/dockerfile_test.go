package dockerfile_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"github.com/deckhand-engine/deckhand/dockerfile"
)

func parse(t *testing.T, source string) *dockerfile.File {
	t.Helper()
	f, err := dockerfile.Parse([]byte(source))
	if err != nil {
		t.Fatalf("Parse: %v", err)
	}
	return f
}

func all(f *dockerfile.File) []*dockerfile.Instruction {
	var found []*dockerfile.Instruction
	for i := range f.Global {
		found = append(found, &f.Global[i])
	}
	for i := range f.Stages {
		found = append(found, f.Stages[i].From)
		for j := range f.Stages[i].Instructions {
			found = append(found, &f.Stages[i].Instructions[j])
		}
	}
	return found
}

// last is the last instruction of a file.
func last(f *dockerfile.File) *dockerfile.Instruction {
	found := all(f)
	return found[len(found)-1]
}

func TestParse(t *testing.T) {
	f := parse(t, strings.Join([]string{
		"# syntax=docker/dockerfile:1", "# check=skip=all", "ARG V=1", "from --platform=$BUILDPLATFORM golang:$V As Build",
		"run go build", "FROM scratch", "COPY --from=build --chown=7 /a /b", `ENTRYPOINT ["/b", "-x"]`, "USER app", "",
	}, "\n"))
	if len(f.Global) != 1 || len(f.Stages) != 2 {
		t.Fatalf("%d global ARGs and %d stages", len(f.Global), len(f.Stages))
	}
	first, second := f.Stages[0], f.Stages[1]
	if first.Name != "build" || first.Base != "golang:$V" || first.Platform != "$BUILDPLATFORM" || first.From.Keyword != "FROM" {
		t.Errorf("first stage %+v", first)
	}
	if second.Index != 1 || second.Name != "" || second.Base != "scratch" || len(second.Instructions) != 3 {
		t.Errorf("second stage %+v", second)
	}
	if got, _ := second.Instructions[0].Flag("chown"); got != "7" {
		t.Errorf("--chown is %q", got)
	}
	if _, found := second.Instructions[0].Flag("chmod"); found {
		t.Error("there is no --chmod")
	}
	if e := second.Instructions[1]; !e.JSON || !cmp.Equal(e.Args, []string{"/b", "-x"}) {
		t.Errorf("ENTRYPOINT %+v", e)
	}
	want := dockerfile.Range{Start: dockerfile.Position{Offset: 188, Line: 9, Column: 1}, End: dockerfile.Position{Offset: 196, Line: 9, Column: 9}}
	if got := second.Instructions[2].Range; got != want {
		t.Errorf("USER at %+v, want %+v", got, want)
	}
}

func TestArguments(t *testing.T) {
	tests := map[string]struct {
		source string // its last instruction is looked at
		args   []string
		ranges []string // of each argument or pair in the source
		line   int      // of the first
		column int
	}{
		"user":              {"FROM a\nUSER app", []string{"app"}, []string{"app"}, 2, 6},
		"blanks":            {"FROM a\n \tUSER \t app \t", []string{"app"}, []string{"app"}, 2, 10},
		"crlf":              {"FROM a\r\nUSER app\r\n", []string{"app"}, []string{"app"}, 2, 6},
		"mark":              {"\xef\xbb\xbfFROM a", []string{"a"}, []string{"a"}, 1, 9},
		"next line":         {"FROM a\nUSER \\\n  app\n", []string{"app"}, []string{"app"}, 3, 3},
		"next line crlf":    {"FROM a\r\nUSER \\\r\n# c\r\n\r\n  app\r\n", []string{"app"}, []string{"app"}, 5, 3},
		"over two lines":    {"FROM a\nUSER ap\\\n# no\np:g", []string{"app:g"}, []string{"ap\\\n# no\np:g"}, 2, 6},
		"backtick":          {"# escape=`\nFROM a\nUSER ap`\np\\x", []string{"app\\x"}, []string{"ap`\np\\x"}, 3, 6},
		"lone backslash":    {"FROM a\n\\\n  USER app", []string{"app"}, []string{"app"}, 3, 8},
		"json":              {"FROM a\nCMD [ \"x\\\"y\" ,\"z\"]", []string{`x"y`, "z"}, []string{`"x\"y"`, `"z"`}, 2, 7},
		"no json":           {"FROM a\nCMD ['x']", []string{"['x']"}, []string{"['x']"}, 2, 5},
		"copy":              {"FROM a\nCOPY --from=b --chown=1 x \\\n y /", []string{"x", "y", "/"}, []string{"x", "y", "/"}, 2, 25},
		"copy json":         {"FROM a\nCOPY --link [\"x y\", \"/\"]", []string{"x y", "/"}, []string{`"x y"`, `"/"`}, 2, 14},
		"expose":            {"FROM a\nEXPOSE 80 \\\n 443/tcp", []string{"80", "443/tcp"}, []string{"80", "443/tcp"}, 2, 8},
		"from":              {"FROM --platform=a/b x AS y", []string{"x", "AS", "y"}, []string{"x", "AS", "y"}, 1, 21},
		"env":               {"FROM a\nENV A=1 B='x y' \\\n  C=\"q\"", nil, []string{"A=1", "B='x y'", `C="q"`}, 2, 5},
		"env of old":        {"FROM a\nENV A  x y", nil, []string{"A  x y"}, 2, 5},
		"arg":               {"FROM a\nARG A B=\"c d\"", nil, []string{"A", `B="c d"`}, 2, 5},
		"health":            {"FROM a\nHEALTHCHECK --interval=1s CMD curl x", []string{"CMD", "curl x"}, []string{"CMD", "curl x"}, 2, 27},
		"health json":       {"FROM a\nHEALTHCHECK CMD [\"curl\"]", []string{"CMD", "curl"}, []string{"CMD", `"curl"`}, 2, 13},
		"end of flags":      {"FROM a\nRUN -- --x", []string{"--x"}, []string{"--x"}, 2, 8},
		"mount":             {"FROM a\nRUN --mount=type=secret,id=x,env=T \\\n --network=none id", []string{"id"}, []string{"id"}, 3, 17},
		"heredoc":           {"FROM a\nRUN <<E\nid\nE\n", []string{"<<E"}, []string{"<<E"}, 2, 5},
		"no UTF-8":          {"FROM a\nUSER \xe4pp", []string{"?pp"}, []string{"\xe4pp"}, 2, 6},
		"comment and blank": {"FROM a\nRUN a \\\n\n# b \\\n  c \\\n\n", []string{"a   c"}, []string{"a \\\n\n# b \\\n  c"}, 2, 5},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := parse(t, tt.source)
			in := last(f)
			if diff := cmp.Diff(tt.args, in.Args); diff != "" {
				t.Errorf("arguments: %s", diff)
			}
			var ranges []string
			for i := range max(len(in.Args), len(in.Pairs)) {
				ranges = append(ranges, string(f.ArgRange(in, i).In(f.Source)))
			}
			if diff := cmp.Diff(tt.ranges, ranges); diff != "" {
				t.Errorf("ranges: %s", diff)
			}
			if at := f.ArgRange(in, 0).Start; at.Line != tt.line || at.Column != tt.column {
				t.Errorf("at %d:%d, want %d:%d", at.Line, at.Column, tt.line, tt.column)
			}
		})
	}
}

func TestPlaces(t *testing.T) {
	f := parse(t, "FROM a\nONBUILD \\\n COPY --from=x <<E \\\n /b\nfoo\nE\nCMD b")
	in := &f.Stages[0].Instructions[0]
	slice := func(r dockerfile.Range) string { return string(r.In(f.Source)) }
	trigger := in.Trigger
	if trigger == nil || trigger.Err() != nil || trigger.Keyword != "COPY" || len(trigger.Heredocs) != 1 {
		t.Fatalf("trigger %+v", trigger)
	}
	got := []string{
		slice(in.Range), slice(f.KeywordRange(in)), slice(trigger.Range), slice(f.KeywordRange(trigger)),
		slice(f.FlagRange(trigger, 0)), slice(f.ArgRange(trigger, 1)), slice(f.ArgsRange(trigger)), slice(f.ArgsRange(in)),
	}
	want := []string{
		"ONBUILD \\\n COPY --from=x <<E \\\n /b\nfoo\nE", "ONBUILD", "COPY --from=x <<E \\\n /b\nfoo\nE", "COPY",
		"--from=x", "/b", "<<E \\\n /b", "COPY --from=x <<E \\\n /b",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if h := trigger.Heredoc("<<E"); h == nil || h.Body() != "foo\n" {
		t.Errorf("heredoc %+v", h)
	}
	if h := trigger.Heredoc("/b"); h != nil {
		t.Errorf("/b is heredoc %+v", h)
	}
}

func TestHeredoc(t *testing.T) {
	f := parse(t, "FROM a\nCOPY <<-'E' <<F /\n\tx\n\t\ty\n\tE\n$z\nF\n")
	in := last(f)
	first, second := in.Heredoc(in.Args[0]), in.Heredoc(in.Args[1])
	if first == nil || first.Expand || first.Body() != "x\ny\n" || second == nil || !second.Expand || second.Body() != "$z\n" {
		t.Errorf("heredocs %+v, %+v", first, second)
	}
}

func TestSyntaxError(t *testing.T) {
	tests := map[string]struct {
		source string
		line   int
		text   string
	}{
		"empty":              {"", 1, "file with no instructions"},
		"comments only":      {"# a\n# b\n", 2, "file with no instructions"},
		"unknown":            {"FROM a\n\nUSR x", 3, "unknown instruction: USR (did you mean USER?)"},
		"no FROM":            {"ARG a\n", 1, "dockerfile contains no stages to build"},
		"before FROM":        {"ARG a\nRUN x", 2, "no build stage in current context"},
		"USER of nobody":     {"FROM a\nUSER", 2, "USER requires exactly one argument"},
		"unknown flag":       {"FROM a\nUSER --x app", 2, "unknown flag: --x"},
		"flag twice":         {"FROM a\nCOPY --from=a --from=b x y", 2, "duplicate flag specified: --from"},
		"bad FROM":           {"FROM a b", 1, "FROM requires either one or three arguments"},
		"bad name":           {"FROM a AS 1b", 1, "invalid name for build stage"},
		"COPY of one":        {"FROM a\nCOPY x", 2, "COPY requires at least two arguments"},
		"bad ENV":            {"FROM a\nENV x", 2, "ENV must have two arguments"},
		"open heredoc":       {"FROM a\nRUN <<E\nx", 2, "unterminated heredoc"},
		"bad escape":         {"# syntax=x\n# escape=x\nFROM a", 2, "invalid escape token"},
		"directive twice":    {"# escape=`\n# escape=`\nFROM a", 2, "only one escape parser directive"},
		"SHELL without JSON": {"FROM a\nSHELL bash", 2, "SHELL requires the arguments to be in JSON form"},
		"ONBUILD FROM":       {"FROM a\nONBUILD FROM b", 2, "FROM isn't allowed as an ONBUILD trigger"},
		"bad mount":          {"FROM a\nRUN --mount=type=bind,from=$x id", 2, "doesn't support variable expansion"},
		"heredoc to heredoc": {"FROM a\nCOPY x <<E\nE\n", 2, "cannot accept a heredoc as a destination"},
		"long line":          {"FROM a\n\nRUN " + strings.Repeat("x", 70_000), 3, "greater than max allowed size"},
		"JSON of numbers":    {"FROM a\nCMD [1]", 2, "arrays must be comprised of strings only"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := dockerfile.Parse([]byte(tt.source))
			var syntax *dockerfile.SyntaxError
			if !errors.As(err, &syntax) {
				t.Fatalf("error %v", err)
			}
			if syntax.Line != tt.line || !strings.Contains(syntax.Text, tt.text) {
				t.Errorf("got %v, want line %d: %s", syntax, tt.line, tt.text)
			}
		})
	}
}

func TestParseTrigger(t *testing.T) {
	f, in, err := dockerfile.ParseTrigger("USER app")
	if err != nil || in.Keyword != "USER" || string(f.ArgRange(in, 0).In(f.Source)) != "app" {
		t.Errorf("%+v, %v", in, err)
	}
	for _, bad := range []string{"", "FROM a", "RUN a\nRUN b", "FOO", "USER"} {
		if _, _, err := dockerfile.ParseTrigger(bad); err == nil {
			t.Errorf("%q is a trigger", bad)
		}
	}
}

// buildkitAccepts is what the package must agree with.
func buildkitAccepts(source []byte) bool {
	result, err := parser.Parse(bytes.NewReader(source))
	if err != nil {
		return false
	}
	stages, _, err := instructions.Parse(result.AST, nil)
	return err == nil && len(stages) > 0
}

// joined takes out of a part of the source what the parser takes out.
func joined(part []byte, escape byte) string {
	lines := strings.Split(string(part), "\n")
	var b strings.Builder
	for i, line := range lines {
		line = strings.TrimRight(line, "\r")
		if trimmed := strings.TrimSpace(line); i > 0 && (trimmed == "" || trimmed[0] == '#') {
			continue
		}
		if cut := strings.TrimRight(line, " \t"); i < len(lines)-1 && strings.HasSuffix(cut, string(rune(escape))) {
			line = cut[:len(cut)-1]
		}
		b.WriteString(line)
	}
	return b.String()
}

func seeds(f *testing.F) {
	for _, seed := range []string{
		"FROM a\nUSER app\n", "# escape=`\r\nFROM a AS b\r\nRUN x `\r\n # c\r\n y\r\nUSER 0:0", "ARG V=1\nFROM a:$V\nENV A=\"b\\\" c\" D=\\ e F\\\n=g",
		"FROM a\nONBUILD RUN <<E cat\nx\nE\n", "FROM a\nCOPY --chown=\"a b\" --link [\"a\", \"\\u0062\"]\n", "\\\nFROM a\nENV a b c\\",
		"\xef\xbb\xbf# syntax=x\nFROM scratch\nHEALTHCHECK --interval=5s CMD [\"a\"]\nEXPOSE 80 1-2/udp\n", "FROM a\nRUN -- x --y\nCMD [ ]\nLABEL a=b c",
		"FROM a\nUSER \xff\x00\nRUN a\\\\\nUSER b\\ \\ \n c", "FROM a\nUSER \u00a0a\u0085\n\u2028USER x",
	} {
		f.Add([]byte(seed))
	}
}

func FuzzParse(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, source []byte) {
		before := bytes.Clone(source)
		file, err := dockerfile.Parse(source)
		if !bytes.Equal(before, source) {
			t.Fatal("the source was changed")
		}
		printable := bytes.IndexByte(source, 0) < 0 && bytes.Equal(bytes.ToValidUTF8(source, []byte("?")), source)
		if printable && buildkitAccepts(source) != (err == nil) {
			t.Fatalf("BuildKit disagrees with %v", err)
		}
		if err != nil {
			var syntax *dockerfile.SyntaxError
			if !errors.As(err, &syntax) || syntax.Line < 1 || syntax.Line > 1+bytes.Count(source, []byte("\n")) {
				t.Fatalf("error %v", err)
			}
			return
		}
		for _, in := range all(file) {
			checkPlaces(t, file, in, printable)
			if in.Trigger != nil {
				checkPlaces(t, file, in.Trigger, printable)
			}
		}
	})
}

func checkRange(t *testing.T, source []byte, r dockerfile.Range) {
	t.Helper()
	for _, p := range []dockerfile.Position{r.Start, r.End} {
		if p.Offset < 0 || p.Offset > len(source) || r.End.Offset < r.Start.Offset {
			t.Fatalf("range %+v of %d bytes", r, len(source))
		}
		line := 1 + bytes.Count(source[:p.Offset], []byte("\n"))
		column := p.Offset - bytes.LastIndexByte(source[:p.Offset], '\n')
		if line != p.Line || column != p.Column {
			t.Fatalf("%+v is at %d:%d", p, line, column)
		}
	}
}

func checkPlaces(t *testing.T, f *dockerfile.File, in *dockerfile.Instruction, exact bool) {
	t.Helper()
	checkRange(t, f.Source, in.Range)
	keyword := f.KeywordRange(in)
	checkRange(t, f.Source, keyword)
	checkRange(t, f.Source, f.ArgsRange(in))
	if keyword.Start != in.Range.Start {
		t.Fatalf("%s begins at %+v, its keyword at %+v", in.Keyword, in.Range.Start, keyword.Start)
	}
	for i, flag := range in.Flags {
		r := f.FlagRange(in, i)
		checkRange(t, f.Source, r)
		if text := joined(r.In(f.Source), f.Escape); exact && !strings.ContainsAny(text, "'\"\\`") && isASCII(text) && text != flag {
			t.Fatalf("flag %q is %q", flag, text)
		}
	}
	for i := range max(len(in.Args), len(in.Pairs)) {
		r := f.ArgRange(in, i)
		checkRange(t, f.Source, r)
		if want := argument(in, i); exact && !in.JSON {
			text := joined(r.In(f.Source), f.Escape)
			if text != want && strings.TrimSuffix(text, string(rune(f.Escape))) != want && !isLegacy(in, text) {
				t.Fatalf("%s: argument %q is %q", in.Keyword, want, text)
			}
		}
	}
}

func argument(in *dockerfile.Instruction, i int) string {
	if len(in.Args) > 0 {
		return in.Args[i]
	}
	if p := in.Pairs[i]; p.Set {
		return p.Name + "=" + p.Value
	}
	return in.Pairs[i].Name
}

// isLegacy reports whether the text is NAME VALUE.
func isLegacy(in *dockerfile.Instruction, text string) bool {
	return in.Keyword != "ARG" && len(in.Pairs) == 1 && strings.HasPrefix(text, in.Pairs[0].Name) && strings.HasSuffix(text, in.Pairs[0].Value)
}

func isASCII(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return r >= 0x80 }) < 0
}

func BenchmarkParse(b *testing.B) {
	source := []byte(strings.Repeat("FROM golang:1.26 AS build\nWORKDIR /src\nCOPY --chown=1 go.mod go.sum ./\nRUN apt-get update \\\n    && apt-get install -y curl \\\n    && rm -rf /var/lib/apt/lists/*\nENV A=1 B=\"two words\"\nUSER app\nENTRYPOINT [\"/bin/app\"]\n", 3))
	b.Run("BuildKit", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := parser.Parse(bytes.NewReader(source)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("dockerfile", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := dockerfile.Parse(source); err != nil {
				b.Fatal(err)
			}
		}
	})
}
