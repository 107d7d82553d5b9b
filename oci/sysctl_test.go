package oci

import (
	"path"
	"strings"
	"testing"
)

func TestCheckSysctl(t *testing.T) {
	tests := map[string]struct {
		name, value string
		hostNetwork bool
		want        string // of the error
	}{
		"network":              {name: "net.core.somaxconn", value: "512"},
		"several words":        {name: "net.ipv4.ping_group_range", value: "0\t100"},
		"interface with a dot": {name: "net.ipv4.conf.eth0/1.forwarding", value: "1"},
		"ipc":                  {name: "kernel.shm_rmid_forced", value: "1"},
		"queues":               {name: "fs.mqueue.msg_max", value: "20"},
		"the host's network":   {name: "net.core.somaxconn", value: "512", hostNetwork: true, want: "the host's network"},
		"the machine's":        {name: "kernel.core_pattern", value: "|/x", want: "has none of its own"},
		"a longer name":        {name: "kernel.shmmaxx", value: "1", want: "has none of its own"},
		"file systems":         {name: "fs.file-max", value: "1", want: "has none of its own"},
		"machine's, climbing":  {name: "net.//.kernel.core_pattern", value: "|/x", want: "is needed"},
		"absolute":             {name: ".net.core.somaxconn", value: "1", want: "is needed"},
		"no name":              {value: "1", want: "is needed"},
		"no value":             {name: "net.core.somaxconn", want: "is needed"},
		"two lines":            {name: "net.core.somaxconn", value: "1\n2", want: "is needed"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			err := CheckSysctl(tt.name, tt.value, tt.hostNetwork)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func FuzzCheckSysctl(f *testing.F) {
	for _, s := range []string{"net.core.somaxconn", "net.//.kernel.core_pattern", "fs.mqueue..", "kernel.sem"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if CheckSysctl(name, "1", false) != nil {
			return
		}
		file := path.Join("/proc/sys", sysctlFile(name))
		if !strings.HasPrefix(file, "/proc/sys/net/") && !strings.HasPrefix(file, "/proc/sys/fs/mqueue/") && !strings.HasPrefix(file, "/proc/sys/kernel/") {
			t.Errorf("%q is %s", name, file)
		}
	})
}

func TestNewSpecSysctls(t *testing.T) {
	s, err := NewSpec(SpecOptions{Sysctls: map[string]string{PortStart: "1024", "kernel.sem": "1 2 3 4"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Linux.Sysctl; got[PortStart] != "1024" || got["kernel.sem"] != "1 2 3 4" || got["net.ipv4.ping_group_range"] == "" {
		t.Errorf("sysctls %v", got)
	}
	if _, err := NewSpec(SpecOptions{Sysctls: map[string]string{"kernel.core_pattern": "x"}}); err == nil {
		t.Error("no error for the machine's own")
	}
	if _, err := NewSpec(SpecOptions{HostNetwork: true, Sysctls: map[string]string{PortStart: "80"}}); err == nil {
		t.Error("no error for the host's own")
	}
}
