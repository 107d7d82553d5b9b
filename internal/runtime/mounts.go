package runtime

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/linux/cgroup"
	"github.com/deckhand-engine/deckhand/internal/linux/mount"
	"github.com/deckhand-engine/deckhand/internal/runtime/stage"
)

// preparer translates the mounts of config.json. What comes from the host is opened here, with the
// caller's rights and by the host's paths; the child only attaches descriptors.
type preparer struct {
	spec        *specs.Spec
	ids         *ids
	strictIDMap bool
	detached    map[string]*os.File // StartOptions.Detached
	userns      *os.File
	files       []*os.File // sent to the child in this order; the first is the root
	nodes       *os.File   // a filesystem for device nodes, once there is one
	// devices are the nodes that mounts give by name.
	devices []cgroup.Device
}

// close drops the caller's copies.
func (p *preparer) close() {
	for _, f := range p.files {
		_ = f.Close() // mounts: nothing to lose
	}
	for _, f := range [...]*os.File{p.userns, p.nodes} {
		if f != nil {
			_ = f.Close() // read only, and its mounts have their own
		}
	}
}

func (p *preparer) mounts(plan *stage.Plan) error {
	for i := range p.spec.Mounts {
		m := &p.spec.Mounts[i]
		out, err := p.mount(m)
		if err != nil {
			return fmt.Errorf("mount %s: %w", m.Destination, err)
		}
		plan.Mounts = append(plan.Mounts, out)
		if out.Type == "tmpfs" && out.Target == "/dev" {
			plan.PopulateDev = true
		}
	}
	return nil
}

func (p *preparer) mount(m *specs.Mount) (stage.Mount, error) {
	target := cleanPath(m.Destination)
	if target == "/" {
		return stage.Mount{}, errors.New("the root cannot be mounted over")
	}
	o := parseOptions(m.Options)
	out := stage.Mount{Type: m.Type, Target: target, Propagation: o.propagation}
	var err error
	switch {
	case o.remount:
		err = p.remount(&out, m, o)
	case m.Type == "bind" || o.bind:
		err = p.bind(&out, m, o)
	case p.lent(m.Type) != "":
		err = p.lend(&out, m.Type, o)
	default:
		err = p.newFilesystem(&out, m, o)
	}
	return out, err
}

// newFilesystem plans a mount of a filesystem that the child makes.
func (p *preparer) newFilesystem(out *stage.Mount, m *specs.Mount, o *options) error {
	switch {
	case out.Type == "":
		return errors.New("neither a type nor bind")
	case o.shifts(m):
		return &UnsupportedError{"mounts.options idmap of a new " + m.Type}
	case o.copyUp && m.Type != "tmpfs":
		return &UnsupportedError{"mounts.options tmpcopyup of a " + m.Type}
	}
	if m.Type == "cgroup" {
		out.Type = "cgroup2"
	}
	out.CopyUp = o.copyUp
	out.Attrs = o.set | o.recSet // what they clear is not set on a new mount
	if m.Type == "tmpfs" {       // which always keeps versions
		o.super = slices.DeleteFunc(o.super, func(s stage.Pair) bool { return s.Key == "iversion" })
	}
	out.Options = append(p.mappedOptions(m.Type, o.data), o.super...)
	if label := p.spec.Linux.MountLabel; label != "" && (m.Type == "tmpfs" || m.Type == "devpts") {
		out.Options = append(out.Options, stage.Pair{Key: "context", Value: label})
	}
	if m.Source != "" {
		out.Source = m.Source
	}
	return nil
}

// mappedOptions leaves out devpts' group where it has no place in the user namespace, as podman does.
func (p *preparer) mappedOptions(fstype string, data []stage.Pair) []stage.Pair {
	if fstype != "devpts" {
		return data
	}
	const ttyGID = 5
	if _, ok := hostID(p.ids.gids, ttyGID); ok {
		return data
	}
	var kept []stage.Pair
	for _, d := range data {
		if d != (stage.Pair{Key: "gid", Value: "5"}) {
			kept = append(kept, d)
		}
	}
	return kept
}

// lent is the host's mount that takes the place of a new one: a user namespace cannot mount the
// filesystem that shows a namespace it does not own.
func (p *preparer) lent(fstype string) string {
	if _, user := namespace(p.spec, specs.UserNamespace); !user {
		return ""
	}
	for _, l := range [...]struct {
		fstype, path string
		namespace    specs.LinuxNamespaceType
	}{
		{"sysfs", "/sys", specs.NetworkNamespace},
		{"proc", "/proc", specs.PIDNamespace},
		{"mqueue", "mqueue", specs.IPCNamespace},
		{"cgroup", "/sys/fs/cgroup", specs.CgroupNamespace},
		{"cgroup2", "/sys/fs/cgroup", specs.CgroupNamespace},
	} {
		if l.fstype != fstype {
			continue
		}
		joined, own := namespace(p.spec, l.namespace)
		if !own || joined != "" && fstype == "sysfs" {
			return l.path
		}
	}
	return ""
}

