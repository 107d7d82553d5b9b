package cli

import (
	"path/filepath"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/deckhand-engine/deckhand/internal/engine"
	"github.com/deckhand-engine/deckhand/internal/store"
)

// containerReport is a container as docker inspect shows it.
type containerReport struct {
	ID              string           `json:"Id"`
	Created         string           `json:"Created"`
	Path            string           `json:"Path"`
	Args            []string         `json:"Args"`
	State           stateReport      `json:"State"`
	Image           string           `json:"Image"`
	ResolvConfPath  string           `json:"ResolvConfPath"`
	HostnamePath    string           `json:"HostnamePath"`
	HostsPath       string           `json:"HostsPath"`
	LogPath         string           `json:"LogPath"`
	Name            string           `json:"Name"`
	RestartCount    int              `json:"RestartCount"`
	Driver          string           `json:"Driver"`
	Platform        string           `json:"Platform"`
	HostConfig      hostConfigReport `json:"HostConfig"`
	Mounts          []mountReport    `json:"Mounts"`
	Config          configReport     `json:"Config"`
	NetworkSettings networkReport    `json:"NetworkSettings"`
	ResolvedUser    string           `json:"ResolvedUser"` // uid:gid that the process got; not docker's
}

type stateReport struct {
	Status     string `json:"Status"`
	Running    bool   `json:"Running"`
	Paused     bool   `json:"Paused"`
	Restarting bool   `json:"Restarting"`
	OOMKilled  bool   `json:"OOMKilled"`
	Dead       bool   `json:"Dead"`
	Pid        int    `json:"Pid"`
	ExitCode   int    `json:"ExitCode"`
	Error      string `json:"Error"`
	StartedAt  string `json:"StartedAt"`
	FinishedAt string `json:"FinishedAt"`
}

type hostConfigReport struct {
	NetworkMode    string   `json:"NetworkMode"`
	AutoRemove     bool     `json:"AutoRemove"`
	CapAdd         []string `json:"CapAdd"`
	CapDrop        []string `json:"CapDrop"`
	GroupAdd       []string `json:"GroupAdd"`
	Privileged     bool     `json:"Privileged"`
	ReadonlyRootfs bool     `json:"ReadonlyRootfs"`
	SecurityOpt    []string `json:"SecurityOpt"`
	Init           bool     `json:"Init"`
	limitsReport
	modesReport

	Sysctls map[string]string `json:"Sysctls,omitempty"`
	Profile string            `json:"Profile,omitempty"` // directory of the profile it obeys; not docker's
}

type mountReport struct {
	Type        string `json:"Type"`
	Name        string `json:"Name,omitempty"`   // of a volume
	Driver      string `json:"Driver,omitempty"` // likewise
	Source      string `json:"Source"`
	Destination string `json:"Destination"`
	Mode        string `json:"Mode"`
	RW          bool   `json:"RW"`
}

type networkReport struct {
	IPAddress string                    `json:"IPAddress"`
	Ports     map[string][]portBinding  `json:"Ports"`
	Networks  map[string]endpointReport `json:"Networks"`
}

type portBinding struct {
	HostIP   string `json:"HostIp"`
	HostPort string `json:"HostPort"`
}

type endpointReport struct {
	IPAddress string `json:"IPAddress"`
}

