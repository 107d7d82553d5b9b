package build

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

func TestCompleteHistory(t *testing.T) {
	at := func(h int) *time.Time {
		t := time.Date(2026, 1, 1, h, 0, 0, 0, time.UTC)
		return &t
	}
	type entry struct {
		by    string
		hour  int // 0: no time
		empty bool
	}
	history := func(es []entry) []v1.History {
		var out []v1.History
		for _, e := range es {
			h := v1.History{CreatedBy: e.by, EmptyLayer: e.empty}
			if e.hour > 0 {
				h.Created = at(e.hour)
			}
			out = append(out, h)
		}
		return out
	}
	tests := map[string]struct {
		in      []entry
		layers  []string
		created map[string]int
		want    []entry
		date    int
	}{
		"layers get their times": {
			[]entry{{"base", 1, false}, {"RUN", 0, false}},
			[]string{"b", "r"},
			map[string]int{"r": 5},
			[]entry{{"base", 1, false}, {"RUN", 5, false}},
			5,
		},
		"the rest that of the layer below": {
			[]entry{{"RUN", 0, false}, {"ENV", 0, true}, {"RUN 2", 0, false}, {"CMD", 0, true}},
			[]string{"a", "b"},
			map[string]int{"a": 2, "b": 3},
			[]entry{{"RUN", 2, false}, {"ENV", 2, true}, {"RUN 2", 3, false}, {"CMD", 3, true}},
			3,
		},
		"before the first new layer, that one's": {
			[]entry{{"base", 1, false}, {"ENV", 0, true}, {"RUN", 0, false}},
			[]string{"b", "r"},
			map[string]int{"r": 5},
			[]entry{{"base", 1, false}, {"ENV", 5, true}, {"RUN", 5, false}},
			5,
		},
		"no new layer": {
			[]entry{{"base", 1, false}, {"USER", 0, true}},
			[]string{"b"},
			nil,
			[]entry{{"base", 1, false}, {"USER", 1, true}},
			1,
		},
		"nothing has a time": {[]entry{{"USER", 0, true}}, nil, nil, []entry{{"USER", 0, true}}, 0},
		"more history than layers": {
			[]entry{{"base", 1, false}, {"base 2", 1, false}},
			[]string{"b"},
			nil,
			[]entry{{"base", 1, false}, {"base 2", 1, true}},
			1,
		},
		"more layers than history": {nil, []string{"b"}, map[string]int{"b": 4}, []entry{{"", 4, false}}, 4},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			created := map[string]createdAt{}
			for k, h := range tt.created {
				created[k] = *at(h)
			}
			cfg := dockerspec.DockerOCIImage{}
			cfg.History = history(tt.in)
			completeHistory(&cfg, tt.layers, created)
			for i := range cfg.History {
				cfg.History[i].Comment = ""
			}
			if d := cmp.Diff(history(tt.want), cfg.History); d != "" {
				t.Errorf("history (-want +got):\n%s", d)
			}
			var date *time.Time
			if tt.date > 0 {
				date = at(tt.date)
			}
			if d := cmp.Diff(date, cfg.Created); d != "" {
				t.Errorf("created (-want +got):\n%s", d)
			}
		})
	}
}

func TestRootCause(t *testing.T) {
	tests := map[string]struct{ dockerfile, target, why, fix string }{
		"the article": {
			"FROM ubuntu:latest\nRUN apt-get update\n\nCMD [\"redis-server\"]\n", "",
			"no stage sets USER (Dockerfile:1 FROM ubuntu:latest)", "add before CMD, line 4:  USER 9000",
		},
		"entrypoint first":     {"FROM x\nENTRYPOINT [\"e\"]\nCMD [\"c\"]\n", "", "no stage sets USER (Dockerfile:1 FROM x)", "add before ENTRYPOINT, line 2:  USER 9000"},
		"no command":           {"FROM x\nRUN a \\\n  b\n", "", "no stage sets USER (Dockerfile:1 FROM x)", "add after line 3:  USER 9000"},
		"USER root":            {"FROM x\nUSER root\nCMD [\"c\"]\n", "", "Dockerfile:2 USER root", "change line 2:  USER 9000"},
		"the last one":         {"FROM x\nUSER 9000\nRUN y\nUSER 0:0\n", "", "Dockerfile:4 USER 0:0", "change line 4:  USER 9000"},
		"in a parent":          {"FROM x AS base\nUSER root\nFROM base\nCMD [\"c\"]\n", "", "Dockerfile:2 USER root", "add before CMD, line 4:  USER 9000"},
		"builder only":         {"FROM x AS b\nUSER 9000\nFROM y\nCOPY --from=b /a /a\n", "", "no stage sets USER (Dockerfile:3 FROM y)", "add after line 4:  USER 9000"},
		"target":               {"FROM x AS a\nCMD [\"a\"]\nFROM y AS b\nCMD [\"b\"]\n", "a", "no stage sets USER (Dockerfile:1 FROM x AS a)", "add before CMD, line 2:  USER 9000"},
		"a number is no stage": {"FROM x\nUSER root\nFROM 0\nCMD [\"b\"]\n", "", "no stage sets USER (Dockerfile:3 FROM 0)", "add before CMD, line 4:  USER 9000"},
		"not parseable":        {"\x00", "", "no stage sets USER", "add at the end:  USER 9000"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			why, fix := rootCause([]byte(tt.dockerfile), Options{Target: tt.target, Dockerfile: "Dockerfile"})
			if why != tt.why || fix != tt.fix {
				t.Errorf("got\n%s\n%s\nwant\n%s\n%s", why, fix, tt.why, tt.fix)
			}
		})
	}
}

func TestUserReportLines(t *testing.T) {
	tests := map[string]struct {
		r    UserReport
		want []string
	}{
		"root":     {UserReport{Why: "w", Fix: "f"}, []string{"x runs as root: w", "  f"}},
		"number":   {UserReport{UID: 9000}, []string{"x runs as 9000 (no passwd entry)"}},
		"name":     {UserReport{UID: 9000, Name: "app"}, []string{"x runs as 9000 (app)"}},
		"not here": {UserReport{Problem: "unable to find user y"}, []string{"x cannot run: unable to find user y"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if d := cmp.Diff(tt.want, tt.r.Lines("x")); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}
