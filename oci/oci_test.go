package oci

import (
	"runtime"
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