func (p *preparer) open(fstype string) (*os.File, error) {
	if fstype == "mqueue" { // few hosts mount it, and anybody who may mount at all may do so
		return mount.NewFilesystem(fstype, 0)
	}
	return mount.Clone(p.lent(fstype), true)
}

// lend gives the container the host's mount. The files in it are the host's root's, who has no place in
// the container; /sys and cgroups, where owners say too little, are read-only throughout.
func (p *preparer) lend(out *stage.Mount, fstype string, o *options) error {
	m, err := p.open(fstype)
	if err != nil {
		return err
	}
	p.add(out, m)
	set := o.set | o.recSet | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC
	if fstype != "proc" && fstype != "mqueue" {
		set |= unix.MOUNT_ATTR_RDONLY
	}
	return mount.SetAttr(m, mount.Attr{Set: set, Propagation: unix.MS_PRIVATE, Recursive: true})
}

// add has the child attach m, which p closes.
func (p *preparer) add(out *stage.Mount, m *os.File) {
	out.Type, out.Fd = "", len(p.files)
	p.files = append(p.files, m)
}

// bind clones the source. No device node in it can be opened unless the mount says "dev": what may
// be used is decided by names, not by what somebody left in a directory.
func (p *preparer) bind(out *stage.Mount, m *specs.Mount, o *options) error {
	if foreign := append(o.data, o.super...); len(foreign) > 0 {
		return &UnsupportedError{"mounts.options " + foreign[0].Key + " of a bind mount"}
	}
	if o.copyUp {
		return &UnsupportedError{"mounts.options tmpcopyup of a bind mount"}
	}
	src, ok := p.detached[m.Source]
	if !ok {
		var err error
		if src, err = mount.Clone(m.Source, o.recursive); err != nil {
			return err
		}
	}
	p.add(out, src)
	out.Source, out.Propagation = m.Source, 0
	var st unix.Stat_t
	if err := unix.Fstat(int(src.Fd()), &st); err != nil {
		return fmt.Errorf("stat %s: %w", m.Source, err)
	}
	kind := st.Mode & unix.S_IFMT
	out.File = kind != unix.S_IFDIR
	if o.dev && (kind == unix.S_IFCHR || kind == unix.S_IFBLK) {
		p.devices = append(p.devices, cgroup.Device{
			Block: kind == unix.S_IFBLK, Major: unix.Major(st.Rdev), Minor: unix.Minor(st.Rdev),
		})
	}
	if o.shifts(m) {
		if err := p.idmap(src, o, m); err != nil {
			return err
		}
	}
	return setBindAttrs(src, o)
}

// remount changes a mount that the container has by then: attributes, and what the filesystem lets
// change.
func (p *preparer) remount(out *stage.Mount, m *specs.Mount, o *options) error {
	if o.shifts(m) || o.copyUp {
		return &UnsupportedError{"mounts.options remount with idmap or tmpcopyup"}
	}
	if o.recSet|o.recClear != 0 {
		return &UnsupportedError{"mounts.options remount with recursive attributes"}
	}
	out.Type, out.Remount = "", true
	out.Attrs, out.ClearAttrs = o.set, o.clear
	out.Options = append(o.data, o.super...)
	if o.bind && len(out.Options) > 0 {
		return &UnsupportedError{"mounts.options " + out.Options[0].Key + " of a bind mount"}
	}
	return nil
}

func setBindAttrs(src *os.File, o *options) error {
	propagation := o.propagation
	switch { // where only the mount itself was meant, those below keep to themselves all the same
	case o.recPropagation:
	case propagation == unix.MS_SLAVE, propagation == unix.MS_SHARED:
		propagation = unix.MS_SLAVE
	default:
		propagation = unix.MS_PRIVATE
	}
	set := o.recSet
	if !o.dev {
		set |= unix.MOUNT_ATTR_NODEV
	}
	a := mount.Attr{Set: set, Clear: o.recClear, Propagation: propagation, Recursive: true}
	if err := mount.SetAttr(src, a); err != nil {
		return err
	}
	own := mount.Attr{Set: o.set, Clear: o.clear}
	if !o.recPropagation && o.propagation != propagation {
		own.Propagation = o.propagation // of the mount alone
	}
	if own == (mount.Attr{}) {
		return nil
	}
	return mount.SetAttr(src, own)
}

// cleanPath makes a container path absolute and free of "..".
func cleanPath(p string) string { return path.Clean("/" + p) }
