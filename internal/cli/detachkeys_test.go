package cli

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestParseDetachKeys(t *testing.T) {
	tests := map[string]struct{ want, err string }{
		"":              {want: "\x10\x11"},
		"ctrl-p,ctrl-q": {want: "\x10\x11"},
		"a":             {want: "a"},
		"ctrl-a,x":      {want: "\x01x"},
		"ctrl-@,ctrl-[": {want: "\x00\x1b"},
		"ctrl-_,ctrl-]": {want: "\x1f\x1d"},
		"ctrl-1":        {err: `invalid --detach-keys "ctrl-1": unknown key "ctrl-1": ctrl- goes with one of a-z @ [ \ ] ^ _`},
		"ab":            {err: `invalid --detach-keys "ab": unknown key "ab": a character, or ctrl- and one of a-z @ [ \ ] ^ _`},
		"a,":            {err: `invalid --detach-keys "a,": unknown key "": a character, or ctrl- and one of a-z @ [ \ ] ^ _`},
	}
	for in, tt := range tests {
		t.Run(in, func(t *testing.T) {
			got, err := parseDetachKeys(in)
			if text(err) != tt.err || string(got) != tt.want {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

func FuzzParseDetachKeys(f *testing.F) {
	for _, s := range []string{"", "ctrl-p,ctrl-q", "a,b", "ctrl-", ","} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		keys, err := parseDetachKeys(s)
		if err == nil && len(keys) == 0 {
			t.Errorf("%q: no keys", s)
		}
	})
}

func TestDetachReader(t *testing.T) {
	tests := map[string]struct {
		in, want string
		detached bool
	}{
		"nothing":          {},
		"no keys":          {in: "abc", want: "abc"},
		"the keys":         {in: "abPQcd", want: "ab", detached: true},
		"half of them":     {in: "abPc", want: "abPc"},
		"half at the end":  {in: "abP", want: "abP"},
		"half twice":       {in: "PPQx", want: "P", detached: true},
		"the other half":   {in: "QP", want: "QP"},
		"all that is said": {in: "PQ", detached: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			for size, from := range map[string]io.Reader{"whole": strings.NewReader(tt.in), "bytes": iotest.OneByteReader(strings.NewReader(tt.in))} {
				var out bytes.Buffer
				_, err := io.Copy(&out, &detachReader{from: from, keys: []byte("PQ")})
				if out.String() != tt.want || errors.Is(err, errDetached) != tt.detached {
					t.Errorf("%s: %q, %v", size, out.String(), err)
				}
			}
		})
	}
}
