package runtime

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// nsFiles are the namespaces' names in /proc/self/ns.
var nsFiles = map[specs.LinuxNamespaceType]string{
	specs.UserNamespace: "user", specs.MountNamespace: "mnt", specs.PIDNamespace: "pid", specs.IPCNamespace: "ipc",
	specs.UTSNamespace: "uts", specs.NetworkNamespace: "net", specs.CgroupNamespace: "cgroup", specs.TimeNamespace: "time",
}

// join has the box join a process's namespaces.
func (b *box) join(pid int, types ...specs.LinuxNamespaceType) {
	for _, typ := range types {
		b.leave(typ)
		add(b.o.Spec, typ, procPath(pid, "ns/"+nsFiles[typ]))
	}
	if slices.Contains(types, specs.UserNamespace) {
		b.o.Spec.Linux.UIDMappings, b.o.Spec.Linux.GIDMappings = nil, nil
	}
}

// leave takes a namespace from the spec.
func (b *box) leave(typ specs.LinuxNamespaceType) {
	l := b.o.Spec.Linux
	l.Namespaces = slices.DeleteFunc(l.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == typ })
	if typ == specs.UserNamespace {
		l.UIDMappings, l.GIDMappings = nil, nil
	}
	if typ == specs.UTSNamespace {
		b.o.Spec.Hostname = ""
	}
}

// namespaceOf is the namespace of a process.
func namespaceOf(t *testing.T, pid int, typ specs.LinuxNamespaceType) string {
	t.Helper()
	link, err := os.Readlink(procPath(pid, "ns/"+nsFiles[typ]))
	if err != nil {
		t.Fatal(err)
	}
	return link
}

// TestJoinNamespaces has a container join namespaces of another, and no more than those.
func TestJoinNamespaces(t *testing.T) {
	const u, p, n, i, h, c, ti = specs.UserNamespace, specs.PIDNamespace, specs.NetworkNamespace, specs.IPCNamespace,
		specs.UTSNamespace, specs.CgroupNamespace, specs.TimeNamespace
	first := newBox(t, "guest", "sleep", "1m")
	add(first.o.Spec, ti, "")
	target := first.start().Pid
	for name, types := range map[string][]specs.LinuxNamespaceType{
		"network": {n}, "user": {u}, "user and network": {u, n}, "pod": {u, i, h, n}, "pid": {u, p}, "time": {u, ti},
		"cgroup": {u, c}, "all but mount": {u, p, n, i, h, c, ti},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t, "guest", "sleep", "1m")
			b.join(target, types...)
			pid := b.start().Pid
			for typ := range nsFiles {
				if typ == ti && !slices.Contains(types, ti) {
					continue // the host's
				}
				if same := namespaceOf(t, pid, typ) == namespaceOf(t, target, typ); same != slices.Contains(types, typ) {
					t.Errorf("in the same %s namespace: %v", typ, same)
				}
			}
		})
	}
}

// TestJoinHostUser: without a user namespace of its own a container can join any other.
func TestJoinHostUser(t *testing.T) {
	first := newBox(t, "guest", "sleep", "1m")
	first.leave(specs.UserNamespace)
	target := first.start().Pid
	types := []specs.LinuxNamespaceType{specs.PIDNamespace, specs.IPCNamespace, specs.UTSNamespace, specs.NetworkNamespace, specs.CgroupNamespace}
	b := newBox(t, "guest", "sleep", "1m")
	b.leave(specs.UserNamespace)
	b.join(target, types...)
	pid := b.start().Pid
	for _, typ := range types {
		if namespaceOf(t, pid, typ) != namespaceOf(t, target, typ) {
			t.Errorf("not in the %s namespace", typ)
		}
	}
}

