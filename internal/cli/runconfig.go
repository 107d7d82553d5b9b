package cli

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"strings"

	"github.com/deckhand-engine/deckhand/internal/engine"
	"github.com/deckhand-engine/deckhand/internal/hint"
	"github.com/deckhand-engine/deckhand/internal/linux/caps"
	"github.com/deckhand-engine/deckhand/internal/linux/rootless"
	"github.com/deckhand-engine/deckhand/internal/network"
	"github.com/deckhand-engine/deckhand/internal/store"
	"github.com/deckhand-engine/deckhand/oci"
)

// containerConfig joins the flags with the image's configuration; command is what ps shows.
func (a *app) containerConfig(o *runOptions, img *store.Image, args []string) (cfg engine.Config, command []string, err error) {
	ic := &img.Config.Config
	command, err = o.command(ic.Entrypoint, ic.Cmd, args)
	if err != nil {
		return cfg, nil, err
	}
	cfg = engine.Config{
		User:        firstOf(o.user, ic.User),
		Init:        o.init,
		OpenStdin:   o.interactive,
		StopSignal:  firstOf(o.stopSignal, ic.StopSignal),
		StopSeconds: o.stopTimeout,
		SecurityOpt: o.security,
	}
	if _, err := engine.ParseSignal(firstOf(cfg.StopSignal, "SIGTERM")); err != nil {
		return cfg, nil, err
	}
	if cfg.Labels, err = o.labelMap(ic.Labels); err != nil {
		return cfg, nil, err
	}
	if cfg.Spec, err = o.spec(ic.Env, ic.WorkingDir); err != nil {
		return cfg, nil, err
	}
	cfg.Spec.Args = command
	if cfg.GroupAdd, err = keepGroups(&cfg.Spec, o.groupAdd); err != nil {
		return cfg, nil, err
	}
	if cfg.Limits, err = o.limits.limits(); err != nil {
		return cfg, nil, err
	}
	if err := o.mounts(&cfg, ic.Volumes); err != nil {
		return cfg, nil, err
	}
	if err := o.process.apply(&cfg); err != nil {
		return cfg, nil, err
	}
	return cfg, command, a.networkConfig(o, &cfg)
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// command is the entrypoint with its arguments. --entrypoint drops the image's CMD as well.
func (o *runOptions) command(entrypoint, cmd, args []string) ([]string, error) {
	if o.entrypointSet {
		entrypoint, cmd = nil, nil
		if o.entrypoint != "" {
			entrypoint = []string{o.entrypoint}
		}
	}
	if len(args) > 0 {
		cmd = args
	}
	all := append(append([]string(nil), entrypoint...), cmd...)
	if len(all) == 0 {
		return nil, hint.With(errors.New("no command specified: the image has neither ENTRYPOINT nor CMD"),
			"name one after the image:  deckhand run IMAGE COMMAND")
	}
	return all, nil
}

func (o *runOptions) labelMap(image map[string]string) (map[string]string, error) {
	if len(image)+len(o.labels) == 0 {
		return nil, nil
	}
	m := make(map[string]string, len(image)+len(o.labels))
	maps.Copy(m, image)
	for _, l := range o.labels {
		k, v, _ := strings.Cut(l, "=")
		if k == "" {
			return nil, fmt.Errorf("invalid label %q: it has no name", l)
		}
		m[k] = v
	}
	return m, nil
}

// spec is the part of the configuration that the OCI spec is made from.
func (o *runOptions) spec(imageEnv []string, imageDir string) (oci.SpecOptions, error) {
	env, err := o.environment()
	if err != nil {
		return oci.SpecOptions{}, err
	}
	if o.workdir != "" && !path.IsAbs(o.workdir) {
		return oci.SpecOptions{}, fmt.Errorf("the working directory '%s' is invalid, it needs to be an absolute path", o.workdir)
	}
	s := oci.SpecOptions{
		Env:            oci.MergeEnv(imageEnv, env),
		Cwd:            path.Clean(firstOf(o.workdir, absolute(imageDir))),
		Hostname:       o.hostname,
		Terminal:       o.tty,
		ReadonlyRootfs: o.readOnly,
		CapAdd:         o.capAdd,
		CapDrop:        o.capDrop,
		Privileged:     o.process.privileged,
	}
	if s.Sysctls, err = o.sysctlMap(); err != nil {
		return s, err
	}
	granted, err := caps.Resolve(caps.Docker, s.Added(), o.capDrop)
	if err != nil {
		return s, err
	}
	return s, applySecurity(&s, o.security, granted)
}

// sysctlMap reads --sysctl; the last of a name wins. The network's part is checked when it is known.
func (o *runOptions) sysctlMap() (map[string]string, error) {
	if len(o.sysctls) == 0 {
		return nil, nil
	}
	m := make(map[string]string, len(o.sysctls))
	for _, s := range o.sysctls {
		name, value, _ := strings.Cut(s, "=")
		if err := oci.CheckSysctl(name, value, o.network == string(network.Host)); err != nil {
			return nil, err
		}
		m[name] = value
	}
	return m, nil
}

// absolute makes an image's working directory one from the root.
func absolute(dir string) string { return path.Join("/", dir) }

func (a *app) networkConfig(o *runOptions, cfg *engine.Config) error {
	mode, err := ownNetwork(o.network)
	if err != nil {
		return err
	}
	if cfg.Names, err = o.names.names(); err != nil {
		return err
	}
	cfg.Network = mode
	for _, p := range o.publish {
		ports, err := network.ParsePorts(p)
		if err != nil {
			return err
		}
		cfg.Ports = append(cfg.Ports, ports...)
	}
	if len(cfg.Ports) > 0 && (mode == network.Host || mode == network.None) {
		a.note("WARNING: published ports are discarded with --network %s", mode)
		cfg.Ports = nil
	}
	return nil
}

// networkMode reads --network.
func networkMode(s string) (network.Mode, error) {
	switch m := network.Mode(s); m {
	case network.None, network.Host, network.Bridge, network.Pasta:
		return m, nil
	case "", "default":
		if rootless.Inside() {
			return network.Pasta, nil
		}
		return network.Bridge, nil
	}
	return "", hint.With(fmt.Errorf("network %s not found", s), "one of:  none, host, bridge, pasta, container:NAME")
}

// defaultHostname is the short id, or the host's name where its UTS name is expected.
func defaultHostname(cfg engine.Config, id string) string {
	if cfg.Network == network.Host || cfg.Modes.UTS == engine.HostMode {
		if h, err := os.Hostname(); err == nil {
			return h
		}
	}
	return shortID(id)
}

// shortID is the form in which docker shows ids.
func shortID(id string) string {
	id = strings.TrimPrefix(id, "sha256:")
	return id[:min(12, len(id))]
}
