// Package seccomp compiles OCI seccomp profiles to BPF in pure Go.
package seccomp

import (
	"errors"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Program is a compiled filter.
type Program struct {
	Filter []unix.SockFilter
	Flags  uint // SECCOMP_FILTER_FLAG_*
}

// Compile compiles for the running architecture. Other architectures' syscalls are refused.
func Compile(p *specs.LinuxSeccomp) (*Program, error) { return nil, errors.ErrUnsupported }

// Default is Docker's default profile resolved for the given capabilities ("CAP_SYS_CHROOT" …).
func Default(capabilities []string) (*specs.LinuxSeccomp, error) { return nil, errors.ErrUnsupported }

// ParseProfile reads a Docker-format JSON profile (includes/excludes resolved for the capabilities).
func ParseProfile(json []byte, capabilities []string) (*specs.LinuxSeccomp, error) {
	return nil, errors.ErrUnsupported
}

// Load installs the filter on the calling thread (raw syscalls only: the last step before execve).
func (p *Program) Load() error { return errors.ErrUnsupported }
