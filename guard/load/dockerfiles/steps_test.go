package dockerfiles_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/deckhand-engine/deckhand/guard"
)

func given(path, owner string) []guard.Ownership {
	return []guard.Ownership{{Path: path, Owner: owner, Recursive: true, Copy: true}}
}

func TestCopySteps(t *testing.T) {
	tests := map[string]struct {
		source string // the last step is looked at
		files  map[string]string
		want   guard.Step
	}{
		"plain":            {"FROM a\nCOPY x /y", nil, guard.Step{}},
		"root":             {"FROM a\nCOPY --chown=root:app x /y", nil, guard.Step{}},
		"zero":             {"FROM a\nCOPY --chown=00:7 x /y", nil, guard.Step{}},
		"a user":           {"FROM a\nCOPY --chown=app:app x /y", nil, guard.Step{Gives: given("/y", "app:app")}},
		"of a variable":    {"FROM a\nARG U=7\nADD --chown=$U x /y", nil, guard.Step{Gives: given("/y", "7")}},
		"by WORKDIR":       {"FROM a\nWORKDIR /srv\nWORKDIR x\nCOPY --chown=7 . .", nil, guard.Step{Gives: given("/srv/x", "7")}},
		"WORKDIR unknown":  {"FROM corp/a\nCOPY --chown=7 . .", nil, guard.Step{Gives: given(".", "7")}},
		"WORKDIR of base":  {"FROM redis\nCOPY --chown=7 . x", nil, guard.Step{Gives: given("/data/x", "7")}},
		"a file":           {"FROM a\nCOPY --chown=7 run.sh /usr/local/bin/", nil, guard.Step{Gives: given("/usr/local/bin/run.sh", "7")}},
		"a file's name":    {"FROM a\nCOPY --chown=7 run /usr/local/bin/", nil, guard.Step{Gives: given("/usr/local/bin/run", "7")}},
		"seen to be":       {"FROM debian\nCOPY --chown=7 run /app/", map[string]string{"run": ""}, guard.Step{Gives: given("/app/run", "7")}},
		"seen not to be":   {"FROM debian\nCOPY --chown=7 run.d /app/", map[string]string{"run.d/x": ""}, guard.Step{Gives: given("/app", "7")}},
		"files":            {"FROM a\nCOPY --chown=7 a.sh *.py /app/", nil, guard.Step{Gives: append(given("/app/a.sh", "7"), given("/app/*.py", "7")...)}},
		"setuid":           {"FROM a\nCOPY --chmod=4755 x /y", nil, guard.Step{Setuid: []string{"/y"}}},
		"setgid":           {"FROM a\nCOPY --chmod=02755 x /y", nil, guard.Step{Setuid: []string{"/y"}}},
		"setuid by letter": {"FROM a\nCOPY --chmod=u+s,go-w x /y", nil, guard.Step{Setuid: []string{"/y"}}},
		"open":             {"FROM a\nCOPY --chmod=777 x /y", nil, guard.Step{Opens: []string{"/y"}}},
		"open by letter":   {"FROM a\nCOPY --chmod=a+rw x /y", nil, guard.Step{Opens: []string{"/y"}}},
		"sticky":           {"FROM a\nCOPY --chmod=1777 x /y", nil, guard.Step{}},
		"ordinary mode":    {"FROM a\nCOPY --chmod=u+w,0755 x /y", nil, guard.Step{}},
		"a tool":           {"FROM a\nCOPY --from=b /usr/bin/nmap /usr/bin/", nil, guard.Step{Installs: []string{"nmap"}}},
		"heredoc":          {"FROM a\nCOPY --chown=7 <<run /bin/\nx\nrun\n", nil, guard.Step{Gives: given("/bin/run", "7")}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			src := guard.Source{Path: "Dockerfile", Data: []byte(tt.source)}
			if tt.files != nil {
				src.File = contextOf(t, tt.files)
			}
			steps := load(t, src, guard.Env{Images: images()}).Steps
			if diff := cmp.Diff(tt.want, steps[len(steps)-1], cmpopts.IgnoreFields(guard.Step{}, "Where")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSteps(t *testing.T) {
	const source = "FROM debian AS a\nRUN apt-get install -y sudo\nFROM debian AS b\nRUN apt-get install -y gcc\nFROM a\n" +
		"COPY --from=b /x /y\nRUN chmod u+s /bin/x && \\\n  chmod 777 /srv\nRUN [\"chown\", \"-R\", \"app\", \"/app\"]\n"
	s := text(t, source)
	var at []string
	for _, step := range s.Steps {
		at = append(at, slice(t, source, step.Where))
	}
	want := []string{
		"RUN apt-get install -y sudo", "COPY --from=b /x /y", "RUN chmod u+s /bin/x && \\\n  chmod 777 /srv",
		"RUN [\"chown\", \"-R\", \"app\", \"/app\"]",
	}
	if diff := cmp.Diff(want, at); diff != "" {
		t.Fatal(diff)
	}
	if s.Steps[0].Manager != "apt-get" || !cmp.Equal(s.Steps[0].Installs, []string{"sudo"}) {
		t.Errorf("first step %+v", s.Steps[0])
	}
	if !cmp.Equal(s.Steps[2].Setuid, []string{"/bin/x"}) || !cmp.Equal(s.Steps[2].Opens, []string{"/srv"}) {
		t.Errorf("third step %+v", s.Steps[2])
	}
	if g := s.Steps[3].Gives; len(g) != 1 || g[0].Path != "/app" || g[0].Owner != "app" || g[0].Copy {
		t.Errorf("last step %+v", s.Steps[3])
	}
}

const gosu = "#!/bin/sh\nset -e\nexec gosu nobody \"$@\"\n"

func TestDrop(t *testing.T) {
	script := map[string]string{"entry.sh": gosu, "docker/entry.sh": gosu, "plain.sh": "#!/bin/sh\nexec \"$@\"\n"}
	tests := map[string]struct {
		source string
		files  map[string]string
		by     string // empty: nothing drops
		script string
		at     string
	}{
		"in the command":         {"FROM debian\nENTRYPOINT [\"gosu\", \"nobody\", \"x\"]", nil, "gosu", "", "ENTRYPOINT [\"gosu\", \"nobody\", \"x\"]"},
		"in CMD":                 {"FROM debian\nCMD exec gosu nobody x", nil, "gosu", "", "CMD exec gosu nobody x"},
		"a script":               {"FROM debian\nCOPY entry.sh /entry.sh\nENTRYPOINT [\"/entry.sh\"]\nCMD [\"x\"]", script, "gosu", "/entry.sh", "ENTRYPOINT [\"/entry.sh\"]"},
		"a script in PATH":       {"FROM debian\nCOPY entry.sh /usr/bin/\nENTRYPOINT [\"entry.sh\", \"x\"]", script, "gosu", "/usr/bin/entry.sh", "ENTRYPOINT [\"entry.sh\", \"x\"]"},
		"by WORKDIR":             {"FROM debian\nWORKDIR /app\nCOPY . .\nENTRYPOINT [\"./docker/entry.sh\", \"x\"]", script, "gosu", "/app/docker/entry.sh", "ENTRYPOINT [\"./docker/entry.sh\", \"x\"]"},
		"of a directory":         {"FROM debian\nCOPY docker/ /opt\nENTRYPOINT [\"/opt/entry.sh\", \"x\"]", script, "gosu", "/opt/entry.sh", "ENTRYPOINT [\"/opt/entry.sh\", \"x\"]"},
		"behind tini":            {"FROM debian\nCOPY entry.sh /\nENTRYPOINT [\"tini\", \"--\", \"/entry.sh\"]\nCMD [\"x\"]", script, "gosu", "/entry.sh", "ENTRYPOINT [\"tini\", \"--\", \"/entry.sh\"]"},
		"a heredoc":              {"FROM debian\nCOPY <<\"E\" /entry.sh\n" + gosu + "E\nENTRYPOINT [\"/entry.sh\", \"x\"]", nil, "gosu", "/entry.sh", "ENTRYPOINT [\"/entry.sh\", \"x\"]"},
		"of another stage":       {"FROM debian AS b\nCOPY entry.sh /e\nFROM debian\nCOPY --from=b /e /entry.sh\nENTRYPOINT [\"/entry.sh\", \"x\"]", script, "gosu", "/entry.sh", "ENTRYPOINT [\"/entry.sh\", \"x\"]"},
		"of a parent stage":      {"FROM debian AS b\nCOPY entry.sh /\nFROM b\nENTRYPOINT [\"/entry.sh\", \"x\"]", script, "gosu", "/entry.sh", "ENTRYPOINT [\"/entry.sh\", \"x\"]"},
		"of another image":       {"FROM debian\nCOPY --from=redis /usr/bin/docker-entrypoint.sh /e\nENTRYPOINT [\"/e\"]\nCMD [\"redis-server\"]", nil, "gosu", "/e", "ENTRYPOINT [\"/e\"]"},
		"of the base":            {"FROM redis", nil, "gosu", "/usr/bin/docker-entrypoint.sh", "FROM redis"},
		"of the base, other CMD": {"FROM redis\nCMD [\"sh\"]", nil, "", "", ""},
		"over the base's":        {"FROM redis\nCOPY plain.sh /usr/bin/docker-entrypoint.sh", script, "", "", ""},
		"does not drop":          {"FROM debian\nCOPY plain.sh /entry.sh\nENTRYPOINT [\"/entry.sh\", \"x\"]", script, "", "", ""},
		"not in the context":     {"FROM debian\nCOPY none.sh /entry.sh\nENTRYPOINT [\"/entry.sh\", \"x\"]", script, "", "", ""},
		"overwritten":            {"FROM debian\nCOPY entry.sh /entry.sh\nCOPY plain.sh /entry.sh\nENTRYPOINT [\"/entry.sh\", \"x\"]", script, "", "", ""},
		"changed by RUN":         {"FROM debian\nCOPY entry.sh /entry.sh\nRUN sed -i s/gosu.nobody// /entry.sh\nENTRYPOINT [\"/entry.sh\", \"x\"]", script, "", "", ""},
		"line ends changed":      {"FROM debian\nCOPY entry.sh /entry.sh\nRUN sed -i 's/\\r$//' /entry.sh\nENTRYPOINT [\"/entry.sh\", \"x\"]", script, "gosu", "/entry.sh", "ENTRYPOINT [\"/entry.sh\", \"x\"]"},
		"changed before":         {"FROM debian\nRUN echo x > /entry.sh\nCOPY entry.sh /entry.sh\nENTRYPOINT [\"/entry.sh\", \"x\"]", script, "gosu", "/entry.sh", "ENTRYPOINT [\"/entry.sh\", \"x\"]"},
		"of the base, changed":   {"FROM redis\nRUN [\"cp\", \"/x\", \"/usr/bin/docker-entrypoint.sh\"]", nil, "", "", ""},
		"root by another name":   {"FROM toor\nUSER 0\nENTRYPOINT [\"gosu\", \"toor\", \"x\"]", nil, "", "", ""},
		"a user made root":       {"FROM debian\nRUN usermod -o -u 0 nobody\nENTRYPOINT [\"gosu\", \"nobody\", \"x\"]", nil, "", "", ""},
		"of the base, made root": {"FROM redis\nRUN usermod -o -u 0 nobody", nil, "", "", ""},
		"by ENV":                 {"FROM debian\nENV WHO=root\nCMD exec gosu ${WHO:-nobody} x", nil, "", "", ""},
		"by ENV of a parent":     {"FROM debian AS a\nENV WHO=root\nFROM a\nCMD exec gosu ${WHO:-nobody} x", nil, "", "", ""},
		"by ENV of the base":     {"FROM withenv\nCMD exec gosu ${APP_USER:+nobody} x", nil, "gosu", "", "CMD exec gosu ${APP_USER:+nobody} x"},
		"not by ARG":             {"FROM debian\nARG WHO=root\nCMD exec gosu ${WHO:-nobody} x", nil, "gosu", "", "CMD exec gosu ${WHO:-nobody} x"},
		"after another script":   {"FROM debian\nCOPY . /\nCMD /entry.sh && /plain.sh x", script, "", "", ""},
		"sources what runs":      {"FROM debian\nCOPY . /\nCOPY <<\"E\" /entry.sh\n. /plain.sh\nexec gosu nobody x\nE\nENTRYPOINT [\"/entry.sh\", \"x\"]", script, "", "", ""},
		"not root":               {"FROM debian\nUSER 7\nENTRYPOINT [\"gosu\", \"nobody\", \"x\"]", nil, "", "", ""},
		"perhaps root":           {"FROM corp/a\nENTRYPOINT [\"gosu\", \"nobody\", \"x\"]", nil, "gosu", "", "ENTRYPOINT [\"gosu\", \"nobody\", \"x\"]"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			src := guard.Source{Path: "Dockerfile", Data: []byte(tt.source)}
			if tt.files != nil {
				src.File = contextOf(t, tt.files)
			}
			d := load(t, src, guard.Env{Images: images()}).Drop
			if tt.by == "" {
				if d != nil {
					t.Errorf("%+v", d)
				}
				return
			}
			if d == nil {
				t.Fatal("nothing drops")
			}
			if !strings.Contains(d.By, tt.by) || d.Script != tt.script || d.Spec != "nobody" || slice(t, tt.source, d.Where) != tt.at {
				t.Errorf("%+v at %s", d, span(d.Where))
			}
		})
	}
}
