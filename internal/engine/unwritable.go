package engine

import (
	"slices"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/oci"
)

// Unwritable is a mount whose directory belongs to root and that the container's user cannot write to.
type Unwritable struct {
	Volume string // its name; empty: a directory of the host
	Dir    string // on the host
	UID    uint32 // the owner
	GID    uint32
	Mode   uint32 // permission bits
	User   oci.User
}

// lookAtMounts calls c.Unwritable for each such mount. It costs one stat a mount, and nothing where there is none.
func (c *Container) lookAtMounts(r *Running) {
	if r.User.UID == 0 || overrides(r.Spec.Process) {
		return
	}
	for _, n := range c.Config.Named {
		if !n.ReadOnly {
			c.lookAt(Unwritable{Volume: n.Name, Dir: c.engine.Store.VolumeDir(n.Name), User: r.User})
		}
	}
	for _, m := range c.Config.Spec.Mounts {
		if m.Type == "bind" && !slices.Contains(m.Options, "ro") {
			c.lookAt(Unwritable{Dir: m.Source, User: r.User})
		}
	}
}

func (c *Container) lookAt(m Unwritable) {
	var st unix.Stat_t
	if err := unix.Stat(m.Dir, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFDIR || st.Uid != 0 {
		return
	}
	m.UID, m.GID, m.Mode = st.Uid, st.Gid, st.Mode&0o7777
	inGroup := st.Gid == m.User.GID || slices.Contains(m.User.Groups, st.Gid)
	if st.Mode&0o002 != 0 || inGroup && st.Mode&0o020 != 0 {
		return
	}
	if n, err := unix.Getxattr(m.Dir, accessACLXattr, nil); err == nil && n > 0 {
		return // it may name the user
	}
	c.Unwritable(m)
}

// overrides reports whether a process may write whatever the mode says.
func overrides(p *specs.Process) bool {
	return p.Capabilities != nil && slices.ContainsFunc(p.Capabilities.Effective, func(name string) bool {
		return strings.EqualFold(name, "CAP_DAC_OVERRIDE")
	})
}

// watchesMounts reports whether somebody wants to hear of mounts, and there are some.
func (c *Container) watchesMounts() bool {
	return c.Unwritable != nil && len(c.Config.Named)+len(c.Config.Spec.Mounts) > 0
}
