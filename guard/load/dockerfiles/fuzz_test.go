package dockerfiles_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"github.com/deckhand-engine/deckhand/dockerfile"
	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/load/dockerfiles"
)

// locations are all places that a subject names.
func locations(s *guard.Subject) []guard.Location {
	all := []guard.Location{s.Where, s.User.Where, s.ImageAt, s.Command.Where}
	if s.Drop != nil {
		all = append(all, s.Drop.Where)
	}
	if s.UserSlot != nil {
		all = append(all, s.UserSlot.At)
	}
	for _, p := range s.Ports {
		all = append(all, p.Where)
	}
	for _, v := range s.Variables {
		all = append(all, v.Where)
	}
	for _, step := range s.Steps {
		all = append(all, step.Where)
	}
	return all
}

func FuzzLoad(f *testing.F) {
	for _, c := range userCases() {
		f.Add([]byte(c.source))
	}
	for _, c := range fileCases() {
		f.Add([]byte(c.source))
	}
	file := contextOf(f, map[string]string{"passwd": appLine, "etc/group": "team:x:77:\n", "entry.sh": gosu})
	known := images()
	f.Fuzz(func(t *testing.T, source []byte) {
		before := bytes.Clone(source)
		env := guard.Env{Images: known, Args: map[string]string{"U": "0"}}
		subjects, err := dockerfiles.Load(t.Context(), guard.Source{Path: "x", File: file, Data: source}, env)
		if !bytes.Equal(before, source) {
			t.Fatal("the source was changed")
		}
		if err != nil {
			var syntax *guard.SyntaxError
			if !errors.As(err, &syntax) || syntax.Line < 1 || syntax.Line > 1+bytes.Count(source, []byte("\n")) {
				t.Fatalf("error %v", err)
			}
			return
		}
		s := subjects[0]
		for _, l := range locations(s) {
			if l == (guard.Location{}) {
				continue
			}
			start, ok := guard.Offset(source, l.Line, l.Column)
			end, okEnd := guard.Offset(source, l.EndLine, l.EndColumn)
			if !ok || !okEnd || end < start || l.Path != "x" {
				t.Fatalf("there is no %s", span(l))
			}
		}
		checkSlot(t, source, s, env)
	})
}

// checkSlot: what is written into the slot is the user then, and nothing else changes.
func checkSlot(t *testing.T, source []byte, s *guard.Subject, env guard.Env) {
	t.Helper()
	if same, err := guard.Apply(source, nil); err != nil || !bytes.Equal(same, source) {
		t.Fatalf("no edit changes the source: %v", err)
	}
	if s.UserSlot == nil {
		return
	}
	edited, err := guard.Apply(source, []guard.Edit{s.UserSlot.Put("4321")})
	if err != nil {
		t.Fatal(err)
	}
	subjects, err := dockerfiles.Load(t.Context(), guard.Source{Path: "x", Data: edited}, env)
	if err != nil {
		t.Fatalf("%q cannot be read: %v", edited, err)
	}
	if got := subjects[0].User.Spec; got != "4321" {
		t.Fatalf("%q runs as %q", edited, got)
	}
	if len(subjects[0].Steps) != len(s.Steps) {
		t.Fatalf("%q has %d steps, not %d", edited, len(subjects[0].Steps), len(s.Steps))
	}
}

func FuzzIs(f *testing.F) {
	f.Add("x", []byte("FROM a\nRUN b"))
	f.Add("Dockerfile.dev", []byte(""))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		if dockerfiles.Is(name, data) && !dockerfiles.Is(name, nil) {
			if _, err := dockerfile.Parse(data); err != nil {
				t.Errorf("%q is a Dockerfile by content, and no Dockerfile: %v", data, err)
			}
		}
	})
}

func BenchmarkLoad(b *testing.B) {
	source := []byte("ARG V=1\nFROM golang:$V AS build\nWORKDIR /src\nCOPY . .\nRUN go build -o /app ./cmd/app\n" +
		"FROM debian:12\nRUN apt-get update \\\n    && apt-get install -y --no-install-recommends ca-certificates curl \\\n" +
		"    && rm -rf /var/lib/apt/lists/*\nRUN useradd -r -u 999 app\nENV A=1 B=$V\nCOPY --from=build --chown=app /app /usr/local/bin/app\n" +
		"EXPOSE 8080\nUSER app\nENTRYPOINT [\"/usr/local/bin/app\"]\n")
	b.Run("BuildKit's parser", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := parser.Parse(bytes.NewReader(source)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Load", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := dockerfiles.Load(b.Context(), guard.Source{Path: "x", Data: source}, guard.Env{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