func inspectContainer(s *store.Store, c *store.Container) (*containerReport, error) {
	st, err := s.State(c.ID)
	if err != nil {
		return nil, err
	}
	cfg, err := engine.ConfigOf(c)
	if err != nil {
		return nil, err
	}
	dir := s.ContainerDir(c.ID)
	r := &containerReport{
		ID: c.ID, Created: dockerTime(c.Created), Args: []string{}, Image: c.ImageID, Name: "/" + c.Name,
		ResolvConfPath: filepath.Join(dir, "resolv.conf"), HostnamePath: filepath.Join(dir, "hostname"),
		HostsPath: filepath.Join(dir, "hosts"), LogPath: filepath.Join(dir, engine.LogName),
		Driver: "overlay", Platform: "linux", State: stateOf(st), Mounts: append(mountsOf(cfg.Spec.Mounts), volumesOf(s, cfg.Named)...),
		HostConfig: hostConfigOf(c, cfg), Config: containerConfig(c, cfg), ResolvedUser: st.User,
		NetworkSettings: networkReport{
			IPAddress: st.IP, Ports: portsOf(st.Ports),
			Networks: networksOf(&cfg, st),
		},
	}
	if len(c.Command) > 0 {
		r.Path, r.Args = c.Command[0], c.Command[1:]
	}
	return r, nil
}

func stateOf(st store.State) stateReport {
	return stateReport{
		Status: st.Status, Running: st.Status == statusRunning, Pid: st.Pid, ExitCode: st.ExitCode,
		Error: st.Error, OOMKilled: st.OOMKilled, StartedAt: dockerTime(st.Started), FinishedAt: dockerTime(st.Finished),
	}
}

func hostConfigOf(c *store.Container, cfg engine.Config) hostConfigReport {
	h := hostConfigReport{
		NetworkMode: networkName(&cfg), AutoRemove: c.AutoRemove, CapAdd: cfg.Spec.CapAdd, CapDrop: cfg.Spec.CapDrop,
		GroupAdd: cfg.GroupAdd, Privileged: cfg.Spec.Privileged, ReadonlyRootfs: cfg.Spec.ReadonlyRootfs,
		SecurityOpt: securityOf(&cfg), Init: cfg.Init, Sysctls: cfg.Spec.Sysctls, Profile: cfg.Profile,
		limitsReport: limitsOf(cfg.Limits), modesReport: modesOf(&cfg),
	}
	return h
}

func containerConfig(c *store.Container, cfg engine.Config) configReport {
	return configReport{
		Hostname: cfg.Spec.Hostname, User: cfg.User, Tty: cfg.Spec.Terminal, OpenStdin: cfg.OpenStdin,
		Env: cfg.Spec.Env, Cmd: c.Command, Image: c.Image, WorkingDir: cfg.Spec.Cwd, Labels: cfg.Labels,
		StopSignal: cfg.StopSignal,
	}
}

func mountsOf(mounts []specs.Mount) []mountReport {
	out := make([]mountReport, 0, len(mounts))
	for _, m := range mounts {
		r := mountReport{Type: m.Type, Source: m.Source, Destination: m.Destination, RW: true}
		if r.Type == "" || r.Type == "none" {
			r.Type = "bind"
		}
		for _, o := range m.Options {
			if o == "ro" {
				r.RW, r.Mode = false, "ro"
			}
		}
		out = append(out, r)
	}
	return out
}

func volumesOf(s *store.Store, named []engine.NamedVolume) []mountReport {
	out := make([]mountReport, 0, len(named))
	for _, n := range named {
		r := mountReport{
			Type: typeVolume, Name: n.Name, Driver: localDriver, Source: s.VolumeDir(n.Name), Destination: n.Path, RW: !n.ReadOnly,
		}
		if n.ReadOnly {
			r.Mode = "ro"
		}
		out = append(out, r)
	}
	return out
}

// portsOf reads "0.0.0.0:8080->80/tcp" into docker's map from container port to host addresses.
func portsOf(ports []string) map[string][]portBinding {
	out := map[string][]portBinding{}
	for _, p := range ports {
		host, inner, ok := strings.Cut(p, "->")
		if !ok {
			out[p] = nil
			continue
		}
		i := strings.LastIndexByte(host, ':')
		if i < 0 {
			out[inner] = append(out[inner], portBinding{HostPort: host})
			continue
		}
		out[inner] = append(out[inner], portBinding{strings.Trim(host[:i], "[]"), host[i+1:]})
	}
	return out
}
