package runtime

import (
	"errors"
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// UnsupportedError names a field of config.json that this runtime does not carry out. It is never
// left out silently.
type UnsupportedError struct{ Field string }

func (e *UnsupportedError) Error() string { return "unsupported: " + e.Field }

// checkSpec refuses what would otherwise be ignored.
func checkSpec(s *specs.Spec) error {
	if s == nil || s.Process == nil || s.Linux == nil {
		return errors.New("config.json needs process and linux")
	}
	l := s.Linux
	for _, f := range [...]struct {
		name string
		set  bool
	}{
		{"linux.intelRdt", l.IntelRdt != nil},
		{"linux.mountLabel (this kernel does not run SELinux)", l.MountLabel != "" && !hasSELinux()},
	} {
		if f.set {
			return &UnsupportedError{f.name}
		}
	}
	return checkNamespaces(s)
}

// cloneFlag is a namespace type's flag, 0 where it is not known.
func cloneFlag(t specs.LinuxNamespaceType) uintptr {
	switch t {
	case specs.UserNamespace:
		return unix.CLONE_NEWUSER
	case specs.MountNamespace:
		return unix.CLONE_NEWNS
	case specs.PIDNamespace:
		return unix.CLONE_NEWPID
	case specs.IPCNamespace:
		return unix.CLONE_NEWIPC
	case specs.UTSNamespace:
		return unix.CLONE_NEWUTS
	case specs.NetworkNamespace:
		return unix.CLONE_NEWNET
	case specs.CgroupNamespace:
		return unix.CLONE_NEWCGROUP
	case specs.TimeNamespace:
		return unix.CLONE_NEWTIME
	default:
		return 0
	}
}

// namespace finds a namespace of the spec: whether it is there and the path it is to be joined by.
func namespace(s *specs.Spec, t specs.LinuxNamespaceType) (path string, ok bool) {
	for _, n := range s.Linux.Namespaces {
		if n.Type == t {
			return n.Path, true
		}
	}
	return "", false
}

// newNamespace reports whether the container gets a new namespace of that type.
func newNamespace(s *specs.Spec, t specs.LinuxNamespaceType) bool {
	path, ok := namespace(s, t)
	return ok && path == ""
}

// hostID gives the host's id for a container's.
func hostID(mappings []specs.LinuxIDMapping, id uint32) (uint32, bool) {
	if len(mappings) == 0 {
		return id, true
	}
	for _, m := range mappings {
		if id >= m.ContainerID && id-m.ContainerID < m.Size {
			return m.HostID + (id - m.ContainerID), true
		}
	}
	return 0, false
}

// searchPath is the last PATH of an environment, as exec takes it.
func searchPath(env []string) string {
	for _, e := range slices.Backward(env) {
		if v, ok := strings.CutPrefix(e, "PATH="); ok {
			return v
		}
	}
	return ""
}
