package repair_test

import (
	"slices"
	"testing"

	"github.com/deckhand-engine/deckhand/dockerfile"
	"github.com/deckhand-engine/deckhand/guard/repair"
)

// FuzzDockerfile edits what can be parsed: all instructions but those of the start and USER stay, in their order,
// the new lines can be parsed, and a second edit changes nothing.
func FuzzDockerfile(f *testing.F) {
	for _, seed := range []string{
		"FROM a\nCMD b\n", "FROM a AS b\r\nUSER c\r\nRUN d\r\nFROM b\r\nENTRYPOINT [\"e\"]\r\nCMD f",
		"# escape=`\nFROM a\nRUN b `\n\n# c\n d\nUSER e\nVOLUME /f", "FROM a\nRUN <<EOF\nCMD\nEOF\nSHELL [\"x\"]",
		"ARG A=b\nFROM ${A}\nONBUILD USER x\nENV HOME=/a\n# c\nHEALTHCHECK NONE\nENV HOME /b\nUSER \\\n d\n", "FROM a\nRUN b \\\n",
	} {
		f.Add([]byte(seed), "/var/lib/app", "user www-data;", true, false)
		f.Add([]byte(seed), "/it's <<EOF", `a\|b$`, false, true)
	}
	f.Fuzz(func(t *testing.T, source []byte, path, text string, comments, noShell bool) {
		before, err := dockerfile.Parse(source)
		if err != nil {
			return
		}
		repairs := []repair.Repair{
			{Kind: repair.Chown, Path: path, Missing: true, Why: text},
			{Kind: repair.Environ, Value: "HOME=" + path},
			{Kind: repair.Volume, Path: path + "/v", Missing: true},
			{Kind: repair.Entrypoint, Argv: []string{path, text}},
		}
		if !noShell {
			repairs = append(repairs, repair.Repair{Kind: repair.Config, Path: path, Old: text, Value: path})
		}
		o := repair.Options{User: user, Comments: comments, NoShell: noShell}
		out, err := repair.Dockerfile(source, o, repairs)
		if err != nil {
			return
		}
		after, err := dockerfile.Parse(out)
		if err != nil {
			t.Fatalf("the result is no Dockerfile: %v\n%s", err, out)
		}
		isPart(t, kept(before), kept(after))
		checkEnd(t, after, path)
		again, err := repair.Dockerfile(out, o, repairs)
		if err == nil && string(again) != string(out) {
			t.Errorf("the second edit differs:\n%s\n-----\n%s", out, again)
		}
	})
}

// kept are the instructions that an edit must not touch.
func kept(f *dockerfile.File) []string {
	var texts []string
	for i := range f.Stages {
		texts = append(texts, f.Stages[i].From.Text)
		for j := range f.Stages[i].Instructions {
			in := &f.Stages[i].Instructions[j]
			last := i == len(f.Stages)-1
			if start := in.Keyword == "CMD" || in.Keyword == "ENTRYPOINT" || in.Keyword == "USER"; !last || !start {
				texts = append(texts, in.Text)
			}
		}
	}
	return texts
}

// isPart checks that the texts are among all, in their order.
func isPart(t *testing.T, texts, all []string) {
	t.Helper()
	for _, text := range texts {
		i := slices.Index(all, text)
		if i < 0 {
			t.Fatalf("%q is lost", text)
		}
		all = all[i+1:]
	}
}

// checkEnd checks what the last stage is in the end.
func checkEnd(t *testing.T, f *dockerfile.File, home string) {
	t.Helper()
	stage := &f.Stages[len(f.Stages)-1]
	scope, err := f.Scope(dockerfile.Options{})
	if err != nil {
		return
	}
	inner, last := scope.Stage(nil), ""
	for i := range stage.Instructions {
		in := &stage.Instructions[i]
		if err := inner.Apply(in); err != nil {
			return
		}
		if in.Keyword == "USER" {
			last = in.Args[0]
		}
	}
	if last != user {
		t.Errorf("the user is %q", last)
	}
	if got, _ := inner.Get("HOME"); got != home {
		t.Errorf("HOME is %q, want %q", got, home)
	}
}
