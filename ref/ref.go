// Package ref parses and prints image references by Docker's rules.
package ref

import (
	"errors"

	"github.com/opencontainers/go-digest"
)

// Reference is a normalised image reference.
type Reference struct {
	Registry   string        // "docker.io"
	Repository string        // path below the registry: "library/ubuntu"
	Tag        string        // "latest"; empty if only a digest was given
	Digest     digest.Digest // empty unless given
}

// Parse normalises s as docker does: "ubuntu" is docker.io/library/ubuntu:latest.
func Parse(s string) (Reference, error) { return Reference{}, errors.ErrUnsupported }

// Name is registry/repository without tag and digest.
func (r Reference) Name() string { return r.Registry + "/" + r.Repository }

// String is the full form.
func (r Reference) String() string { return "" }

// Familiar is the short form docker prints: "ubuntu:latest".
func (r Reference) Familiar() string { return "" }

// IsID reports whether s looks like an image id ([sha256:]hex, 4 to 64 digits).
func IsID(s string) bool { return false }
