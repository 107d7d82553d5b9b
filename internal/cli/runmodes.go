package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/deckhand-engine/deckhand/internal/engine"
	"github.com/deckhand-engine/deckhand/internal/hint"
	"github.com/deckhand-engine/deckhand/internal/linux/rootless"
	"github.com/deckhand-engine/deckhand/internal/network"
	"github.com/deckhand-engine/deckhand/internal/store"
)

// modeOptions are the flags of run that say whose namespaces a container has.
type modeOptions struct{ pid, ipc, uts, userns, cgroupns string }

func (o *modeOptions) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.pid, "pid", "", "PID namespace to use, a `mode`: private, host or container:NAME")
	f.StringVar(&o.ipc, "ipc", "", "IPC `mode` to use: private, shareable, none, host or container:NAME")
	f.StringVar(&o.uts, "uts", "", "UTS namespace to use, a `mode`: private, host or container:NAME")
	f.StringVar(&o.userns, "userns", "", "user namespace to use, a `mode`: private, auto, host or container:NAME")
	f.StringVar(&o.cgroupns, "cgroupns", "", "cgroup namespace to use, a `mode`: private, host or container:NAME")
}

// Modes that mean the default.
const (
	modePrivate = "private"
	modeAuto    = "auto"
)

// parseMode reads a mode: "" for private, and any of also as it is.
func parseMode(flag, value string, also ...string) (string, error) {
	if value == "" || value == modePrivate {
		return "", nil
	}
	if value == engine.HostMode || slices.Contains(also, value) {
		return value, nil
	}
	name, isContainer := strings.CutPrefix(value, engine.ContainerMode)
	switch {
	case isContainer && name == "":
		return "", fmt.Errorf("invalid --%s %q: a container's name or id goes after the colon", flag, value)
	case isContainer:
		return value, nil
	}
	return "", hint.With(fmt.Errorf("invalid --%s mode: %q", flag, value),
		"one of:  "+strings.Join(append([]string{modePrivate, engine.HostMode, engine.ContainerMode + "NAME"}, also...), ", "))
}

// modes are the namespaces that are not the container's own; other containers are as named.
func (o *modeOptions) modes(networkMode string) (m engine.Modes, err error) {
	if strings.HasPrefix(networkMode, engine.ContainerMode) {
		if m.Network, err = parseMode("network", networkMode); err != nil {
			return m, err
		}
	}
	if m.User, err = o.userMode(); err != nil {
		return m, err
	}
	for _, n := range [...]struct {
		flag, value string
		to          *string
		also        []string
	}{
		{"pid", o.pid, &m.PID, nil},
		{"ipc", o.ipc, &m.IPC, []string{engine.NoneMode, engine.ShareableMode}},
		{"uts", o.uts, &m.UTS, nil},
		{"cgroupns", o.cgroupns, &m.Cgroup, nil},
	} {
		if *n.to, err = parseMode(n.flag, n.value, n.also...); err != nil {
			return m, err
		}
	}
	return m, nil
}

// userMode reads --userns. That each container has ids of its own is the default: podman's auto.
func (o *modeOptions) userMode() (string, error) {
	switch kind, _, _ := strings.Cut(o.userns, ":"); kind {
	case modeAuto:
		if rootless.Inside() {
			return "", errors.New("--userns auto cannot be had: the containers of an ordinary user share his subordinate ids, in user namespaces of their own")
		}
		if o.userns != modeAuto {
			return "", fmt.Errorf("--userns %s cannot be had: auto takes no options here, a container's ids are 0-65535", o.userns)
		}
		return "", nil
	case "keep-id", "nomap":
		return "", hint.With(fmt.Errorf("--userns %s cannot be had: an image's files have the owners that the image says, and an ordinary user may not have them shifted by an idmapped mount", o.userns),
			"files of a -v mount belong to root in the container, who is you:  deckhand run -u root ...")
	}
	return parseMode("userns", o.userns)
}

// shareNamespaces puts the modes into the container's configuration.
func (a *app) shareNamespaces(s *store.Store, o *runOptions, cfg *engine.Config) error {
	m, err := o.modes.modes(o.network)
	if err != nil || m == (engine.Modes{}) {
		return err
	}
	if err := o.checkModes(m); err != nil {
		return err
	}
	if m.User == engine.HostMode && !rootless.Inside() {
		a.note("deckhand: warning: with --userns host the container's users are the host's: root in it is root of the host")
	}
	cfg.Modes = m
	if m.Donor() == "" {
		return nil
	}
	donor, err := a.resolveModes(s, &cfg.Modes)
	if err != nil {
		return err
	}
	if m.User == "" && o.modes.userns != "" {
		return errors.New("--userns contradicts a namespace of another container, which belongs to that container's user namespace: leave it out")
	}
	cfg.Modes.User = engine.ContainerMode + donor.ID
	return shareHostname(donor, cfg)
}

