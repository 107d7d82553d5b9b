// Package oci makes runtime-spec configurations with Deckhand's defaults and resolves users inside a root.
package oci

import (
	"errors"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// SpecOptions are what a caller may choose; the zero value is the strictest container.
type SpecOptions struct {
	Args, Env         []string
	Cwd, Hostname     string
	Terminal          bool
	ReadonlyRootfs    bool
	HostNetwork       bool // share the host's network namespace
	NewPrivileges     bool // true: no_new_privs off
	Privileged        bool // reserved
	CapAdd, CapDrop   []string
	Seccomp           *specs.LinuxSeccomp // nil: Docker's default, resolved for the capabilities
	SeccompUnconfined bool
	Mounts            []specs.Mount // after the default ones
	HostIDBase        uint32        // first host id of the container's range
	IDCount           uint32        // 65536, or 1 in single-id mode
	CgroupsPath       string
	UnmaskSystemPaths bool
}

// NewSpec makes the config.json. Capabilities and seccomp are for root; SetUser narrows them.
func NewSpec(o SpecOptions) (*specs.Spec, error) { return nil, errors.ErrUnsupported }

// User is a resolved user.
type User struct {
	UID, GID uint32
	Groups   []uint32 // primary gid first, as docker has it
	Home     string
	Name     string
}

// ResolveUser resolves docker's USER syntax ("", uid, name, user:group) against etc/passwd and etc/group
// below root (opened with RESOLVE_IN_ROOT). Messages are docker's.
func ResolveUser(root *os.File, spec string, groupAdd []string) (User, error) {
	return User{}, errors.ErrUnsupported
}

// SetUser puts u into the spec: ids, HOME where unset or empty, and for a non-root user no capability but
// the explicitly added ones (ambient).
func SetUser(s *specs.Spec, u User, capAdd []string) {}
