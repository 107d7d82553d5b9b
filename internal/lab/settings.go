package lab

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/deckhand-engine/deckhand/internal/engine"
	"github.com/deckhand-engine/deckhand/internal/linux/caps"
	"github.com/deckhand-engine/deckhand/internal/linux/seccomp"
	"github.com/deckhand-engine/deckhand/internal/network"
	"github.com/deckhand-engine/deckhand/internal/store"
	"github.com/deckhand-engine/deckhand/oci"
)

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
	return &settings{
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
}

// addVolumes gives the image's VOLUMEs their places, as docker does.
func (s *settings) addVolumes(img *store.Image) {
	for _, v := range slices.Sorted(maps.Keys(img.Config.Config.Volumes)) {
		if p := path.Clean("/" + v); p != "/" && !slices.Contains(s.config.Volumes, p) {
			s.config.Volumes = append(s.config.Volumes, p)
		}
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
