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
			Namespaces:      []string{"cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"},
			Capabilities:    caps.All(),
			Cgroup:          &features.Cgroup{V1: &yes, V2: &yes, Systemd: &no, SystemdUser: &no, Rdma: &yes},
			Seccomp:         seccompFeatures(),
			Apparmor:        &features.Apparmor{Enabled: &yes},
			Selinux:         &features.Selinux{Enabled: &yes},
			IntelRdt:        &features.IntelRdt{Enabled: &no},
			MemoryPolicy:    memoryPolicyFeatures(),
			MountExtensions: &features.MountExtensions{IDMap: &features.IDMap{Enabled: &yes}},
			NetDevices:      &features.NetDevices{Enabled: &yes},
		},
	}
	for _, p := range hookPoints(&specs.Hooks{}) {
		f.Hooks = append(f.Hooks, p.name)
	}
	return f
}

// mountOptions are those that are not the file system's.
func mountOptions() []string {
	list := []string{
		"bind", "rbind", "defaults", "idmap", "ridmap", "remount", "tmpcopyup", "async", "silent", "loud", "sync", "dirsync",
		"lazytime", "nolazytime", "mand", "nomand", "iversion", "noiversion",
	}
	for _, attribute := range [...]string{
		"ro", "rw", "nosuid", "suid", "nodev", "dev", "noexec", "exec", "nodiratime", "diratime", "nosymfollow", "symfollow",
		"relatime", "norelatime", "noatime", "atime", "strictatime", "nostrictatime",
	} {
		list = append(list, attribute, "r"+attribute)
	}
	for _, propagation := range [...]string{"private", "slave", "shared", "unbindable"} {
		list = append(list, propagation, "r"+propagation)
	}
	return list
}

func memoryPolicyFeatures() *features.MemoryPolicy {
	f := &features.MemoryPolicy{}
	for _, m := range [...]specs.MemoryPolicyModeType{
		specs.MpolDefault, specs.MpolPreferred, specs.MpolBind, specs.MpolInterleave, specs.MpolLocal, specs.MpolPreferredMany,
		specs.MpolWeightedInterleave,
	} {
		f.Modes = append(f.Modes, string(m))
	}
	for _, flag := range [...]specs.MemoryPolicyFlagType{
		specs.MpolFNumaBalancing, specs.MpolFRelativeNodes, specs.MpolFStaticNodes,
	} {
		f.Flags = append(f.Flags, string(flag))
	}
	return f
}

func seccompFeatures() *features.Seccomp {
	yes := true
	f := &features.Seccomp{Enabled: &yes, Archs: []string{string(specs.ArchX86), string(specs.ArchX86_64), string(specs.ArchX32)}}
	if goruntime.GOARCH == "arm64" {
		f.Archs = []string{string(specs.ArchARM), string(specs.ArchAARCH64)}
	}
	for _, a := range [...]specs.LinuxSeccompAction{
		specs.ActAllow, specs.ActErrno, specs.ActKill, specs.ActKillProcess, specs.ActKillThread, specs.ActLog, specs.ActNotify,
		specs.ActTrace, specs.ActTrap,
	} {
		f.Actions = append(f.Actions, string(a))
	}
	for _, op := range [...]specs.LinuxSeccompOperator{
		specs.OpEqualTo, specs.OpGreaterEqual, specs.OpGreaterThan, specs.OpLessEqual, specs.OpLessThan, specs.OpMaskedEqual,
		specs.OpNotEqual,
	} {
		f.Operators = append(f.Operators, string(op))
	}
	for _, flag := range [...]specs.LinuxSeccompFlag{
		"SECCOMP_FILTER_FLAG_TSYNC", specs.LinuxSeccompFlagLog, specs.LinuxSeccompFlagSpecAllow, specs.LinuxSeccompFlagWaitKillableRecv,
	} {
		f.KnownFlags = append(f.KnownFlags, string(flag))
	}
	f.SupportedFlags = f.KnownFlags
	return f
}
