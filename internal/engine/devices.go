package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Device is a device of the host's that a container is given: a node, or a directory with nodes.
type Device struct {
	PathOnHost      string `json:"pathOnHost"`
	PathInContainer string `json:"pathInContainer"`
	Access          string `json:"access"` // of r, w and m
}

// node is a device node of the host's.
type node struct {
	source, target string
	access         string
	mode           uint32 // with its type
	rdev           uint64
	uid, gid       uint32
}

// rule allows a node.
func (n *node) rule() specs.LinuxDeviceCgroup {
	major, minor := int64(unix.Major(n.rdev)), int64(unix.Minor(n.rdev))
	kind := "c"
	if n.mode&unix.S_IFMT == unix.S_IFBLK {
		kind = "b"
	}
	return specs.LinuxDeviceCgroup{Allow: true, Type: kind, Major: &major, Minor: &minor, Access: n.access}
}

// DeviceError is a device that cannot be given.
type DeviceError struct {
	Path string
	Err  error
}

// Error names the flag.
func (e *DeviceError) Error() string { return fmt.Sprintf("--device %s: %v", e.Path, e.Err) }

// Unwrap gives the cause.
func (e *DeviceError) Unwrap() error { return e.Err }

// nodesOf are the nodes of all devices.
func nodesOf(devices []Device) ([]node, error) {
	var all []node
	for _, d := range devices {
		found, err := d.nodes()
		if err != nil {
			return nil, &DeviceError{d.PathOnHost, err}
		}
		all = append(all, found...)
	}
	return all, nil
}

func (d Device) nodes() ([]node, error) {
	source, err := filepath.EvalSymlinks(d.PathOnHost) //nolint:forbidigo // a path of the host's own
	if err != nil {
		return nil, err
	}
	var found []node
	err = filepath.WalkDir(source, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.Type()&fs.ModeDevice == 0 {
			return err
		}
		n, err := readNode(p, d.PathInContainer+strings.TrimPrefix(p, source), d.Access)
		found = append(found, n)
		return err
	})
	if err == nil && len(found) == 0 {
		err = errors.New("not a device node")
	}
	return found, err
}

func readNode(source, target, access string) (node, error) {
	var st unix.Stat_t
	if err := unix.Lstat(source, &st); err != nil {
		return node{}, &os.PathError{Op: "stat", Path: source, Err: err}
	}
	return node{
		source: source, target: target, access: access, mode: st.Mode, rdev: st.Rdev, uid: st.Uid, gid: st.Gid,
	}, nil
}

// openNodes are the host's nodes that every user may open: what --privileged gives. The others belong to somebody who
// is nobody in the container. Terminals are not among them.
func openNodes() ([]node, error) {
	var found []node
	err := filepath.WalkDir("/dev", func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return skipUnreadable(e, err)
		}
		if e.IsDir() && slices.Contains([]string{"/dev/pts", "/dev/shm", "/dev/mqueue", "/dev/hugepages"}, p) {
			return fs.SkipDir
		}
		if e.Type()&fs.ModeDevice == 0 || standardNode(p) || strings.HasPrefix(p, "/dev/tty") {
			return nil
		}
		n, err := readNode(p, p, "rwm")
		if err == nil && n.mode&0o006 != 0 {
			found = append(found, n)
		}
		return nil // it may have gone
	})
	return found, err
}

func skipUnreadable(e fs.DirEntry, err error) error {
	if e != nil && e.IsDir() {
		return fs.SkipDir
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// standardNode: every container has these.
func standardNode(p string) bool {
	return slices.Contains([]string{
		"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/console", "/dev/ptmx",
	}, p)
}

// addDevices gives the container its devices.
func (c *Container) addDevices(s *Sandbox) error {
	nodes, err := nodesOf(c.Config.Devices)
	if err != nil {
		return err
	}
	for i := range nodes {
		if err := c.addDevice(s, i, &nodes[i]); err != nil {
			return &DeviceError{nodes[i].source, err}
		}
	}
	s.restrictDevices(nodes)
	if !c.Config.Spec.Privileged {
		return nil
	}
	open, err := openNodes()
	if err != nil {
		return fmt.Errorf("find the host's devices: %w", err)
	}
	for _, n := range open {
		if !slices.ContainsFunc(nodes, func(have node) bool { return have.target == n.target }) {
			s.addNode(n.source, n.target)
		}
	}
	return nil
}

// addDevice gives it a node of its own with the host's owner and mode, in the container's ids, as docker's are. Who
// may make none has the host's node, whose owner is nobody in the container.
func (c *Container) addDevice(s *Sandbox, i int, n *node) error {
	if standardNode(n.target) {
		return nil
	}
	dir := filepath.Join(s.UpperBase, "devices")
	if err := mkdir(dir, 0o700); err != nil {
		return err
	}
	own := filepath.Join(dir, strconv.Itoa(i))
	if err := os.Remove(own); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	switch err := unix.Mknod(own, n.mode, int(n.rdev)); { //nolint:gosec // a device number
	case errors.Is(err, unix.EPERM):
		s.addNode(n.source, n.target)
		return nil
	case err != nil:
		return &os.PathError{Op: "mknod", Path: own, Err: err}
	}
	if err := os.Lchown(own, int(n.uid), int(n.gid)); err != nil {
		return err
	}
	if err := unix.Chmod(own, n.mode&0o7777); err != nil {
		return &os.PathError{Op: "chmod", Path: own, Err: err}
	}
	s.addNode(own, n.target, "idmap")
	return nil
}

func (s *Sandbox) addNode(source, target string, more ...string) {
	s.Options.Mounts = append(s.Options.Mounts, specs.Mount{
		Destination: target, Type: "bind", Source: source,
		Options: append([]string{"bind", "rprivate", "nosuid", "noexec", "dev"}, more...),
	})
}

// restrictDevices has the cgroup hold the container to the access that was given, where it is not all. It may make no
// nodes, so that m says nothing.
func (s *Sandbox) restrictDevices(nodes []node) {
	if !slices.ContainsFunc(nodes, func(n node) bool { return !strings.Contains(n.access, "r") || !strings.Contains(n.access, "w") }) {
		return
	}
	r := specs.LinuxResources{}
	if s.Limits.Resources != nil {
		r = *s.Limits.Resources
	}
	r.Devices = append(r.Devices, deviceRules(nodes)...)
	s.Limits.Resources = &r
}