// TestJoinMount: the container's root is seen in the namespace it joins, by whoever is there.
func TestJoinMount(t *testing.T) {
	first := newBox(t, "guest", "sleep", "1m")
	first.leave(specs.UserNamespace)
	target := first.start().Pid
	b := newBox(t, "guest", "sleep", "1m")
	b.leave(specs.UserNamespace)
	b.join(target, specs.MountNamespace)
	pid := b.start().Pid
	if namespaceOf(t, pid, specs.MountNamespace) != namespaceOf(t, target, specs.MountNamespace) {
		t.Error("not in the mount namespace")
	}
}

// TestJoinErrors names what cannot be joined.
func TestJoinErrors(t *testing.T) {
	tests := map[string]struct{ path, want string }{
		"no file":       {"/nosuch", "no such file"},
		"no namespace":  {"/etc/passwd", "is not a namespace"},
		"another type":  {"/proc/self/ns/net", "of another type"},
		"not the ids":   {"", "linux.uidMappings"},
		"pid of a file": {"/proc/self/stat", "is not a namespace"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := newBox(t, "guest")
			typ := specs.IPCNamespace
			if name == "not the ids" {
				typ = specs.UserNamespace
			}
			mappings := b.o.Spec.Linux.UIDMappings
			b.leave(typ)
			if typ == specs.UserNamespace {
				tt.path = procPath(newBox(t, "guest", "sleep", "1m").start().Pid, "ns/user")
				b.o.Spec.Linux.UIDMappings, b.o.Spec.Linux.GIDMappings = mappings, mappings
			}
			add(b.o.Spec, typ, tt.path)
			if _, err := b.try(t.Context()); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %s", err, tt.want)
			}
			if typ != specs.UserNamespace {
				noChildren(t)
			}
		})
	}
}

// TestHostNamespaces leaves namespaces out, one at a time and all at once.
func TestHostNamespaces(t *testing.T) {
	all := []specs.LinuxNamespaceType{
		specs.UserNamespace, specs.MountNamespace, specs.PIDNamespace, specs.IPCNamespace, specs.UTSNamespace,
		specs.NetworkNamespace, specs.CgroupNamespace,
	}
	tests := map[string][]specs.LinuxNamespaceType{"all": all, "user, mount": {specs.UserNamespace, specs.MountNamespace}}
	for _, typ := range all {
		if typ != specs.MountNamespace { // a user namespace has no right to mount in the host's
			tests[string(typ)] = []specs.LinuxNamespaceType{typ}
		}
	}
	for name, types := range tests {
		t.Run(name, func(t *testing.T) {
			before, err := os.ReadFile("/proc/self/mountinfo")
			if err != nil {
				t.Fatal(err)
			}
			b := newBox(t, "guest", "sleep", "1m")
			for _, typ := range types {
				b.leave(typ)
			}
			pid := b.start().Pid
			for _, typ := range all {
				if host := namespaceOf(t, pid, typ) == namespaceOf(t, os.Getpid(), typ); host != slices.Contains(types, typ) {
					t.Errorf("in the host's %s namespace: %v", typ, host)
				}
			}
			if root, err := os.Stat(procPath(pid, "root/bin/guest")); err != nil || root.Size() == 0 {
				t.Errorf("the root is not the container's: %v", err)
			}
			if r := execIn(t, b, &Process{Pid: pid}, nil, "guest", "ls", "/"); r.Code != 0 || !strings.Contains(r.out, "locked\n") || strings.Contains(r.out, "var\n") {
				t.Errorf("a process that enters is not in the container's root: %+v", r)
			}
			if after, err := os.ReadFile("/proc/self/mountinfo"); err != nil || string(after) != string(before) {
				t.Errorf("the host's mounts changed (%v):\n%s", err, after)
			}
		})
	}
}

