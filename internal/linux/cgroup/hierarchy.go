package cgroup

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// hierarchy is a mounted tree of groups.
type hierarchy struct {
	dir         string   // the mount point
	root        string   // what of the tree is mounted there
	controllers []string // of version 1; nil for the unified tree
}

// host is what a machine has of cgroups.
type host struct {
	unified     *hierarchy // nil where version 2 is not mounted
	controllers []string   // of the unified tree
	v1          []hierarchy
}

// unifiedRoots are where the version 2 tree is mounted on pure and on hybrid machines.
var unifiedRoots = [...]string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}

// unifiedRoot finds the version 2 tree without reading the table of mounts; "" on hosts without one.
func unifiedRoot() string {
	for _, root := range unifiedRoots {
		var st unix.Statfs_t
		if err := unix.Statfs(root, &st); err == nil && st.Type == unix.CGROUP2_SUPER_MAGIC {
			return root
		}
	}
	return ""
}

// thisHost reads the table of mounts, once in the life of the program.
var thisHost = sync.OnceValues(readHost)

func readHost() (*host, error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("find the cgroup hierarchies: %w", err)
	}
	defer func() { _ = f.Close() }() // read only
	h, err := parseMountinfo(f)
	if err != nil || h.unified == nil {
		return h, err
	}
	h.controllers, err = readWords(filepath.Join(h.unified.dir, "cgroup.controllers"))
	return h, err
}

// parseMountinfo finds the cgroup filesystems in a table as proc(5) describes it. Of a hierarchy that is mounted
// more than once the first counts, but the unified tree's usual places win.
func parseMountinfo(r io.Reader) (*host, error) {
	h := &host{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		m, ok := parseMount(lines.Text())
		if !ok {
			continue
		}
		if m.controllers == nil {
			if h.unified == nil || slices.Contains(unifiedRoots[:], m.dir) && !slices.Contains(unifiedRoots[:], h.unified.dir) {
				h.unified = &m
			}
			continue
		}
		if !slices.ContainsFunc(h.v1, func(o hierarchy) bool { return slices.Equal(o.controllers, m.controllers) }) {
			h.v1 = append(h.v1, m)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the table of mounts: %w", err)
	}
	return h, nil
}

// parseMount reads a line of mountinfo; ok for a cgroup filesystem.
func parseMount(line string) (m hierarchy, ok bool) {
	const rootField, dirField = 3, 4
	before, after, found := strings.Cut(line, " - ")
	if !found || !strings.HasPrefix(after, "cgroup") {
		return m, false
	}
	fields, rest := strings.Fields(before), strings.Fields(after)
	if len(fields) <= dirField || len(rest) == 0 || rest[0] != "cgroup" && rest[0] != "cgroup2" {
		return m, false
	}
	m.root, m.dir = unescape(fields[rootField]), unescape(fields[dirField])
	if rest[0] == "cgroup" {
		m.controllers = controllersOf(strings.Split(rest[len(rest)-1], ","))
	}
	return m, rest[0] == "cgroup2" || len(m.controllers) > 0
}

// unescape undoes the kernel's \ooo for blanks and backslashes.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}

// controllersOf picks a version 1 hierarchy's controllers, or its name, from its mount options.
func controllersOf(options []string) []string {
	var list []string
	for _, o := range options {
		switch o {
		case "rw", "ro", "xattr", "noprefix", "clone_children", "cpuset_v2_mode", "favordynmods", "all", "none":
		default:
			if !strings.HasPrefix(o, "release_agent=") {
				list = append(list, o)
			}
		}
	}
	return list
}

// v1Of is the version 1 hierarchy of a controller, nil without.
func (h *host) v1Of(controller string) *hierarchy {
	for i := range h.v1 {
		if slices.Contains(h.v1[i].controllers, controller) {
			return &h.v1[i]
		}
	}
	return nil
}

// isUnified reports whether a controller is one of the unified tree's.
func (h *host) isUnified(controller string) bool {
	return h.unified != nil && slices.Contains(h.controllers, controller)
}

// home is the hierarchy in which a container's processes are found: the unified one, else the freezer's.
func (h *host) home() (*hierarchy, error) {
	if h.unified != nil {
		return h.unified, nil
	}
	if v1 := h.v1Of("freezer"); v1 != nil {
		return v1, nil
	}
	return nil, ErrNoHierarchy
}

// ErrNoHierarchy is returned where neither the unified hierarchy nor version 1's freezer is mounted.
var ErrNoHierarchy = errors.New("neither the cgroup version 2 tree nor version 1's freezer is mounted below /sys/fs/cgroup")

// below is the directory of a path as /proc/pid/cgroup shows it.
func (m *hierarchy) below(path string) (string, error) {
	if m.root == "/" {
		return filepath.Join(m.dir, path), nil
	}
	rel, err := filepath.Rel(m.root, path)
	if err != nil || rel == ".." || strings.HasPrefix(rel, "../") {
		return "", fmt.Errorf("group %s is outside of what is mounted at %s", path, m.dir)
	}
	return filepath.Join(m.dir, rel), nil
}

// membership is a line of /proc/pid/cgroup.
type membership struct {
	controllers []string // nil for the unified tree
	path        string
}

// parseMemberships reads /proc/pid/cgroup.
func parseMemberships(text string) []membership {
	var list []membership
	for line := range strings.Lines(text) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(fields) != 3 {
			continue
		}
		m := membership{path: fields[2]}
		if fields[1] != "" {
			m.controllers = strings.Split(fields[1], ",")
		}
		list = append(list, m)
	}
	return list
}

// memberships are the groups of a process or thread of ours.
func memberships(proc string) ([]membership, error) {
	b, err := os.ReadFile(filepath.Join("/proc", proc, "cgroup"))
	if err != nil {
		return nil, fmt.Errorf("find our own cgroup: %w", err)
	}
	return parseMemberships(string(b)), nil
}

// readWords reads a file of words.
func readWords(path string) ([]string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return strings.Fields(string(b)), nil
}
