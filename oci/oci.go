// Package oci makes runtime-spec configurations with Deckhand's defaults and resolves users inside a root.
//
// It decides policy that is the same for every container (namespaces, masked paths, capabilities, the
// environment); it starts nothing and reads nothing but etc/passwd and etc/group of the root it is given.
package oci

import (
	"fmt"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/deckhand-engine/deckhand/internal/linux/caps"
	"github.com/deckhand-engine/deckhand/internal/linux/seccomp"
)

// DefaultPath is PATH where the image sets none, as docker's.
const DefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// SpecOptions are what a caller may choose; the zero value is the strictest container.
type SpecOptions struct {
	Args, Env         []string
	Cwd, Hostname     string
	Terminal          bool
	ConsoleSize       *specs.Box // of the terminal; nil: unknown
	ReadonlyRootfs    bool
	HostNetwork       bool // share the host's network namespace
	NewPrivileges     bool // true: no_new_privs off
	Privileged        bool // every capability of its own namespaces, no filter, nothing masked, no no_new_privs
	CapAdd, CapDrop   []string
	Seccomp           *specs.LinuxSeccomp // nil: Docker's default, resolved for the capabilities
	SeccompUnconfined bool
	SeccompABIs       []string      // other ABIs whose programs may run under the filter: "x86", see seccomp.AllowABI
	Mounts            []specs.Mount // after the default ones
	HostIDBase        uint32        // first host id of the container's range
	IDCount           uint32        // 65536, or 1 in single-id mode
	CgroupsPath       string
	UnmaskSystemPaths bool
	Sysctls           map[string]string `json:",omitempty"` // of the container's own namespaces; they win over the defaults

	Rlimits     []specs.POSIXRlimit    `json:",omitempty"`
	ShmBytes    int64                  `json:",omitempty"` // of /dev/shm; 0: 64 MiB
	OOMScoreAdj *int                   `json:",omitempty"`
	KeepGroups  bool                   `json:",omitempty"` // the caller's supplementary groups instead of the user's
	Shared      []specs.LinuxNamespace `json:",omitempty"` // not the container's own: those of Path; the host's without
	NoShm       bool                   `json:",omitempty"` // no /dev/shm
	Masked      []string               `json:",omitempty"` // paths that are hidden besides the default ones
	Unmasked    []string               `json:",omitempty"` // default ones that are not; "ALL", or patterns of path.Match
	Apparmor    string                 `json:",omitempty"` // profile, "" for none
	Label       string                 `json:",omitempty"` // SELinux's, of processes
	MountLabel  string                 `json:",omitempty"` // and of files
}

// NewSpec makes the config.json. Capabilities are root's; SetUser narrows them. The seccomp profile is
// that of root's capabilities for every user: what it allows beyond, the missing capability refuses.
func NewSpec(o SpecOptions) (*specs.Spec, error) {
	granted, err := caps.Resolve(caps.Docker, o.Added(), o.CapDrop)
	if err != nil {
		return nil, err
	}
	filter, err := o.seccomp(granted)
	if err != nil {
		return nil, err
	}
	sysctls, err := o.sysctls()
	if err != nil {
		return nil, err
	}
	s := &specs.Spec{
		Version: specs.Version,
		Root:    &specs.Root{Path: "rootfs", Readonly: o.ReadonlyRootfs},
		Process: o.process(granted),
		Mounts:  append(o.defaultMounts(), o.Mounts...),
		Linux: &specs.Linux{
			CgroupsPath: o.CgroupsPath,
			Namespaces:  o.namespaces(),
			Sysctl:      sysctls,
			Seccomp:     filter,
			MountLabel:  o.MountLabel,
		},
	}
	if !o.shares(specs.UTSNamespace) {
		s.Hostname = o.Hostname
	}
	if _, ok := o.SharedNamespace(specs.UserNamespace); !ok {
		s.Linux.UIDMappings, s.Linux.GIDMappings = o.idMapping(), o.idMapping()
	}
	if o.KeepGroups {
		s.Annotations = map[string]string{KeepGroupsAnnotation: "1"}
	}
	s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = o.protectedPaths()
	return s, nil
}

