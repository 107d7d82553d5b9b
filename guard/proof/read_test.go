package proof_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/deckhand-engine/deckhand/guard/profile"
	"github.com/deckhand-engine/deckhand/guard/proof"
)

func TestRoundTrip(t *testing.T) {
	want := sample()
	got, err := proof.Parse(files(t, want)[proof.FileName])
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("proof.json does not say the same (-want +got):\n%s", diff)
	}
}

// TestNothing has a proof that is next to empty: lists are written as lists.
func TestNothing(t *testing.T) {
	want := &proof.Proof{Profile: profile.Profile{Version: profile.Version, User: "9000:0"}}
	all := files(t, want)
	content := string(all[proof.FileName])
	for _, field := range []string{"repairs", "syscalls", "refused", "tolerated", "trials", "capabilities"} {
		if !strings.Contains(content, `"`+field+`": []`) {
			t.Errorf("%s is no list:\n%s", field, content)
		}
	}
	got, err := proof.Parse(all[proof.FileName])
	if err != nil {
		t.Fatal(err)
	}
	want.Version = proof.Version
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

func TestParse(t *testing.T) {
	whole := string(files(t, sample())[proof.FileName])
	tests := map[string]struct {
		data string
		want string // of the error
	}{
		"no JSON":          {"{\n\"version\": 1,\n}", "line 3: invalid character '}'"},
		"cut off":          {whole[:len(whole)/2], "unexpected end of JSON input"},
		"more behind":      {whole + "{}", "invalid character '{' after top-level value"},
		"no version":       {`{"source": "x"}`, "version: missing: this is no proof"},
		"another version":  {`{"version": 2}`, "version: 2 is not known here, only 1 is"},
		"another kind":     {strings.Replace(whole, `"name": "redis"`, `"name": 5`, 1), "name: a JSON number does not belong there"},
		"no profile":       {`{"version": 1}`, "profile: version: 0 is not known here"},
		"user":             {strings.Replace(whole, `"user": "9000:9000"`, `"user": "redis"`, 1), `profile: user: "redis" is not two numbers`},
		"system call":      {strings.Replace(whole, `"accept4"`, `"a\nb"`, 1), `syscalls[0]: "a\nb" is no system call's name`},
		"endless trial":    {strings.Replace(whole, `"seconds": 1.532`, `"seconds": 1e300`, 1), "a trial took 1e+300 seconds"},
		"backwards":        {strings.Replace(whole, `"seconds": 1.532`, `"seconds": -1`, 1), "a trial took -1 seconds"},
		"no date":          {strings.Replace(whole, `"finished": "2026`, `"finished": "26`, 1), "parsing time"},
		"end of the years": {strings.Replace(whole, "2026-11-25T10:30:15Z", "9999-12-31T23:59:59-01:00", 1), "finished: the year is 10000"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := proof.Parse([]byte(tt.data))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
	if _, err := proof.Parse([]byte(strings.Replace(whole, "{", `{"later": {"a": 1},`, 1))); err != nil {
		t.Errorf("a field of a later deckhand: %v", err)
	}
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	if _, err := proof.Read(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nothing there: %v", err)
	}
	name := filepath.Join(dir, proof.FileName)
	for want, content := range map[string][]byte{"": files(t, sample())[proof.FileName], name + ": version: 9": []byte(`{"version": 9}`)} {
		if err := os.WriteFile(name, content, 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := proof.Read(dir)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(name, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := proof.Read(dir); err == nil || !strings.Contains(err.Error(), "is not a regular file") {
		t.Errorf("a directory: %v", err)
	}
}
