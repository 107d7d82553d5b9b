package ref

import (
	"strings"
	"testing"

	"github.com/distribution/reference"
	"github.com/google/go-cmp/cmp"
)

const hex64 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestParse(t *testing.T) {
	tests := map[string]struct {
		want     Reference
		full     string
		familiar string
	}{
		"ubuntu":                 {Reference{"docker.io", "library/ubuntu", "latest", ""}, "docker.io/library/ubuntu:latest", "ubuntu:latest"},
		"ubuntu:24.04":           {Reference{"docker.io", "library/ubuntu", "24.04", ""}, "docker.io/library/ubuntu:24.04", "ubuntu:24.04"},
		"index.docker.io/ubuntu": {Reference{"docker.io", "library/ubuntu", "latest", ""}, "docker.io/library/ubuntu:latest", "ubuntu:latest"},
		"a/b":                    {Reference{"docker.io", "a/b", "latest", ""}, "docker.io/a/b:latest", "a/b:latest"},
		"library/x/y":            {Reference{"docker.io", "library/x/y", "latest", ""}, "docker.io/library/x/y:latest", "library/x/y:latest"},
		"localhost/b":            {Reference{"localhost", "b", "latest", ""}, "localhost/b:latest", "localhost/b:latest"},
		"localhost:5000/b:1":     {Reference{"localhost:5000", "b", "1", ""}, "localhost:5000/b:1", "localhost:5000/b:1"},
		"Host/b":                 {Reference{"Host", "b", "latest", ""}, "Host/b:latest", "Host/b:latest"},
		"[::1]:5000/b":           {Reference{"[::1]:5000", "b", "latest", ""}, "[::1]:5000/b:latest", "[::1]:5000/b:latest"},
		"r.io/a__b-c---d.e/f":    {Reference{"r.io", "a__b-c---d.e/f", "latest", ""}, "r.io/a__b-c---d.e/f:latest", "r.io/a__b-c---d.e/f:latest"},
		"x@sha256:" + hex64: {
			Reference{"docker.io", "library/x", "", "sha256:" + hex64},
			"docker.io/library/x@sha256:" + hex64, "x@sha256:" + hex64,
		},
		"x:1@sha256:" + hex64: {
			Reference{"docker.io", "library/x", "1", "sha256:" + hex64},
			"docker.io/library/x:1@sha256:" + hex64, "x:1@sha256:" + hex64,
		},
	}
	for in, test := range tests {
		t.Run(in, func(t *testing.T) {
			got, err := Parse(in)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff([]string{test.full, test.familiar}, []string{got.String(), got.Familiar()}); diff != "" {
				t.Error(diff)
			}
			if again, err := Parse(got.String()); err != nil || again != got {
				t.Errorf("Parse(%q) = %+v, %v", got.String(), again, err)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	tests := map[string]string{
		"":                              "invalid reference format",
		"Ubuntu":                        "invalid reference format: repository name (library/Ubuntu) must be lowercase",
		"a b":                           "invalid reference format",
		"a//b":                          "invalid reference format",
		"a___b":                         "invalid reference format",
		"../x":                          "invalid reference format",
		"x:":                            "invalid reference format",
		"x:.a":                          "invalid reference format",
		"x:a:b":                         "invalid reference format",
		"x:" + strings.Repeat("a", 129): "invalid reference format",
		"-a/b":                          "invalid reference format",
		"r.io:port/b":                   "invalid reference format",
		"x@sha256:12":                   "invalid reference format",
		"x@sha256:" + hex64[:60]:        "invalid checksum digest length",
		"x@md5:" + hex64[:32]:           "unsupported digest algorithm",
		hex64:                           "invalid repository name (" + hex64 + "), cannot specify 64-byte hexadecimal strings",
		strings.Repeat("a", 256) + "/b": "repository name must not be more than 255 characters",
	}
	for in, want := range tests {
		t.Run(in, func(t *testing.T) {
			got, err := Parse(in)
			if err == nil {
				t.Fatalf("accepted as %+v", got)
			}
			if err.Error() != want {
				t.Errorf("got %q, want %q", err, want)
			}
		})
	}
}

func TestIsID(t *testing.T) {
	tests := map[string]bool{
		"abcd": true, "abc": false, "sha256:abcd": true, hex64: true, "sha256:" + hex64: true,
		hex64 + "0": false, "ABCD": false, "ubuntu": false, "": false, "sha256:": false,
	}
	for in, want := range tests {
		if got := IsID(in); got != want {
			t.Errorf("IsID(%q) = %v", in, got)
		}
	}
}

func TestZeroReferencePrintsNothing(t *testing.T) {
	var r Reference
	if r.String() != "" || r.Familiar() != "" {
		t.Errorf("got %q and %q", r.String(), r.Familiar())
	}
}

// FuzzParse compares with the reference implementation.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"ubuntu", "a/b:c", "localhost:5000/x@sha256:" + hex64, "[::1]:1/a", "A/b", "a.b/c__d", "x@a+b_c:" + hex64, "a-/b", "é/b", "x:\xff",
		"index.docker.io/ubuntu", "docker.io/ubuntu", "a..b/c", "x@sha512:" + hex64 + hex64, "a:1/b", "x@é:" + hex64, "x@a--b:" + hex64,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := Parse(s)
		want, wantErr := reference.ParseNormalizedNamed(s)
		if wantErr == nil && reference.Domain(want) == "" {
			// "a.b_c/d": the first part is no host, so it gives a name without a registry, which nobody can use.
			wantErr = reference.ErrReferenceInvalidFormat
		}
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("Parse(%q) = %+v, %v; the reference implementation says %v, %v", s, got, err, want, wantErr)
		}
		if err != nil {
			if wantErr.Error() != err.Error() && !strings.HasPrefix(err.Error(), "invalid reference format") {
				t.Fatalf("Parse(%q): %q, want %q", s, err, wantErr)
			}
			return
		}
		want = reference.TagNameOnly(want)
		if got.String() != want.String() || got.Familiar() != reference.FamiliarString(want) {
			t.Fatalf("Parse(%q) = %q, %q; want %q, %q", s, got, got.Familiar(), want, reference.FamiliarString(want))
		}
	})
}
