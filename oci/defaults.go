package oci

import (
	"path"
	"slices"
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// namespaces lists a container's own namespaces: all of them but time, and what is shared.
func (o SpecOptions) namespaces() []specs.LinuxNamespace {
	own := make([]specs.LinuxNamespace, 0, 7)
	for _, kind := range [...]specs.LinuxNamespaceType{
		specs.UserNamespace, specs.MountNamespace, specs.PIDNamespace, specs.IPCNamespace, specs.UTSNamespace,
		specs.CgroupNamespace, specs.NetworkNamespace,
	} {
		if kind == specs.NetworkNamespace && o.HostNetwork {
			continue
		}
		if at, shared := o.SharedNamespace(kind); !shared || at != "" {
			own = append(own, specs.LinuxNamespace{Type: kind, Path: at})
		}
	}
	return own
}

// SharedNamespace finds a namespace that is not the container's own: its path, "" where it is the host's.
func (o SpecOptions) SharedNamespace(kind specs.LinuxNamespaceType) (at string, ok bool) {
	for _, n := range o.Shared {
		if n.Type == kind {
			return n.Path, true
		}
	}
	return "", false
}

func (o SpecOptions) shares(kind specs.LinuxNamespaceType) bool {
	_, ok := o.SharedNamespace(kind)
	return ok
}

// lends reports whether a namespace is the host's while the user namespace is not: file systems that belong to such a
// one cannot be mounted, only bound.
func (o SpecOptions) lends(kind specs.LinuxNamespaceType) bool {
	at, ok := o.SharedNamespace(kind)
	user, host := o.SharedNamespace(specs.UserNamespace)
	return ok && at == "" && (!host || user != "")
}

// defaultMounts are docker's. With the host's network the kernel allows no sysfs of our own (it belongs to
// the network namespace), so the host's is bound read-only; likewise for the others.
func (o SpecOptions) defaultMounts() []specs.Mount {
	proc := specs.Mount{Destination: "/proc", Type: "proc", Source: "proc", Options: []string{"nosuid", "noexec", "nodev"}}
	if o.lends(specs.PIDNamespace) {
		proc = lent("/proc")
		proc.Options = append(proc.Options, "rslave")
	}
	mounts := []specs.Mount{
		proc,
		{Destination: "/dev", Type: "tmpfs", Source: "tmpfs", Options: []string{"nosuid", "noexec", "strictatime", "mode=755", "size=65536k"}},
		{Destination: "/dev/pts", Type: "devpts", Source: "devpts", Options: []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
		o.sysMount(),
		o.cgroupMount(),
	}
	return append(mounts, o.ipcMounts()...)
}

// lent is a file system of the host's.
func lent(dir string, more ...string) specs.Mount {
	return specs.Mount{
		Destination: dir, Type: "bind", Source: dir,
		Options: append([]string{"rbind", "nosuid", "noexec", "nodev"}, more...),
	}
}

func (o SpecOptions) sysMount() specs.Mount {
	if o.HostNetwork || o.lends(specs.NetworkNamespace) {
		return lent("/sys", "ro", "rro")
	}
	m := specs.Mount{Destination: "/sys", Type: "sysfs", Source: "sysfs", Options: []string{"nosuid", "noexec", "nodev"}}
	if !o.Privileged {
		m.Options = append(m.Options, "ro")
	}
	return m
}

func (o SpecOptions) cgroupMount() specs.Mount {
	if o.lends(specs.CgroupNamespace) {
		return lent("/sys/fs/cgroup", "ro", "rro")
	}
	m := specs.Mount{Destination: "/sys/fs/cgroup", Type: "cgroup", Source: "cgroup", Options: []string{"nosuid", "noexec", "nodev"}}
	if !o.Privileged {
		m.Options = append([]string{"ro"}, m.Options...)
	}
	return m
}

// ipcMounts are what belongs to the IPC namespace. What is shared of another container, the caller mounts.
func (o SpecOptions) ipcMounts() []specs.Mount {
	at, shared := o.SharedNamespace(specs.IPCNamespace)
	if o.lends(specs.IPCNamespace) {
		return []specs.Mount{lent("/dev/mqueue"), lent("/dev/shm")}
	}
	mounts := []specs.Mount{
		{Destination: "/dev/mqueue", Type: "mqueue", Source: "mqueue", Options: []string{"nosuid", "noexec", "nodev"}},
	}
	if shared && at == "" {
		return append(mounts, lent("/dev/shm"))
	}
	if o.NoShm || shared {
		return mounts
	}
	size := "size=65536k"
	if o.ShmBytes != 0 {
		size = "size=" + strconv.FormatInt(o.ShmBytes, 10)
	}
	return append(mounts, specs.Mount{
		Destination: "/dev/shm", Type: "tmpfs", Source: "shm", Options: []string{"nosuid", "noexec", "nodev", "mode=1777", size},
	})
}

// protectedPaths are those that are hidden, and those that may only be read.
func (o SpecOptions) protectedPaths() (masked, readonly []string) {
	if !o.UnmaskSystemPaths && !o.Privileged {
		masked, readonly = o.without(maskedPaths()), o.without(readonlyPaths())
	}
	return append(masked, o.Masked...), readonly
}

// without leaves out what is not to be masked.
func (o SpecOptions) without(paths []string) []string {
	if len(o.Unmasked) == 0 {
		return paths
	}
	return slices.DeleteFunc(paths, func(p string) bool {
		return slices.ContainsFunc(o.Unmasked, func(pattern string) bool {
			match, _ := path.Match(pattern, p) // a bad pattern was refused
			return match || pattern == UnmaskAll
		})
	})
}

// UnmaskAll in SpecOptions.Unmasked stands for every path.
const UnmaskAll = "ALL"

// maskedPaths are hidden from the container, as docker hides them.
func maskedPaths() []string {
	return []string{
		"/proc/acpi",
		"/proc/asound",
		"/proc/interrupts",
		"/proc/kcore",
		"/proc/keys",
		"/proc/latency_stats",
		"/proc/sched_debug",
		"/proc/scsi",
		"/proc/timer_list",
		"/proc/timer_stats",
		"/sys/devices/virtual/powercap",
		"/sys/firmware",
	}
}

// readonlyPaths may be read only, as docker has it.
func readonlyPaths() []string {
	return []string{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}
}
