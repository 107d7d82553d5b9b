package runtime

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/runtime/stage"
)

// newFlags are the CLONE_NEW* of the namespaces to be made by clone. The child unshares the cgroup
// namespace itself, when it is in its cgroup, and the time namespace, which only its command enters.
func newFlags(s *specs.Spec) (flags uintptr) {
	for _, n := range s.Linux.Namespaces {
		if n.Path == "" && n.Type != specs.CgroupNamespace && n.Type != specs.TimeNamespace {
			flags |= cloneFlag(n.Type)
		}
	}
	return flags
}

// joinsOnlyNetwork: at most the network namespace has a path; a thread can be in it to clone from.
func joinsOnlyNetwork(s *specs.Spec) bool {
	for _, n := range s.Linux.Namespaces {
		if n.Path != "" && n.Type != specs.NetworkNamespace {
			return false
		}
	}
	return true
}

// role is the child's argv[0]: one that enters a user or pid namespace hides from what is there first.
func role(s *specs.Spec) string {
	user, _ := namespace(s, specs.UserNamespace)
	pid, _ := namespace(s, specs.PIDNamespace)
	if user != "" || pid != "" && !newNamespace(s, specs.UserNamespace) {
		return stage.ArgJoin
	}
	return stage.ArgStart
}

// forkJoining forks a child that enters the namespaces that have paths.
func forkJoining(s *specs.Spec, f *fork) (int, error) {
	j := &join{fork: f, flags: newFlags(s)}
	f.clone.flags &^= uint64(j.flags) // theirs is the second fork
	for _, n := range s.Linux.Namespaces {
		if n.Path == "" {
			continue
		}
		fd, err := openNamespace(n)
		if err != nil {
			return 0, fmt.Errorf("linux.namespaces[%s].path: %w", n.Type, err)
		}
		defer closeFd(fd)
		j.add(uintptr(fd), cloneFlag(n.Type))
	}
	return j.run()
}

// openNamespace opens a namespace and makes sure that it is one of its type.
func openNamespace(n specs.LinuxNamespace) (int, error) {
	low, err := unix.Open(n.Path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: n.Path, Err: err}
	}
	defer closeFd(low)
	var st unix.Statfs_t
	if err := unix.Fstatfs(low, &st); err != nil || st.Type != unix.NSFS_MAGIC {
		return -1, fmt.Errorf("%s is not a namespace", n.Path)
	}
	kind, err := unix.IoctlRetInt(low, unix.NS_GET_NSTYPE)
	if err != nil {
		return -1, fmt.Errorf("find out the type of %s: %w", n.Path, err)
	}
	if uintptr(kind) != cloneFlag(n.Type) {
		return -1, fmt.Errorf("%s is a namespace of another type", n.Path)
	}
	return unix.FcntlInt(uintptr(low), unix.F_DUPFD_CLOEXEC, highFd)
}

// ids are what a container's user namespace maps; without one, every id to itself.
type ids struct {
	uids, gids      []specs.LinuxIDMapping
	setgroupsDenied bool
}

// idsOf are the ids of a container to be: as given, or as a namespace that it joined has them already.
func idsOf(s *specs.Spec, pid int) (*ids, error) {
	path, _ := namespace(s, specs.UserNamespace)
	if path == "" {
		l := s.Linux
		return &ids{l.UIDMappings, l.GIDMappings, setgroupsDenied(l)}, nil
	}
	m, err := readIDs(pid)
	if err != nil {
		return nil, err
	}
	if len(s.Linux.UIDMappings) > 0 && !slices.Equal(s.Linux.UIDMappings, m.uids) {
		return nil, fmt.Errorf("linux.uidMappings are not those of the namespace %s", path)
	}
	if len(s.Linux.GIDMappings) > 0 && !slices.Equal(s.Linux.GIDMappings, m.gids) {
		return nil, fmt.Errorf("linux.gidMappings are not those of the namespace %s", path)
	}
	return m, nil
}

// readIDs reads the map of a process's user namespace, as seen from ours.
func readIDs(pid int) (m *ids, err error) {
	dir := "/proc/" + strconv.Itoa(pid) + "/"
	m = &ids{}
	for name, to := range map[string]*[]specs.LinuxIDMapping{"uid_map": &m.uids, "gid_map": &m.gids} {
		text, err := os.ReadFile(dir + name)
		if err != nil {
			return nil, fmt.Errorf("read the ids of the user namespace: %w", err)
		}
		if *to, err = parseMap(string(text)); err != nil {
			return nil, fmt.Errorf("read %s%s: %w", dir, name, err)
		}
	}
	text, err := os.ReadFile(dir + "setgroups")
	m.setgroupsDenied = strings.TrimSpace(string(text)) == "deny"
	return m, err
}

func parseMap(text string) ([]specs.LinuxIDMapping, error) {
	var m []specs.LinuxIDMapping
	for line := range strings.Lines(text) {
		var n [3]uint32
		fields := strings.Fields(line)
		if len(fields) != len(n) {
			return nil, fmt.Errorf("malformed line %q", line)
		}
		for i, f := range fields {
			v, err := strconv.ParseUint(f, 10, 32)
			if err != nil {
				return nil, err
			}
			n[i] = uint32(v)
		}
		m = append(m, specs.LinuxIDMapping{ContainerID: n[0], HostID: n[1], Size: n[2]})
	}
	return m, nil
}
