package runtime

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/linux/cgroup"
	"github.com/deckhand-engine/deckhand/internal/linux/mount"
	"github.com/deckhand-engine/deckhand/internal/linux/rootless"
	"github.com/deckhand-engine/deckhand/internal/runtime/stage"
)

const (
	deviceMode  = 0o666 // where linux.devices says none, as runc
	modeBits    = 0o7777
	deviceBytes = 1 << 16
)

// deviceNodes plans linux.devices: as nodes that the child makes or, for a user namespace, which may make
// none, as mounts of nodes that are made here.
func (p *preparer) deviceNodes(plan *stage.Plan) error {
	_, userns := namespace(p.spec, specs.UserNamespace)
	mounted := userns || rootless.Inside()
	for i := range p.spec.Linux.Devices {
		d := &p.spec.Linux.Devices[i]
		node, err := p.deviceNode(d)
		if err != nil {
			return fmt.Errorf("linux.devices[%d] %s: %w", i, d.Path, err)
		}
		if plan.PopulateDev && isStandard(node) {
			continue // it is there
		}
		if node.Mode&unix.S_IFMT == unix.S_IFIFO || !mounted {
			plan.Devices = append(plan.Devices, node)
			continue
		}
		if err := p.mountNode(plan, d, node); err != nil {
			return fmt.Errorf("linux.devices[%d] %s: %w", i, d.Path, err)
		}
	}
	return nil
}

// deviceNode is what mknod takes, with the container's ids.
func (p *preparer) deviceNode(d *specs.LinuxDevice) (stage.Device, error) {
	node := stage.Device{Path: cleanPath(d.Path), Mode: deviceMode}
	if d.FileMode != nil {
		node.Mode = uint32(*d.FileMode) & modeBits
	}
	if d.UID != nil {
		node.UID = *d.UID
	}
	if d.GID != nil {
		node.GID = *d.GID
	}
	if node.Path == "/" {
		return node, errors.New("no path")
	}
	err := p.number(&node, d)
	return node, err
}

// number gives a node its type and its device, which the container may use then.
func (p *preparer) number(node *stage.Device, d *specs.LinuxDevice) error {
	switch d.Type {
	case "c", "u":
		node.Mode |= unix.S_IFCHR
	case "b":
		node.Mode |= unix.S_IFBLK
	case "p":
		node.Mode |= unix.S_IFIFO
		return nil
	default:
		return fmt.Errorf("unknown type %q, there are c, b, u and p", d.Type)
	}
	const maxMajor, maxMinor = 1<<12 - 1, 1<<20 - 1
	if d.Major < 0 || d.Major > maxMajor || d.Minor < 0 || d.Minor > maxMinor {
		return fmt.Errorf("there is no device %d:%d", d.Major, d.Minor)
	}
	node.Rdev = unix.Mkdev(uint32(d.Major), uint32(d.Minor))
	p.devices = append(p.devices, cgroup.Device{
		Block: d.Type == "b", Major: uint32(d.Major), Minor: uint32(d.Minor),
	})
	return nil
}

// isStandard: a node that every container has, as it is. In ptmx's place is a link to the container's own.
func isStandard(n stage.Device) bool {
	if n.Path == "/dev/ptmx" && n.Rdev == unix.Mkdev(5, 2) {
		return true
	}
	for _, d := range stage.StandardDevices() {
		if n.Path == "/dev/"+d.Name && n.Rdev == d.Rdev && n.Mode == unix.S_IFCHR|deviceMode {
			return true
		}
	}
	return false
}

// mountNode has the child mount a node: a new one, or where that cannot be had the host's.
func (p *preparer) mountNode(plan *stage.Plan, d *specs.LinuxDevice, n stage.Device) error {
	f, err := p.newNode(n)
	if err != nil {
		var hostErr error
		if f, hostErr = hostNode(d, n); hostErr != nil {
			return errors.Join(hostErr, err)
		}
	}
	out := stage.Mount{Source: d.Path, Target: n.Path, File: true}
	p.add(&out, f)
	plan.Mounts = append(plan.Mounts, out)
	return nil
}

// newNode makes a node on a filesystem of ours and gives a mount of it. That takes the real root, and
// Linux 6.15, which clones what is attached nowhere.
func (p *preparer) newNode(n stage.Device) (*os.File, error) {
	uid, ok := hostID(p.ids.uids, n.UID)
	if !ok {
		return nil, fmt.Errorf("uid %d is not mapped into the container", n.UID)
	}
	gid, ok := hostID(p.ids.gids, n.GID)
	if !ok {
		return nil, fmt.Errorf("gid %d is not mapped into the container", n.GID)
	}
	if p.nodes == nil {
		fs, err := mount.NewFilesystem("tmpfs", unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NOEXEC, [2]string{"size", strconv.Itoa(deviceBytes)})
		if err != nil {
			return nil, err
		}
		p.nodes = fs
	}
	dir, name := int(p.nodes.Fd()), strconv.Itoa(len(p.files))
	if err := unix.Mknodat(dir, name, n.Mode, int(n.Rdev)); err != nil {
		return nil, fmt.Errorf("make node: %w", err)
	}
	if err := unix.Fchownat(dir, name, int(uid), int(gid), unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return nil, fmt.Errorf("own node: %w", err)
	}
	if err := unix.Fchmodat(dir, name, n.Mode&modeBits, 0); err != nil {
		return nil, fmt.Errorf("change node: %w", err)
	}
	fd, err := unix.OpenTree(dir, name, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("mount node: %w", err)
	}
	return os.NewFile(uintptr(fd), n.Path), nil
}

// hostNode gives a mount of the host's node of the same path, which has the mode and the owner it has
// there.
func hostNode(d *specs.LinuxDevice, n stage.Device) (*os.File, error) {
	f, err := mount.Clone(n.Path, false)
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	err = unix.Fstat(int(f.Fd()), &st)
	switch {
	case err != nil:
	case st.Mode&unix.S_IFMT != n.Mode&unix.S_IFMT || st.Rdev != n.Rdev:
		err = fmt.Errorf("the host's %s is another device", n.Path)
	case d.FileMode != nil && st.Mode != n.Mode:
		err = &UnsupportedError{fmt.Sprintf("linux.devices.fileMode %o where only the host's node can be had, which has %o", n.Mode&modeBits, st.Mode&modeBits)}
	case d.UID != nil && st.Uid != n.UID || d.GID != nil && st.Gid != n.GID:
		err = &UnsupportedError{"linux.devices.uid and gid other than the host's node's"}
	}
	if err != nil {
		_ = f.Close() // only looked at
		return nil, err
	}
	return f, nil
}
