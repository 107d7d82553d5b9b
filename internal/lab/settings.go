package lab

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/deckhand-engine/deckhand/guard/profile"
	"github.com/deckhand-engine/deckhand/internal/engine"
	"github.com/deckhand-engine/deckhand/internal/linux/caps"
	"github.com/deckhand-engine/deckhand/internal/linux/seccomp"
	"github.com/deckhand-engine/deckhand/internal/network"
	"github.com/deckhand-engine/deckhand/internal/store"
	"github.com/deckhand-engine/deckhand/oci"
)

// privilegedPorts is where the ports of the privileged end on a machine that did not change it. A hardened
// container has to live with that: not every engine opens them as ours does.
const privilegedPorts = "1024"

// settings are what a container is made from.
type settings struct {
	record  *store.Container
	config  engine.Config
	granted []string            // the capabilities of root in it
	filter  *specs.LinuxSeccomp // never nil
}

// imageSettings are those of an image as docker would run it.
func (l *Lab) imageSettings(img *store.Image) *settings {
	ic := &img.Config.Config
	id := engine.NewID()
	command := slices.Concat(ic.Entrypoint, ic.Cmd)
	s := &settings{
		record: &store.Container{
			ID: id, Name: "lab-" + id[:12], Image: img.Name(), ImageID: img.ID.String(),
			Created: l.now().UTC(), Command: command, AutoRemove: true,
		},
		config: engine.Config{
			User: ic.User, StopSignal: ic.StopSignal, Labels: ic.Labels,
			Spec: oci.SpecOptions{
				Args: command, Env: oci.MergeEnv(ic.Env, nil), Cwd: path.Join("/", ic.WorkingDir), Hostname: id[:12],
				NewPrivileges: true,
			},
		},
	}
	return s
}

// addVolumes gives the image's VOLUMEs their places, as docker does.
func (s *settings) addVolumes(img *store.Image) {
	for _, v := range slices.Sorted(maps.Keys(img.Config.Config.Volumes)) {
		if p := path.Clean("/" + v); p != "/" && !slices.Contains(s.config.Volumes, p) {
			s.config.Volumes = append(s.config.Volumes, p)
		}
	}
}

// apply makes the settings those of a profile: what it does not name is not given.
func (s *settings) apply(p *profile.Profile) error {
	uid, gid, err := numericUser(p.User)
	if err != nil {
		return err
	}
	spec := &s.config.Spec
	s.config.User = p.User
	spec.CapDrop, spec.CapAdd = []string{"ALL"}, p.Capabilities
	spec.ReadonlyRootfs, spec.NewPrivileges = !p.ReadWrite, p.Escalates
	spec.Sysctls = map[string]string{oci.PortStart: privilegedPorts}
	maps.Copy(spec.Sysctls, p.Sysctls)
	for _, t := range p.Tmpfs {
		spec.Mounts = append(spec.Mounts, tmpfs(t, uid, gid))
	}
	s.config.Volumes = nil
	for _, v := range p.Volumes {
		s.config.Volumes = append(s.config.Volumes, path.Clean(v.Path))
	}
	return nil
}

// numericUser reads a profile's user, UID:GID.
func numericUser(user string) (uid, gid uint32, err error) {
	u, g, _ := strings.Cut(user, ":")
	wideUID, err1 := strconv.ParseUint(u, 10, 31)
	wideGID, err2 := strconv.ParseUint(g, 10, 31)
	if errors.Join(err1, err2) != nil {
		return 0, 0, fmt.Errorf("the profile's user %q is not two numbers UID:GID", user)
	}
	return uint32(wideUID), uint32(wideGID), nil
}

// tmpfs is the mount of an empty directory in memory that belongs to the user.
func tmpfs(t profile.Tmpfs, uid, gid uint32) specs.Mount {
	mode := t.Mode
	if mode == "" {
		mode = "0755"
	}
	return specs.Mount{
		Destination: path.Clean(t.Path), Type: "tmpfs", Source: "tmpfs",
		Options: []string{"noexec", "nosuid", "nodev", "mode=" + mode, fmt.Sprintf("uid=%d", uid), fmt.Sprintf("gid=%d", gid)},
	}
}

// restrict decides on capabilities and filter: content is a profile's in docker's format, nil the default one.
func (s *settings) restrict(content []byte) error {
	spec := &s.config.Spec
	granted, err := caps.Resolve(caps.Docker, spec.CapAdd, spec.CapDrop)
	if err != nil {
		return err
	}
	s.granted = granted
	if content == nil {
		s.filter, err = seccomp.Default(granted)
	} else {
		s.filter, err = seccomp.ParseProfile(content, granted)
	}
	spec.Seccomp = s.filter
	return err
}

// connect gives the container the network that `deckhand run` would, with ports published on loopback.
func (s *settings) connect(rootless bool, ports []network.Port) {
	switch {
	case !rootless:
		s.config.Network, s.config.Ports = network.Bridge, ports
	case network.PastaUsable() == nil:
		s.config.Network, s.config.Ports = network.Pasta, ports
	default: // loopback only: checks inside the container still work
		s.config.Network = network.None
	}
}

// create records the container. What the image's layers lack is unpacked.
func (l *Lab) create(ctx context.Context, img *store.Image, s *settings) (*engine.Container, error) {
	if len(s.config.Spec.Args) == 0 {
		return nil, errors.New("the image has neither ENTRYPOINT nor CMD")
	}
	e := l.o.Engine
	lease, err := e.Store.Lease(ctx)
	if err != nil {
		return nil, err
	}
	defer lease.Release()
	if s.record.Layers, err = e.Store.ImageLayers(ctx, img); err != nil {
		return nil, fmt.Errorf("unpack the image: %w", err)
	}
	return e.Create(ctx, s.record, s.config)
}
