package features

import (
	"os"
	"path/filepath"

	"github.com/deckhand-engine/deckhand/internal/linux/mount"
	"github.com/deckhand-engine/deckhand/internal/linux/rootless"
)

// containerMap is an id map such as containers get.
const containerMap = "0 1073676288 65536"

// overlay mounts one as containers get it: in a user namespace for an ordinary user.
func (p *prober) overlay() Feature {
	detail := "on " + p.fsName
	const fix = "use another --data-root: a local filesystem such as ext4, xfs or btrfs (not overlay, nfs)"
	if p.dirErr != nil {
		return no(p.dirErr.Error(), "choose a --data-root you may write to")
	}
	if p.in != nil {
		return p.in.feature(p.in.Overlay, detail+", in a user namespace", fix)
	}
	return outcome(tryOverlay(p.dir, nil, p.inside), detail, fix)
}

// tryOverlay mounts dir's lower, upper and work, and makes a file there.
func tryOverlay(dir string, userns *os.File, userXattr bool) error {
	o := mount.Overlay{
		Lower: []string{filepath.Join(dir, "lower")}, UpperBase: dir,
		Upper: filepath.Join(dir, "upper"), Work: filepath.Join(dir, "work"),
		IDMap: userns, UserXattr: userXattr, Volatile: true,
	}
	m, err := o.Mount()
	if err != nil {
		return err
	}
	return m.Close()
}

func (p *prober) idmappedMounts() Feature {
	if p.dirErr != nil {
		return no(p.dirErr.Error(), "choose a --data-root you may write to")
	}
	ns, err := containerNamespace()
	if err != nil {
		return no(err.Error(), "")
	}
	defer func() { _ = ns.Close() }() // nothing written
	m, err := mount.Clone(p.dir, false)
	if err == nil {
		err = mount.IDMap(m, ns, false)
		_ = m.Close() // detached
	}
	return outcome(err, "on "+p.fsName, "use a --data-root on ext4, xfs, btrfs or tmpfs")
}

func (p *prober) idmappedOverlay() Feature {
	if p.dirErr != nil {
		return no(p.dirErr.Error(), "choose a --data-root you may write to")
	}
	ns, err := containerNamespace()
	if err != nil {
		return no(err.Error(), "")
	}
	defer func() { _ = ns.Close() }() // nothing written
	return outcome(tryOverlay(p.dir, ns, false), "on "+p.fsName, "use a --data-root on ext4, xfs, btrfs or tmpfs, and Linux 5.19 or newer")
}

// containerNamespace is a user namespace such as a container has.
func containerNamespace() (*os.File, error) {
	return rootless.NewNamespace(containerMap, containerMap)
}
