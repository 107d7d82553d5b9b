package proof

import (
	"errors"
	"fmt"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// seccompJSON is a filter in the words that Docker's format and the OCI runtime's share, so that engines, containerd
// and the kubelet read the same file.
type seccompJSON struct {
	DefaultAction   specs.LinuxSeccompAction `json:"defaultAction"`
	DefaultErrnoRet uint                     `json:"defaultErrnoRet"`
	Architectures   []specs.Arch             `json:"architectures"`
	Syscalls        []seccompRule            `json:"syscalls"`
}

type seccompRule struct {
	Names  []string                 `json:"names"`
	Action specs.LinuxSeccompAction `json:"action"`
}

// SeccompProfile is a filter, in Docker's format, that allows the named system calls and nothing else: all others
// fail with ENOSYS, as in a kernel that does not have them, so that programs fall back to older ones. The names may
// be in any order; those that an architecture does not have are passed over there. A name that cannot be one is an
// error, and so is an empty list.
func SeccompProfile(syscalls []string) ([]byte, error) {
	names := sorted(syscalls)
	if len(names) == 0 {
		return nil, errors.New("make seccomp profile: no system call is allowed, nothing could be started")
	}
	for _, name := range names {
		if !isSyscall(name) {
			return nil, fmt.Errorf("make seccomp profile: %q is no system call's name", name)
		}
	}
	out, err := encode(seccompJSON{
		DefaultAction: specs.ActErrno, DefaultErrnoRet: uint(unix.ENOSYS),
		Architectures: []specs.Arch{specs.ArchX86_64, specs.ArchAARCH64},
		Syscalls:      []seccompRule{{names, specs.ActAllow}},
	}, "  ")
	if err != nil {
		return nil, fmt.Errorf("make seccomp profile: %w", err)
	}
	return out, nil
}

// isSyscall reports whether a system call could have the name: letters, digits and underscores.
func isSyscall(name string) bool {
	return name != "" && len(name) <= 64 && !slices.ContainsFunc([]byte(name), func(b byte) bool {
		return b != '_' && (b < 'a' || b > 'z') && (b < '0' || b > '9')
	})
}
