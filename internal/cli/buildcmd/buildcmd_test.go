package buildcmd

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/deckhand-engine/deckhand/internal/ui"
)

func TestParsePairs(t *testing.T) {
	tests := map[string]struct {
		in       []string
		optional bool
		want     map[string]string
		err      bool
	}{
		"values":          {[]string{"a=1", "b=2=3"}, false, map[string]string{"a": "1", "b": "2=3"}, false},
		"no value":        {[]string{"a"}, true, map[string]string{"a": ""}, false},
		"value needed":    {[]string{"a"}, false, nil, true},
		"no name":         {[]string{"=1"}, true, nil, true},
		"nothing":         {nil, false, map[string]string{}, false},
		"empty is a name": {[]string{""}, true, nil, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := parsePairs("label", tt.in, tt.optional)
			if (err != nil) != tt.err {
				t.Fatalf("error %v, want one: %v", err, tt.err)
			}
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestReadDockerfile(t *testing.T) {
	tests := map[string]struct{ in, err string }{
		"a Dockerfile": {"FROM x\n", ""},
		"empty":        {" \n", "empty"},
		"too long":     {strings.Repeat("#", maxDockerfile+1), "more than 16777216 bytes"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			dt, err := readDockerfile(strings.NewReader(tt.in))
			if tt.err == "" {
				if err != nil || string(dt) != tt.in {
					t.Errorf("got %q, %v", dt, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
		})
	}
}

func TestIsArchive(t *testing.T) {
	tests := map[string]struct {
		in   string
		want bool
	}{
		"tar":          {strings.Repeat("\x00", 257) + "ustar" + strings.Repeat("\x00", 250), true},
		"gzip":         {"\x1f\x8bxxx", true},
		"zstd":         {"\x28\xb5\x2f\xfdxxx", true},
		"a Dockerfile": {"FROM x\nRUN true\n", false},
		"nothing":      {"", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := isArchive(bufio.NewReader(strings.NewReader(tt.in))); got != tt.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

func TestMode(t *testing.T) {
	tests := map[string]struct {
		o    options
		want ui.Mode
		err  bool
	}{
		"auto":            {options{progress: "auto"}, ui.Auto, false},
		"plain":           {options{progress: "plain"}, ui.Plain, false},
		"quiet by -q":     {options{progress: "plain", quiet: true}, ui.Quiet, false},
		"something else":  {options{progress: "rawjson"}, "", true},
		"quiet by itself": {options{progress: "quiet"}, ui.Quiet, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := tt.o.mode()
			if got != tt.want || (err != nil) != tt.err {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

func TestReport(t *testing.T) {
	tests := map[string]struct {
		err  error
		code int
		text string
	}{
		"nothing":     {nil, 0, ""},
		"usage":       {fmt.Errorf("x: %w", &usageError{errors.New("bad flag")}), 125, "deckhand: x: bad flag\n  see:  deckhand build --help\n"},
		"interrupted": {errInterrupted, 130, ""},
		"build":       {&buildError{errors.New("broken")}, 1, "ERROR: broken\n"},
		"other":       {errors.New("disk full"), 1, "deckhand: disk full\n"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if code := report(&b, tt.err); code != tt.code || b.String() != tt.text {
				t.Errorf("code %d, %q; want %d, %q", code, b.String(), tt.code, tt.text)
			}
		})
	}
}

func TestUsage(t *testing.T) {
	tests := map[string]struct {
		args []string
		code int
		out  string
	}{
		"no directory":    {nil, 125, "exactly one argument"},
		"two":             {[]string{"a", "b"}, 125, "exactly one argument"},
		"unknown flag":    {[]string{"--nosuch", "."}, 125, "unknown flag"},
		"network":         {[]string{"--network", "x", "."}, 125, "--network x"},
		"remote":          {[]string{"git@github.com:a/b"}, 125, "is not there yet"},
		"both from stdin": {[]string{"-f", "-", "-"}, 125, "cannot both come from stdin"},
		"help":            {[]string{"--help"}, 0, "--build-arg"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			null, err := os.Open(os.DevNull)
			if err != nil {
				t.Fatal(err)
			}
			defer null.Close()
			if code := run(tt.args, files{null, &b, &b}); code != tt.code || !strings.Contains(b.String(), tt.out) {
				t.Errorf("code %d, output:\n%s", code, b.String())
			}
		})
	}
}