// TestHostMountsProtected: masked and read-only paths hold without a mount namespace as well.
func TestHostMountsProtected(t *testing.T) {
	b := newBox(t, "guest", "write", "/proc/sys/kernel/core_pattern", "x").asRoot()
	b.leave(specs.UserNamespace)
	b.leave(specs.MountNamespace)
	b.o.Cgroup, b.o.Spec.Process.Capabilities = nil, nil
	if r := b.run(); r.Code != 1 || !strings.Contains(r.err, "read-only file system") {
		t.Errorf("%+v", r)
	}
}

// TestTimeOffsets has a command see other clocks.
func TestTimeOffsets(t *testing.T) {
	for name, user := range map[string]bool{"user namespace": true, "host's users": false} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t, "guest", "cat", "/proc/uptime", "/proc/self/timens_offsets")
			if !user {
				b.leave(specs.UserNamespace)
			}
			add(b.o.Spec, specs.TimeNamespace, "")
			b.o.Spec.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{
				"boottime": {Secs: 1 << 30}, "monotonic": {Secs: 3600, Nanosecs: 7},
			}
			r := b.run()
			f := strings.Fields(r.out)
			if r.Code != 0 || len(f) < 2 || len(f[0]) < len("1073741824.00") || f[0] < "1073741824" {
				t.Errorf("uptime: %+v", r)
			}
			if !strings.Contains(strings.Join(f, " "), "monotonic 3600 7 boottime 1073741824 0") {
				t.Errorf("offsets: %s", r.out)
			}
		})
	}
	b := newBox(t, "guest")
	b.o.Spec.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"boottime": {Secs: 1}}
	if _, err := b.try(t.Context()); err == nil || !strings.Contains(err.Error(), "linux.timeOffsets") {
		t.Errorf("offsets without a namespace: %v", err)
	}
	add(b.o.Spec, specs.TimeNamespace, "")
	b.o.Spec.Linux.TimeOffsets = map[string]specs.LinuxTimeOffset{"realtime": {Secs: 1}}
	if _, err := b.try(t.Context()); err == nil || !strings.Contains(err.Error(), "realtime") {
		t.Errorf("a clock that has no offset: %v", err)
	}
}

// TestSysctlNamespaces: what would change the host's parameters is refused by name.
func TestSysctlNamespaces(t *testing.T) {
	tests := map[string]struct {
		leave specs.LinuxNamespaceType
		name  string
	}{
		"network":     {specs.NetworkNamespace, "net.ipv4.ip_forward"},
		"slashes":     {specs.NetworkNamespace, "net/ipv4/ip_forward"},
		"IPC":         {specs.IPCNamespace, "kernel.shmmax"},
		"queues":      {specs.IPCNamespace, "fs.mqueue.msg_max"},
		"UTS":         {specs.UTSNamespace, "kernel.domainname"},
		"nobody's":    {"", "kernel.core_pattern"},
		"the host's":  {"", "vm.overcommit_memory"},
		"by hostname": {"", "kernel.hostname"},
		"upwards":     {"", "net/../kernel/panic"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := newBox(t, "guest")
			if tt.leave != "" {
				b.leave(tt.leave)
			}
			b.o.Spec.Linux.Sysctl = map[string]string{tt.name: "1"}
			if _, err := b.try(t.Context()); err == nil || !strings.Contains(err.Error(), tt.name) {
				t.Errorf("%v, want one that names %s", err, tt.name)
			}
		})
	}
}

// TestNoPivot covers the host's root instead of leaving it.
func TestNoPivot(t *testing.T) {
	b := newBox(t, "guest", "ls", "/")
	b.o.NoPivot = true
	r := b.run()
	if r.Code != 0 || !strings.Contains(r.out, "locked\n") || strings.Contains(r.out, "var\n") {
		t.Errorf("%+v", r)
	}
	b = newBox(t, "guest", "cat", "/"+strings.Repeat("../", 20)+filepath.Join(b.base, "upper"))
	b.o.NoPivot = true
	if r := b.run(); !strings.Contains(r.err, unix.ENOENT.Error()) {
		t.Errorf("the host can be seen: %+v", r)
	}
}