// resolveModes replaces names by ids. All are of one container: a namespace belongs to its container's user namespace,
// and a process is in one only.
func (a *app) resolveModes(s *store.Store, m *engine.Modes) (*store.Container, error) {
	var donor *store.Container
	for _, to := range [...]*string{&m.User, &m.Network, &m.PID, &m.IPC, &m.UTS, &m.Cgroup} {
		name, ok := strings.CutPrefix(*to, engine.ContainerMode)
		if !ok {
			continue
		}
		rec, err := a.findContainer(s, name)
		if err != nil {
			return nil, err
		}
		if donor != nil && donor.ID != rec.ID {
			return nil, fmt.Errorf("the namespaces of two containers cannot be joined at once, %s and %s: each has a user namespace of its own", donor.Name, rec.Name)
		}
		donor = rec
		*to = engine.ContainerMode + rec.ID
	}
	if m.User == engine.HostMode {
		return nil, errors.New("--userns host contradicts a namespace of another container, which belongs to that container's user namespace: leave it out")
	}
	return donor, nil
}

// shareHostname takes on the name of the container whose network or UTS namespace is shared.
func shareHostname(donor *store.Container, cfg *engine.Config) error {
	if cfg.Modes.Network == "" && !strings.HasPrefix(cfg.Modes.UTS, engine.ContainerMode) {
		return nil
	}
	theirs, err := engine.ConfigOf(donor)
	cfg.Spec.Hostname = theirs.Spec.Hostname
	return err
}

// checkModes refuses what contradicts a shared namespace, in docker's words.
func (o *runOptions) checkModes(m engine.Modes) error {
	for _, c := range [...]struct {
		conflict bool
		what     string
	}{
		{o.hostname != "" && m.UTS != "", "hostname and the UTS mode"},
		{o.hostname != "" && m.Network != "", "hostname and the network mode"},
		{len(o.publish) > 0 && m.Network != "", "port publishing and the container type network mode"},
		{len(o.names.servers)+len(o.names.search)+len(o.names.options) > 0 && m.Network != "", "dns and the network mode"},
		{len(o.names.hosts) > 0 && m.Network != "", "custom host-to-IP mapping and the network mode"},
		{o.process.shm != 0 && o.sharesShm(m), "shm-size and the IPC mode"},
		{o.init && m.PID != "", "init and the PID mode: it is not the first process there"},
	} {
		if c.conflict {
			return errors.New("conflicting options: " + c.what)
		}
	}
	return nil
}

func (o *runOptions) sharesShm(m engine.Modes) bool {
	return m.IPC != "" && m.IPC != engine.ShareableMode
}

// networkName is the network's name in what is shown.
func networkName(cfg *engine.Config) string {
	if cfg.Modes.Network != "" {
		return cfg.Modes.Network
	}
	return string(cfg.Network)
}

// ownNetwork is the part of --network that is not another container.
func ownNetwork(value string) (network.Mode, error) {
	switch {
	case strings.HasPrefix(value, engine.ContainerMode):
		return network.None, nil // there is nothing to set up
	case value == modePrivate:
		return networkMode("")
	}
	return networkMode(value)
}

// enterFor is enterBeside for a container that is to be.
func (a *app) enterFor(ctx context.Context, o *runOptions) error {
	modes, err := o.modes.modes(o.network)
	if err != nil {
		return err
	}
	return a.enterBeside(ctx, modes.Donor())
}

// enterBeside has an ordinary user's deckhand enter the user namespace of the container whose namespaces are to be
// joined, instead of making one of its own.
func (a *app) enterBeside(ctx context.Context, donor string) error {
	if donor == "" || os.Geteuid() == 0 {
		return nil
	}
	s, err := a.outerStore(ctx)
	if err != nil {
		return err
	}
	rec, err := a.findContainer(s, donor)
	if err != nil {
		return err
	}
	st, err := s.State(rec.ID)
	if err != nil {
		return err
	}
	if st.Status != engine.StatusRunning {
		return fmt.Errorf("cannot join a namespace of container %s, which %w", rec.Name, engine.ErrNotRunning)
	}
	return rootless.EnterOf(st.MonitorPid)
}

// enterBesideDonorOf is enterBeside for a container that is there.
func (a *app) enterBesideDonorOf(ctx context.Context, name string) error {
	if os.Geteuid() == 0 {
		return nil
	}
	s, err := a.outerStore(ctx)
	if err != nil {
		return err
	}
	rec, err := a.findContainer(s, name)
	if err != nil {
		return nil //nolint:nilerr // whoever starts it reports it
	}
	cfg, err := engine.ConfigOf(rec)
	if err != nil {
		return err
	}
	return a.enterBeside(ctx, cfg.Modes.Donor())
}
