// Package ref parses and prints image references by Docker's rules.
//
// The grammar is that of github.com/distribution/reference, with which the tests compare it. It is written
// out here because that package compiles ten regular expressions whenever a program starts.
package ref

import (
	"strings"

	"github.com/opencontainers/go-digest"
)

const (
	defaultRegistry = "docker.io"
	legacyRegistry  = "index.docker.io"
	officialPrefix  = "library/"
	defaultTag      = "latest"
)

// Reference is a normalised image reference.
type Reference struct {
	Registry   string        // "docker.io"
	Repository string        // path below the registry: "library/ubuntu"
	Tag        string        // "latest"; empty if only a digest was given
	Digest     digest.Digest // empty unless given
}

// Parse normalises s as docker does: "ubuntu" is docker.io/library/ubuntu:latest.
// Its errors carry docker's messages.
func Parse(s string) (Reference, error) {
	if isHex64(s) {
		return Reference{}, invalid(s, "invalid repository name ("+s+"), cannot specify 64-byte hexadecimal strings")
	}
	registry, rest := splitRegistry(s)
	repository, _, _ := strings.Cut(rest, ":")
	if strings.ToLower(repository) != repository {
		return Reference{}, invalid(s, "invalid reference format: repository name ("+repository+") must be lowercase")
	}
	r, err := parseRest(registry, rest)
	if err != nil {
		return Reference{}, err
	}
	if r.Tag == "" && r.Digest == "" {
		r.Tag = defaultTag
	}
	return r, nil
}

// Name is registry/repository without tag and digest.
func (r Reference) Name() string { return r.Registry + "/" + r.Repository }

// String is the full form; empty for the zero Reference.
func (r Reference) String() string {
	if r == (Reference{}) {
		return ""
	}
	return r.Name() + r.suffix()
}

// FamiliarName is the short form of the name, without tag and digest: "ubuntu".
func (r Reference) FamiliarName() string {
	if r == (Reference{}) {
		return ""
	}
	if r.Registry != defaultRegistry {
		return r.Name()
	}
	if short, ok := strings.CutPrefix(r.Repository, officialPrefix); ok && !strings.Contains(short, "/") {
		return short
	}
	return r.Repository
}

// Familiar is the short form docker prints: "ubuntu:latest".
func (r Reference) Familiar() string { return r.FamiliarName() + r.suffix() }

func (r Reference) suffix() string {
	s := ""
	if r.Tag != "" {
		s = ":" + r.Tag
	}
	if r.Digest != "" {
		s += "@" + r.Digest.String()
	}
	return s
}

// IsID reports whether s looks like an image id ([sha256:]hex, 4 to 64 digits).
func IsID(s string) bool {
	s = strings.TrimPrefix(s, "sha256:")
	return len(s) >= 4 && len(s) <= 64 && allHex(s)
}

func isHex64(s string) bool { return len(s) == 64 && allHex(s) }

// allHex reports whether s is lower-case hexadecimal.
func allHex(s string) bool {
	for _, c := range []byte(s) {
		if !isDigit(c) && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
