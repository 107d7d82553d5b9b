package oci

import (
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

func TestMergeEnv(t *testing.T) {
	tests := map[string]struct{ env, more, want []string }{
		"new":        {[]string{"A=1"}, []string{"B=2"}, []string{"A=1", "B=2"}},
		"override":   {[]string{"A=1", "B=2"}, []string{"A=3"}, []string{"A=3", "B=2"}},
		"last wins":  {nil, []string{"A=1", "A=2"}, []string{"A=2"}},
		"remove":     {[]string{"A=1", "B=2"}, []string{"A"}, []string{"B=2"}},
		"empty":      {[]string{"A=1"}, []string{"A="}, []string{"A="}},
		"equal sign": {nil, []string{"A=b=c"}, []string{"A=b=c"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, MergeEnv(tt.env, tt.more)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNewSpecEnvironment(t *testing.T) {
	s, err := NewSpec(SpecOptions{Hostname: "box", Terminal: true, Env: []string{"PATH=/x", "TERM=linux", "A=1"}})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"PATH=/x", "HOSTNAME=box", "TERM=linux", "A=1"}
	if diff := cmp.Diff(want, s.Process.Env); diff != "" {
		t.Error(diff)
	}
}

func TestNewSpecStrictest(t *testing.T) {
	s, err := NewSpec(SpecOptions{HostIDBase: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if !s.Process.NoNewPrivileges {
		t.Error("new privileges may be gained")
	}
	if s.Linux.Seccomp == nil || s.Linux.Seccomp.DefaultAction == specs.ActAllow {
		t.Error("no seccomp filter")
	}
	if got := namespaceTypes(s); len(got) != 7 {
		t.Errorf("namespaces %v, want 7", got)
	}
	if len(s.Linux.MaskedPaths) < 12 || len(s.Linux.ReadonlyPaths) < 5 {
		t.Errorf("masked %v, read-only %v", s.Linux.MaskedPaths, s.Linux.ReadonlyPaths)
	}
	want := []specs.LinuxIDMapping{{ContainerID: 0, HostID: 1 << 20, Size: 65536}}
	if diff := cmp.Diff(want, s.Linux.UIDMappings); diff != "" {
		t.Error(diff)
	}
	if got := s.Linux.Sysctl["net.ipv4.ping_group_range"]; got != "0 65535" {
		t.Errorf("ping_group_range %q", got)
	}
}

func TestNewSpecHostNetwork(t *testing.T) {
	s, err := NewSpec(SpecOptions{HostNetwork: true, IDCount: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range namespaceTypes(s) {
		if n == specs.NetworkNamespace {
			t.Error("a network namespace of its own")
		}
	}
	if len(s.Linux.Sysctl) != 0 {
		t.Errorf("the host's sysctls would be changed: %v", s.Linux.Sysctl)
	}
	for _, m := range s.Mounts {
		if m.Type == "sysfs" {
			t.Error("sysfs cannot be mounted without an own network namespace")
		}
	}
	if s.Linux.UIDMappings[0].Size != 1 {
		t.Errorf("mapping %v", s.Linux.UIDMappings)
	}
}

func namespaceTypes(s *specs.Spec) []specs.LinuxNamespaceType {
	var out []specs.LinuxNamespaceType
	for _, n := range s.Linux.Namespaces {
		out = append(out, n.Type)
	}
	return out
}

func TestNewSpecUnconfined(t *testing.T) {
	s, err := NewSpec(SpecOptions{SeccompUnconfined: true, UnmaskSystemPaths: true, NewPrivileges: true, ReadonlyRootfs: true})
	if err != nil {
		t.Fatal(err)
	}
	if s.Linux.Seccomp != nil || s.Linux.MaskedPaths != nil || s.Process.NoNewPrivileges || !s.Root.Readonly {
		t.Errorf("%+v %+v", s.Linux, s.Process)
	}
}

func TestNewSpecABIs(t *testing.T) {
	plain, err := NewSpec(SpecOptions{})
	if err != nil {
		t.Fatal(err)
	}
	other := map[string]string{"amd64": "x86", "arm64": "arm"}[runtime.GOARCH]
	given := &specs.LinuxSeccomp{DefaultAction: specs.ActAllow}
	for name, o := range map[string]SpecOptions{
		"default": {SeccompABIs: []string{other}},
		"given":   {SeccompABIs: []string{other, other}, Seccomp: given},
	} {
		s, err := NewSpec(o)
		if err != nil {
			t.Fatal(err)
		}
		want := specs.Arch("SCMP_ARCH_" + strings.ToUpper(other))
		if got := s.Linux.Seccomp.Architectures; len(got) == 0 || got[len(got)-1] != want || len(got) > 2 {
			t.Errorf("%s: %v", name, got)
		}
	}
	if len(plain.Linux.Seccomp.Architectures) != 1 || given.Architectures != nil {
		t.Errorf("without being asked: %v, %v", plain.Linux.Seccomp.Architectures, given.Architectures)
	}
	if _, err := NewSpec(SpecOptions{SeccompABIs: []string{"vax"}}); err == nil {
		t.Error("an ABI this machine does not have")
	}
}

func TestNewSpecUnknownCapability(t *testing.T) {
	if _, err := NewSpec(SpecOptions{CapAdd: []string{"NO_SUCH"}}); err == nil {
		t.Error("no error for an unknown capability")
	}
}

// Whose namespaces a container has decides what can be mounted: what belongs to the host's is bound.
func TestNewSpecShared(t *testing.T) {
	host := func(kinds ...specs.LinuxNamespaceType) (list []specs.LinuxNamespace) {
		for _, k := range kinds {
			list = append(list, specs.LinuxNamespace{Type: k})
		}
		return list
	}
	tests := map[string]struct {
		opts  SpecOptions
		bound []string // default mounts that are the host's
		none  []specs.LinuxNamespaceType
	}{
		"nothing":       {},
		"network":       {opts: SpecOptions{HostNetwork: true}, bound: []string{"/sys"}, none: []specs.LinuxNamespaceType{specs.NetworkNamespace}},
		"pid":           {opts: SpecOptions{Shared: host(specs.PIDNamespace)}, bound: []string{"/proc"}, none: []specs.LinuxNamespaceType{specs.PIDNamespace}},
		"ipc":           {opts: SpecOptions{Shared: host(specs.IPCNamespace)}, bound: []string{"/dev/mqueue", "/dev/shm"}, none: []specs.LinuxNamespaceType{specs.IPCNamespace}},
		"cgroup":        {opts: SpecOptions{Shared: host(specs.CgroupNamespace)}, bound: []string{"/sys/fs/cgroup"}, none: []specs.LinuxNamespaceType{specs.CgroupNamespace}},
		"uts":           {opts: SpecOptions{Shared: host(specs.UTSNamespace), Hostname: "h"}, none: []specs.LinuxNamespaceType{specs.UTSNamespace}},
		"user":          {opts: SpecOptions{Shared: host(specs.UserNamespace)}, none: []specs.LinuxNamespaceType{specs.UserNamespace}},
		"user and pid":  {opts: SpecOptions{Shared: host(specs.UserNamespace, specs.PIDNamespace)}, none: []specs.LinuxNamespaceType{specs.UserNamespace, specs.PIDNamespace}},
		"a container's": {opts: SpecOptions{Shared: []specs.LinuxNamespace{{Type: specs.UserNamespace, Path: "/u"}, {Type: specs.PIDNamespace, Path: "/p"}}}},
		"user and ipc":  {opts: SpecOptions{Shared: host(specs.UserNamespace, specs.IPCNamespace)}, bound: []string{"/dev/shm"}, none: []specs.LinuxNamespaceType{specs.UserNamespace, specs.IPCNamespace}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s, err := NewSpec(tt.opts)
			if err != nil {
				t.Fatal(err)
			}
			var bound []string
			for _, m := range s.Mounts {
				if m.Type == "bind" {
					bound = append(bound, m.Destination)
				}
			}
			if diff := cmp.Diff(tt.bound, bound); diff != "" {
				t.Error(diff)
			}
			const all = 7
			if len(s.Linux.Namespaces) != all-len(tt.none) {
				t.Errorf("namespaces %v", s.Linux.Namespaces)
			}
			for _, n := range s.Linux.Namespaces {
				if want, _ := tt.opts.SharedNamespace(n.Type); n.Path != want || slices.Contains(tt.none, n.Type) {
					t.Errorf("%v", n)
				}
			}
			if _, user := tt.opts.SharedNamespace(specs.UserNamespace); user != (len(s.Linux.UIDMappings) == 0) {
				t.Errorf("ids %v", s.Linux.UIDMappings)
			}
			if tt.opts.shares(specs.UTSNamespace) && s.Hostname != "" {
				t.Error("the host would be renamed")
			}
		})
	}
}

func TestNewSpecShm(t *testing.T) {
	size := func(o SpecOptions) string {
		s, err := NewSpec(o)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range s.Mounts {
			if m.Destination == "/dev/shm" {
				return m.Options[len(m.Options)-1]
			}
		}
		return ""
	}
	for want, o := range map[string]SpecOptions{"size=65536k": {}, "size=4096": {ShmBytes: 4096}, "": {NoShm: true}} {
		if got := size(o); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestNewSpecPrivileged(t *testing.T) {
	s, err := NewSpec(SpecOptions{Privileged: true, CapDrop: []string{"SYS_MODULE"}})
	if err != nil {
		t.Fatal(err)
	}
	if s.Linux.Seccomp != nil || len(s.Linux.MaskedPaths)+len(s.Linux.ReadonlyPaths) > 0 || s.Process.NoNewPrivileges {
		t.Errorf("filter %v, masked %v, read-only %v, no_new_privs %v", s.Linux.Seccomp, s.Linux.MaskedPaths, s.Linux.ReadonlyPaths, s.Process.NoNewPrivileges)
	}
	if b := s.Process.Capabilities.Bounding; len(b) != 40 || slices.Contains(b, "CAP_SYS_MODULE") {
		t.Errorf("%d capabilities", len(b))
	}
	// A user gets them, too: he was given them by name.
	SetUser(s, User{UID: 9000}, SpecOptions{Privileged: true}.Added())
	for _, set := range [][]string{s.Process.Capabilities.Ambient, s.Process.Capabilities.Effective, s.Process.Capabilities.Permitted, s.Process.Capabilities.Inheritable, s.Process.Capabilities.Bounding} {
		if len(set) != 40 {
			t.Errorf("%d capabilities", len(set))
		}
	}
	own := &specs.LinuxSeccomp{DefaultAction: specs.ActAllow}
	if s, err = NewSpec(SpecOptions{Privileged: true, Seccomp: own}); err != nil || s.Linux.Seccomp != own {
		t.Errorf("%v, %v", s.Linux.Seccomp, err)
	}
}

func TestNewSpecMasks(t *testing.T) {
	s, err := NewSpec(SpecOptions{Masked: []string{"/a"}, Unmasked: []string{"/proc/k*", "/sys/firmware", "/proc/sys"}})
	if err != nil {
		t.Fatal(err)
	}
	for p, want := range map[string]bool{"/a": true, "/proc/keys": false, "/proc/kcore": false, "/sys/firmware": false, "/proc/acpi": true} {
		if slices.Contains(s.Linux.MaskedPaths, p) != want {
			t.Errorf("%s: masked %v", p, !want)
		}
	}
	if slices.Contains(s.Linux.ReadonlyPaths, "/proc/sys") || !slices.Contains(s.Linux.ReadonlyPaths, "/proc/irq") {
		t.Errorf("read-only: %v", s.Linux.ReadonlyPaths)
	}
	s, err = NewSpec(SpecOptions{Unmasked: []string{UnmaskAll}})
	if err != nil || len(s.Linux.MaskedPaths)+len(s.Linux.ReadonlyPaths) > 0 {
		t.Errorf("%v, %v, %v", s.Linux.MaskedPaths, s.Linux.ReadonlyPaths, err)
	}
}

// A parameter of a namespace that is shared is not the container's to set.
func TestNewSpecSharedSysctl(t *testing.T) {
	for name, o := range map[string]SpecOptions{
		"ipc":     {Shared: []specs.LinuxNamespace{{Type: specs.IPCNamespace}}, Sysctls: map[string]string{"kernel.msgmax": "1"}},
		"network": {Shared: []specs.LinuxNamespace{{Type: specs.NetworkNamespace, Path: "/n"}}, Sysctls: map[string]string{"net.ipv4.ip_forward": "1"}},
	} {
		var e *SysctlError
		if _, err := NewSpec(o); !errors.As(err, &e) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s, err := NewSpec(SpecOptions{Shared: []specs.LinuxNamespace{{Type: specs.NetworkNamespace, Path: "/n"}}})
	if err != nil || len(s.Linux.Sysctl) > 0 {
		t.Errorf("%v, %v", s.Linux.Sysctl, err)
	}
}
