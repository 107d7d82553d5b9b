package runtime

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// checkNamespaces makes sure that linux.namespaces has what the rest of the spec needs.
func checkNamespaces(s *specs.Spec) error {
	var seen uintptr
	l := s.Linux
	for _, n := range l.Namespaces {
		flag := cloneFlag(n.Type)
		if flag == 0 {
			return &UnsupportedError{"linux.namespaces[" + string(n.Type) + "]"}
		}
		if seen&flag != 0 {
			return fmt.Errorf("linux.namespaces has %s twice", n.Type)
		}
		seen |= flag
	}
	if err := checkMappings(s); err != nil {
		return err
	}
	if seen&unix.CLONE_NEWUTS == 0 && s.Hostname+s.Domainname != "" {
		return errors.New("hostname and domainname need a UTS namespace")
	}
	if seen&unix.CLONE_NEWNET == 0 && len(l.NetDevices) > 0 {
		return errors.New("linux.netDevices needs a network namespace")
	}
	if err := checkTime(s); err != nil {
		return err
	}
	for name := range l.Sysctl {
		if err := checkSysctl(name, seen); err != nil {
			return err
		}
	}
	return nil
}

func checkMappings(s *specs.Spec) error {
	l := s.Linux
	joined, user := namespace(s, specs.UserNamespace)
	mapped := len(l.UIDMappings) > 0 && len(l.GIDMappings) > 0
	if user && joined == "" && !mapped {
		return errors.New("a user namespace needs linux.uidMappings and linux.gidMappings")
	}
	if !user && len(l.UIDMappings)+len(l.GIDMappings) > 0 {
		return errors.New("linux.uidMappings and linux.gidMappings need a user namespace")
	}
	return nil
}

// checkTime: the command enters its time namespace by execve, which Linux does since 6.3.
func checkTime(s *specs.Spec) error {
	if !newNamespace(s, specs.TimeNamespace) {
		if len(s.Linux.TimeOffsets) > 0 {
			return errors.New("linux.timeOffsets needs a new time namespace")
		}
		return nil
	}
	for clock := range s.Linux.TimeOffsets {
		if clock != "monotonic" && clock != "boottime" {
			return fmt.Errorf("linux.timeOffsets: unknown clock %q, there are monotonic and boottime", clock)
		}
	}
	if !kernelSince(6, 3) {
		return &UnsupportedError{"linux.namespaces[time] (before Linux 6.3)"}
	}
	return nil
}

// kernelSince reports whether this kernel is of that version or a later one.
func kernelSince(major, minor int) bool {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return false
	}
	parts := strings.FieldsFunc(unix.ByteSliceToString(name.Release[:]), func(r rune) bool { return r < '0' || r > '9' })
	if len(parts) < 2 {
		return false
	}
	a, errA := strconv.Atoi(parts[0])
	b, errB := strconv.Atoi(parts[1])
	return errA == nil && errB == nil && (a > major || a == major && b >= minor)
}

// timeOffsets is what /proc/self/timens_offsets takes.
func timeOffsets(offsets map[string]specs.LinuxTimeOffset) string {
	var lines strings.Builder
	for _, clock := range [...]string{"monotonic", "boottime"} {
		if o, ok := offsets[clock]; ok {
			fmt.Fprintf(&lines, "%s %d %d\n", clock, o.Secs, o.Nanosecs)
		}
	}
	return lines.String()
}

// checkSysctl refuses a parameter that no namespace of the container has for itself: it would be the
// host's.
func checkSysctl(name string, namespaces uintptr) error {
	file := sysctlFile(name)
	if file == "" {
		return fmt.Errorf("linux.sysctl: malformed name %q", name)
	}
	owner, kind := uintptr(0), ""
	switch {
	case strings.HasPrefix(file, "net/"):
		owner, kind = unix.CLONE_NEWNET, "network"
	case strings.HasPrefix(file, "fs/mqueue/"), slices.Contains(ipcSysctls(), file):
		owner, kind = unix.CLONE_NEWIPC, "IPC"
	case strings.HasPrefix(file, "user/"):
		owner, kind = unix.CLONE_NEWUSER, "user"
	case file == "kernel/domainname":
		owner, kind = unix.CLONE_NEWUTS, "UTS"
	case file == "kernel/hostname":
		return errors.New("linux.sysctl: kernel.hostname is set by hostname")
	default:
		return fmt.Errorf("linux.sysctl: %s is not in a namespace of its own, it would be the host's", name)
	}
	if namespaces&owner == 0 {
		return fmt.Errorf("linux.sysctl: %s needs a namespace of type %s, it would be the host's", name, kind)
	}
	return nil
}

// ipcSysctls are the parameters of an IPC namespace outside fs/mqueue.
func ipcSysctls() []string {
	return []string{
		"kernel/msgmax", "kernel/msgmnb", "kernel/msgmni", "kernel/sem",
		"kernel/shmall", "kernel/shmmax", "kernel/shmmni", "kernel/shm_rmid_forced",
		"kernel/msg_next_id", "kernel/sem_next_id", "kernel/shm_next_id", "kernel/auto_msgmni",
	}
}

// sysctlFile is a parameter's file below /proc/sys; as with sysctl(8), dots and slashes change places,
// unless the first separator is a slash. Empty where the name would lead elsewhere.
func sysctlFile(name string) string {
	file := name
	if first := strings.IndexAny(name, "./"); first >= 0 && name[first] == '.' {
		file = strings.NewReplacer(".", "/", "/", ".").Replace(name)
	}
	for part := range strings.SplitSeq(file, "/") {
		if part == "" || part == "." || part == ".." {
			return ""
		}
	}
	return file
}
