package cli

import (
	"math"
	"slices"
	"strings"

	"github.com/deckhand-engine/deckhand/internal/engine"
	"github.com/deckhand-engine/deckhand/internal/store"
)

// modesReport is what docker inspect shows of namespaces, devices and the like.
type modesReport struct {
	PidMode      string         `json:"PidMode"`
	IpcMode      string         `json:"IpcMode"`
	UTSMode      string         `json:"UTSMode"`
	UsernsMode   string         `json:"UsernsMode"`
	CgroupnsMode string         `json:"CgroupnsMode"`
	ShmSize      int64          `json:"ShmSize"`
	OomScoreAdj  int            `json:"OomScoreAdj"`
	Ulimits      []ulimitReport `json:"Ulimits"`
	Devices      []deviceReport `json:"Devices"`
	DNS          []string       `json:"Dns"`
	DNSOptions   []string       `json:"DnsOptions"`
	DNSSearch    []string       `json:"DnsSearch"`
	ExtraHosts   []string       `json:"ExtraHosts"`
	KeepGroups   bool           `json:"KeepGroups,omitempty"` // --group-add keep-groups; not docker's
}

type ulimitReport struct {
	Name string `json:"Name"`
	Hard int64  `json:"Hard"` // -1: unlimited
	Soft int64  `json:"Soft"`
}

type deviceReport struct {
	PathOnHost        string `json:"PathOnHost"`
	PathInContainer   string `json:"PathInContainer"`
	CgroupPermissions string `json:"CgroupPermissions"`
}

func modesOf(cfg *engine.Config) modesReport {
	m, s := cfg.Modes, &cfg.Spec
	r := modesReport{
		PidMode: m.PID, IpcMode: firstOf(m.IPC, modePrivate), UTSMode: m.UTS, UsernsMode: m.User,
		CgroupnsMode: firstOf(m.Cgroup, modePrivate), ShmSize: s.ShmBytes, Devices: []deviceReport{}, Ulimits: []ulimitReport{},
		DNS: listed(cfg.Names.Servers), DNSOptions: listed(cfg.Names.Options), DNSSearch: listed(cfg.Names.Search),
		ExtraHosts: listed(cfg.Names.Hosts), KeepGroups: s.KeepGroups,
	}
	if r.ShmSize == 0 {
		r.ShmSize = 64 << 20
	}
	if s.OOMScoreAdj != nil {
		r.OomScoreAdj = *s.OOMScoreAdj
	}
	for _, l := range s.Rlimits {
		r.Ulimits = append(r.Ulimits, ulimitReport{engine.UlimitName(l), reportLimit(l.Hard), reportLimit(l.Soft)})
	}
	for _, d := range cfg.Devices {
		r.Devices = append(r.Devices, deviceReport{d.PathOnHost, d.PathInContainer, d.Access})
	}
	return r
}

// listed is never null in JSON.
func listed(of []string) []string { return append([]string{}, of...) }

// reportLimit is a limit as docker has it: a signed number.
func reportLimit(n uint64) int64 {
	if n > math.MaxInt64 {
		return -1
	}
	return int64(n)
}

// securityOf are the options as typed, and what holds without any.
func securityOf(cfg *engine.Config) []string {
	opts := listed(cfg.SecurityOpt)
	said := func(key string) bool {
		return slices.ContainsFunc(opts, func(o string) bool { return strings.HasPrefix(o, key) })
	}
	if !cfg.Spec.NewPrivileges && !cfg.Spec.Privileged && !said("no-new-privileges") {
		opts = append([]string{"no-new-privileges"}, opts...)
	}
	if cfg.Spec.SeccompUnconfined && !said("seccomp") {
		opts = append(opts, "seccomp=unconfined")
	}
	return opts
}

// networksOf is empty where the network is another container's, as docker's.
func networksOf(cfg *engine.Config, st store.State) map[string]endpointReport {
	if cfg.Modes.Network != "" {
		return map[string]endpointReport{}
	}
	return map[string]endpointReport{string(cfg.Network): {st.IP}}
}
