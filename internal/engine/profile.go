package engine

import (
	"fmt"
	"maps"
	"path"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/deckhand-engine/deckhand/guard/profile"
	"github.com/deckhand-engine/deckhand/internal/network"
	"github.com/deckhand-engine/deckhand/oci"
)

// Obey gives the container what p names and takes away what it does not, whatever c said before; filter is
// the profile's seccomp filter, nil for the default one. Mounts that c has already stay, and take the place
// of the profile's at the same path. The image's VOLUMEs are not looked at: a profile names what it needs.
func (c *Config) Obey(p *profile.Profile, filter *specs.LinuxSeccomp) error {
	uid, gid, err := p.IDs()
	if err != nil {
		return fmt.Errorf("obey profile: %w", err)
	}
	c.User, c.GroupAdd = p.User, nil
	s := &c.Spec
	s.CapAdd, s.CapDrop, s.Privileged = slices.Clone(p.Capabilities), []string{"ALL"}, false
	s.ReadonlyRootfs, s.NewPrivileges = !p.ReadWrite, p.Escalates
	s.Seccomp, s.SeccompUnconfined, s.UnmaskSystemPaths = filter, false, false
	s.Sysctls = c.profileSysctls(p)
	taken := c.mountPoints()
	for _, t := range p.Tmpfs {
		if !taken[t.Path] {
			s.Mounts = append(s.Mounts, tmpfsFor(t, uid, gid))
		}
	}
	for _, v := range p.Volumes {
		if !taken[v.Path] {
			c.Volumes = append(c.Volumes, v.Path)
		}
	}
	return nil
}

// profileSysctls are the profile's. Low ports are a privilege like others: where they are needed, it says so.
func (c *Config) profileSysctls(p *profile.Profile) map[string]string {
	all := map[string]string{}
	if c.Network != network.Host {
		all[oci.PortStart] = "1024"
	}
	maps.Copy(all, p.Sysctls)
	return all
}

// mountPoints are the places where something is mounted already.
func (c *Config) mountPoints() map[string]bool {
	taken := map[string]bool{}
	for _, m := range c.Spec.Mounts {
		taken[path.Clean(m.Destination)] = true
	}
	for _, v := range c.Volumes {
		taken[path.Clean(v)] = true
	}
	for _, n := range c.Named {
		taken[path.Clean(n.Path)] = true
	}
	return taken
}

func tmpfsFor(t profile.Tmpfs, uid, gid uint32) specs.Mount {
	mode := t.Mode
	if mode == "" {
		mode = "0755"
	}
	return specs.Mount{
		Destination: t.Path, Type: "tmpfs", Source: "tmpfs",
		Options: []string{
			"noexec", "nosuid", "nodev", "mode=" + mode, fmt.Sprintf("uid=%d", uid), fmt.Sprintf("gid=%d", gid),
		},
	}
}