// KeepGroupsAnnotation has a runtime leave the supplementary groups as they are; crun knows it too.
const KeepGroupsAnnotation = "run.oci.keep_original_groups"

// Added are the capabilities that were asked for.
func (o SpecOptions) Added() []string {
	if o.Privileged {
		return []string{"ALL"}
	}
	return o.CapAdd
}

func (o SpecOptions) process(granted []string) *specs.Process {
	cwd := o.Cwd
	if cwd == "" {
		cwd = "/"
	}
	return &specs.Process{
		Terminal:        o.Terminal,
		ConsoleSize:     o.ConsoleSize,
		Args:            o.Args,
		Env:             o.environment(),
		Cwd:             cwd,
		NoNewPrivileges: !o.NewPrivileges && !o.Privileged,
		Capabilities:    &specs.LinuxCapabilities{Bounding: granted, Effective: granted, Permitted: granted},
		Rlimits:         o.Rlimits,
		OOMScoreAdj:     o.OOMScoreAdj,
		ApparmorProfile: o.Apparmor,
		SelinuxLabel:    o.Label,
	}
}

func (o SpecOptions) seccomp(granted []string) (*specs.LinuxSeccomp, error) {
	if o.SeccompUnconfined || o.Privileged && o.Seccomp == nil {
		return nil, nil
	}
	p := o.Seccomp
	if p == nil {
		var err error
		if p, err = seccomp.Default(granted); err != nil {
			return nil, fmt.Errorf("make seccomp profile: %w", err)
		}
	}
	if len(o.SeccompABIs) == 0 {
		return p, nil
	}
	wider := *p
	for _, name := range o.SeccompABIs {
		if err := seccomp.AllowABI(&wider, name); err != nil {
			return nil, fmt.Errorf("widen seccomp profile: %w", err)
		}
	}
	return &wider, nil
}

func (o SpecOptions) idMapping() []specs.LinuxIDMapping {
	return []specs.LinuxIDMapping{{ContainerID: 0, HostID: o.HostIDBase, Size: o.idCount()}}
}

// idCount is the number of ids, 65536 where nothing else is said.
func (o SpecOptions) idCount() uint32 {
	if o.IDCount == 0 {
		return 65536
	}
	return o.IDCount
}

// sysctls let an unprivileged user of the container's own network bind low ports and send echo requests.
func (o SpecOptions) sysctls() (map[string]string, error) {
	all := make(map[string]string, 2+len(o.Sysctls))
	if !o.HostNetwork && !o.shares(specs.NetworkNamespace) {
		all[PortStart] = "0"
		all["net.ipv4.ping_group_range"] = fmt.Sprintf("0 %d", o.idCount()-1)
	}
	for name, value := range o.Sysctls {
		if err := o.checkSysctl(name, value); err != nil {
			return nil, err
		}
		all[name] = value
	}
	return all, nil
}

// environment is PATH, HOSTNAME and TERM, overridden by what was given; the last of a name wins.
func (o SpecOptions) environment() []string {
	env := make([]string, 0, len(o.Env)+4)
	env = append(env, "PATH="+DefaultPath)
	if o.Hostname != "" {
		env = append(env, "HOSTNAME="+o.Hostname)
	}
	if o.Terminal {
		env = append(env, "TERM=xterm")
	}
	return MergeEnv(env, o.Env)
}

// MergeEnv adds the variables NAME=value of more to env. A name that is already there keeps its place
// and gets the new value; a name without "=" is removed, as docker's -e NAME without a value in sight.
func MergeEnv(env, more []string) []string {
	at := make(map[string]int, len(env)+len(more))
	out := make([]string, 0, len(env)+len(more))
	for _, e := range append(append([]string(nil), env...), more...) {
		name, _, _ := strings.Cut(e, "=")
		i, seen := at[name]
		if !seen {
			i = len(out)
			at[name] = i
			out = append(out, e)
		}
		out[i] = e
	}
	kept := out[:0]
	for _, e := range out {
		if strings.Contains(e, "=") {
			kept = append(kept, e)
		}
	}
	return kept
}
