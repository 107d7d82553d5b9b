package dockerfiles_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/load/dockerfiles"
)

func TestIs(t *testing.T) {
	tests := map[string]struct {
		name, data string
		want       bool
	}{
		"plain":            {"Dockerfile", "", true},
		"podman's":         {"Containerfile", "", true},
		"lower case":       {"dockerfile", "", true},
		"with a suffix":    {"Dockerfile.dev", "", true},
		"podman's suffix":  {"Containerfile.dev", "", true},
		"with a stem":      {"web.Dockerfile", "", true},
		"lower stem":       {"web.dockerfile", "", true},
		"broken":           {"Dockerfile", "no such thing", true},
		"ignore file":      {"Dockerfile.dockerignore", "", false},
		"text":             {"Dockerfile.md", "", false},
		"backup":           {"Dockerfile~", "", false},
		"backup of text":   {"Dockerfile.txt~", "", false},
		"copy":             {"Dockerfile.orig", "", false},
		"template":         {"Dockerfile.j2", "FROM {{ base }}\nRUN x\n", false},
		"template's name":  {"Dockerfile.j2", "", false},
		"ignore":           {".dockerignore", "", false},
		"hidden":           {".dockerfile", "", false},
		"Go":               {"dockerfile.go", "package dockerfile", false},
		"other name":       {"build", "# c\n\n ARG V\nFROM a:$V\nRUN x\n", true},
		"other name, CRLF": {"build", "FROM a\r\nRUN x\r\n", true},
		"other name, tab":  {"build", "from\ta\nrun x\n", true},
		"Python":           {"main.py", "from os import path\nimport x\n", false},
		"SQL":              {"q.sql", "FROM t\nSELECT 1\n", false},
		"letter":           {"x", "From me to you\n", false},
		"empty":            {"x", "", false},
		"comments":         {"x", "# FROM a\n", false},
		"script":           {"x", "#!/bin/sh\nRUN x\n", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := dockerfiles.Is(tt.name, []byte(tt.data)); got != tt.want {
				t.Errorf("Is(%q, %q) = %v", tt.name, tt.data, got)
			}
		})
	}
}

func TestLoadErrors(t *testing.T) {
	tests := map[string]struct {
		source string
		line   int
		text   string
	}{
		"empty":            {"", 1, "file with no instructions"},
		"unknown":          {"FROM a\nUSRE b", 2, "unknown instruction: USRE"},
		"no FROM":          {"ARG a", 1, "no stages"},
		"bad expression":   {"FROM a\nENV A=${}", 2, "bad substitution"},
		"bad USER":         {"FROM a\nUSER ${", 2, "missing '}'"},
		"bad FROM":         {"FROM ${", 1, "missing '}'"},
		"bad global":       {"ARG X=${}\nFROM a", 1, "bad substitution"},
		"bad COPY":         {"FROM a\nRUN x\nCOPY 'a /b", 3, "matching single-quote"},
		"bad chown":        {"FROM a\nCOPY --chown=${ a /b", 2, "missing '}'"},
		"bad WORKDIR":      {"FROM a\nWORKDIR '", 2, "matching single-quote"},
		"bad port":         {"FROM a\nEXPOSE http", 2, "invalid containerPort: http"},
		"bad protocol":     {"FROM a\nEXPOSE 80/tpc", 2, "invalid proto"},
		"bad range":        {"FROM a\nEXPOSE 90-80", 2, "invalid containerPort"},
		"blank FROM":       {"ARG B=\nFROM \"\"", 2, "should not be blank"},
		"bad trigger":      {"FROM a AS b\nONBUILD USER\nFROM b", 2, "USER requires exactly one argument"},
		"unknown trigger":  {"FROM a AS b\nONBUILD USRE x\nFROM b", 2, "unknown instruction: USRE"},
		"image's trigger":  {"FROM badtrigger", 1, "unknown instruction"},
		"triggers trigger": {"FROM moretriggers", 1, "triggers ONBUILD"},
		"many stages":      {strings.Repeat("FROM a\n", 600), 501, "more than 500 stages"},
		"growing":          {"FROM a\nENV A=xxxxxxxx\n" + strings.Repeat("ENV A=$A$A\n", 100), 0, "grow"},
	}
	known := images()
	bad := config("")
	bad.OnBuild = []string{"FOO x"}
	more := config("")
	more.OnBuild = []string{"ONBUILD USER x"}
	known["badtrigger"], known["moretriggers"] = image(bad, nil), image(more, nil)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := dockerfiles.Load(t.Context(), guard.Source{Path: "x", Data: []byte(tt.source)}, guard.Env{Images: known})
			var syntax *guard.SyntaxError
			if !errors.As(err, &syntax) {
				t.Fatalf("error %v", err)
			}
			if tt.line != 0 && syntax.Line != tt.line || !strings.Contains(syntax.Text, tt.text) || strings.HasPrefix(syntax.Text, "line ") {
				t.Errorf("line %d: %s; want line %d: %s", syntax.Line, syntax.Text, tt.line, tt.text)
			}
		})
	}
}

