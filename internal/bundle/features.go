package bundle

import (
	goruntime "runtime"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/opencontainers/runtime-spec/specs-go/features"

	"github.com/deckhand-engine/deckhand/internal/linux/caps"
)

// Features says what of the specification this runtime carries out, whatever the machine has
// (runtime-spec, features.md).
func Features() *features.Features {
	yes, no := true, false
	f := &features.Features{
		OCIVersionMin: "1.0.0",
		OCIVersionMax: specs.Version,
		MountOptions:  mountOptions(),
		Linux: &features.Linux{
			Namespaces:      []string{"cgroup", "ipc", "mount", "network", "pid", "user", "uts"},
			Capabilities:    caps.All(),
			Cgroup:          &features.Cgroup{V1: &yes, V2: &yes, Systemd: &no, SystemdUser: &no, Rdma: &yes},
			Seccomp:         seccompFeatures(),
			Apparmor:        &features.Apparmor{Enabled: &no},
			Selinux:         &features.Selinux{Enabled: &no},
			IntelRdt:        &features.IntelRdt{Enabled: &no},
			MountExtensions: &features.MountExtensions{IDMap: &features.IDMap{Enabled: &yes}},
			NetDevices:      &features.NetDevices{Enabled: &no},
		},
	}
	for _, p := range hookPoints(&specs.Hooks{}) {
		f.Hooks = append(f.Hooks, p.name)
	}
	return f
}

// mountOptions are those that are not the file system's.
func mountOptions() []string {
	list := []string{"bind", "rbind", "defaults", "idmap", "ridmap"}
	for _, attribute := range [...]string{
		"ro", "rw", "nosuid", "suid", "nodev", "dev", "noexec", "exec", "nodiratime", "diratime", "nosymfollow", "symfollow",
		"relatime", "noatime", "strictatime",
	} {
		list = append(list, attribute, "r"+attribute)
	}
	for _, propagation := range [...]string{"private", "slave", "shared", "unbindable"} {
		list = append(list, propagation, "r"+propagation)
	}
	return list
}

func seccompFeatures() *features.Seccomp {
	yes := true
	f := &features.Seccomp{Enabled: &yes, Archs: []string{string(specs.ArchX86_64)}}
	if goruntime.GOARCH == "arm64" {
		f.Archs = []string{string(specs.ArchAARCH64)}
	}
	for _, a := range [...]specs.LinuxSeccompAction{
		specs.ActAllow, specs.ActErrno, specs.ActKill, specs.ActKillProcess, specs.ActKillThread, specs.ActLog, specs.ActTrace,
		specs.ActTrap,
	} {
		f.Actions = append(f.Actions, string(a))
	}
	for _, op := range [...]specs.LinuxSeccompOperator{
		specs.OpEqualTo, specs.OpGreaterEqual, specs.OpGreaterThan, specs.OpLessEqual, specs.OpLessThan, specs.OpMaskedEqual,
		specs.OpNotEqual,
	} {
		f.Operators = append(f.Operators, string(op))
	}
	for _, flag := range [...]specs.LinuxSeccompFlag{specs.LinuxSeccompFlagLog, specs.LinuxSeccompFlagSpecAllow} {
		f.KnownFlags = append(f.KnownFlags, string(flag))
	}
	f.SupportedFlags = f.KnownFlags
	return f
}