func TestTargetAndCancel(t *testing.T) {
	src := guard.Source{Path: "x", Data: []byte("FROM a AS b\nFROM c")}
	if _, err := dockerfiles.Load(t.Context(), src, guard.Env{Target: "z"}); err == nil || !strings.Contains(err.Error(), `"z" could not be found`) {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := dockerfiles.Load(ctx, src, guard.Env{Images: images()}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestSubject(t *testing.T) {
	const source = "FROM redis AS base\nENV A=1 B=\"x y\"\nEXPOSE 80\nFROM base\nARG TOKEN\nARG V=2\nENV C=$A$V\nUSER 7\nCMD [\"a\"]\n"
	s := text(t, source)
	if s.Kind != guard.KindDockerfile || s.Name != "image" || slice(t, source, s.Where) != "FROM base" {
		t.Errorf("%s %s at %s", s.Kind, s.Name, span(s.Where))
	}
	if s.Image != "redis" || span(s.ImageAt) != "1:6-1:11" {
		t.Errorf("image %s at %s", s.Image, span(s.ImageAt))
	}
	type variable struct {
		name, value string
		arg         bool
		at          string
	}
	var variables []variable
	for _, v := range s.Variables {
		variables = append(variables, variable{v.Name, v.Value, v.Arg, slice(t, source, v.Where)})
	}
	wantVariables := []variable{
		{"A", "1", false, "A=1"},
		{"B", "x y", false, `B="x y"`},
		{"TOKEN", "", true, "TOKEN"},
		{"V", "2", true, "V=2"},
		{"C", "12", false, "C=$A$V"},
	}
	if diff := cmp.Diff(wantVariables, variables, cmp.AllowUnexported(variable{})); diff != "" {
		t.Error(diff)
	}
	wantPorts := []string{"6379/tcp at FROM redis AS base", "80/tcp at 80"}
	if diff := cmp.Diff(wantPorts, ports(t, source, s)); diff != "" {
		t.Error(diff)
	}
	want := []string{"docker-entrypoint.sh", "a"}
	if diff := cmp.Diff(want, s.Command.Args); diff != "" || slice(t, source, s.Command.Where) != "FROM redis AS base" {
		t.Errorf("command at %s: %s", span(s.Command.Where), diff)
	}
}

func ports(t *testing.T, source string, s *guard.Subject) []string {
	t.Helper()
	var all []string
	for _, p := range s.Ports {
		all = append(all, strings.Join([]string{itoa(p.Number) + "/" + p.Protocol, slice(t, source, p.Where)}, " at "))
	}
	return all
}

func itoa(n int) string { return id(uint32(n)).String() }

func TestPorts(t *testing.T) {
	const source = "FROM a\nARG P=53/UDP\nENV MANY=\"1 2\"\nEXPOSE 8000-8002/sctp 127.0.0.1:1:2 ${P} $MANY $NO 80 80/tcp\n"
	want := []string{
		"8000/sctp at 8000-8002/sctp", "8001/sctp at 8000-8002/sctp", "8002/sctp at 8000-8002/sctp", "2/tcp at 127.0.0.1:1:2",
		"53/udp at ${P}", "1/tcp at $MANY", "80/tcp at 80",
	}
	if diff := cmp.Diff(want, ports(t, source, text(t, source))); diff != "" {
		t.Error(diff)
	}
	if n := len(text(t, "FROM a\n"+strings.Repeat("EXPOSE 1-65535\n", 100)).Ports); n == 0 || n > 2000 {
		t.Errorf("%d ports", n)
	}
}

func TestCommand(t *testing.T) {
	tests := map[string]struct {
		source string
		args   []string
		shell  bool
		at     string
	}{
		"none":                     {"FROM a", nil, false, ""},
		"cmd":                      {"FROM a\nCMD [\"x\", \"y\"]", []string{"x", "y"}, false, "CMD [\"x\", \"y\"]"},
		"shell form":               {"FROM a\nCMD x y", []string{"/bin/sh", "-c", "x y"}, true, "CMD x y"},
		"SHELL":                    {"FROM a\nSHELL [\"bash\", \"-ec\"]\nCMD x", []string{"bash", "-ec", "x"}, true, "CMD x"},
		"entrypoint and cmd":       {"FROM a\nENTRYPOINT [\"e\"]\nCMD [\"x\"]", []string{"e", "x"}, false, "ENTRYPOINT [\"e\"]"},
		"cmd first":                {"FROM a\nCMD [\"x\"]\nENTRYPOINT [\"e\"]", []string{"e", "x"}, false, "ENTRYPOINT [\"e\"]"},
		"cmd of the parent":        {"FROM a AS b\nCMD [\"x\"]\nFROM b\nENTRYPOINT [\"e\"]", []string{"e"}, false, "ENTRYPOINT [\"e\"]"},
		"entrypoint of the parent": {"FROM a AS b\nENTRYPOINT [\"e\"]\nFROM b\nCMD [\"x\"]", []string{"e", "x"}, false, "ENTRYPOINT [\"e\"]"},
		"entrypoint taken away":    {"FROM redis\nENTRYPOINT []\nCMD [\"x\"]", []string{"x"}, false, "CMD [\"x\"]"},
		"of the base":              {"FROM redis", []string{"docker-entrypoint.sh", "redis-server"}, false, "FROM redis"},
		"in a discarded stage":     {"FROM a\nCMD x\nFROM a", nil, false, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := text(t, tt.source).Command
			if diff := cmp.Diff(tt.args, c.Args); diff != "" || c.Shell != tt.shell {
				t.Errorf("shell form %v, %s", c.Shell, diff)
			}
			if tt.at != "" && slice(t, tt.source, c.Where) != tt.at {
				t.Errorf("at %s", span(c.Where))
			}
		})
	}
}

func TestSlot(t *testing.T) {
	tests := map[string]struct{ source, want string }{ // what the source is once USER 9000 was written
		"no USER":              {"FROM a\nRUN x\nCMD y\n", "FROM a\nRUN x\nUSER 9000\nCMD y\n"},
		"CRLF":                 {"FROM a\r\nCMD y\r\n", "FROM a\r\nUSER 9000\r\nCMD y\r\n"},
		"behind RUN":           {"FROM a\nENTRYPOINT x\nRUN y\nCMD z", "FROM a\nENTRYPOINT x\nRUN y\nUSER 9000\nCMD z"},
		"nothing to start":     {"FROM a\nCMD x\nRUN y", "FROM a\nCMD x\nRUN y\nUSER 9000"},
		"FROM alone":           {"FROM a\n", "FROM a\nUSER 9000\n"},
		"heredoc":              {"FROM a\nRUN <<E\nx\nE\n# c\n", "FROM a\nRUN <<E\nx\nE\nUSER 9000\n# c\n"},
		"USER":                 {"FROM a\nUSER \\\n root # c\nCMD x", "FROM a\nUSER \\\n 9000\nCMD x"},
		"USER over lines":      {"FROM a\nUSER ro\\\not\nCMD x", "FROM a\nUSER 9000\nCMD x"},
		"USER in the parent":   {"FROM a AS b\nUSER root\nFROM b\nCMD x", "FROM a AS b\nUSER root\nFROM b\nUSER 9000\nCMD x"},
		"USER by ONBUILD":      {"FROM a AS b\nONBUILD USER root\nFROM b\nCMD x", "FROM a AS b\nONBUILD USER root\nFROM b\nUSER 9000\nCMD x"},
		"lone escape":          {"FROM a\n\\\nCMD x", "FROM a\nUSER 9000\n\\\nCMD x"},
		"indented":             {"FROM a\n  CMD x", "FROM a\nUSER 9000\n  CMD x"},
		"open at the end":      {"FROM a\nRUN x \\\n", ""},
		"comment at the end":   {"FROM a\nRUN x \\\n # c", ""},
		"escape at the end":    {"# escape=`\nFROM a\nRUN x `", ""},
		"ordinary at the end":  {"# escape=`\nFROM a\nRUN x \\", "# escape=`\nFROM a\nRUN x \\\nUSER 9000"},
		"not the target stage": {"FROM a AS b\nCMD x\nFROM c\nCMD y", "FROM a AS b\nCMD x\nFROM c\nUSER 9000\nCMD y"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := text(t, tt.source)
			if s.UserSlot == nil {
				if tt.want != "" {
					t.Error("no slot")
				}
				return
			}
			got, err := guard.Apply([]byte(tt.source), []guard.Edit{s.UserSlot.Put("9000")})
			if err != nil || string(got) != tt.want {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}
