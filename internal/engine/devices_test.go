package engine

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

func TestNodesOf(t *testing.T) {
	nodes, err := nodesOf([]Device{{"/dev/null", "/dev/mine", "rw"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(nodes) != 1 || nodes[0].target != "/dev/mine" || nodes[0].rdev != unix.Mkdev(1, 3) || nodes[0].mode&unix.S_IFMT != unix.S_IFCHR {
		t.Errorf("%+v", nodes)
	}
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink("/dev/null", link); err != nil {
		t.Fatal(err)
	}
	if nodes, err = nodesOf([]Device{{link, link, "r"}}); err != nil || nodes[0].source != "/dev/null" || nodes[0].target != link {
		t.Errorf("%+v, %v", nodes, err)
	}
	for _, path := range []string{"/nosuch", "/etc/passwd", t.TempDir()} {
		var e *DeviceError
		if _, err := nodesOf([]Device{{path, path, "r"}}); !errors.As(err, &e) || e.Path != path {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// A rule of the cgroup's is only there where a mount cannot say it: mounts cannot tell reading from writing.
func TestRestrictDevices(t *testing.T) {
	limit := int64(9)
	tests := map[string]struct {
		access string
		want   bool
	}{
		"all":       {"rwm", false},
		"no mknod":  {"rw", false},
		"read":      {"r", true},
		"write":     {"wm", true},
		"no access": {"m", true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			given := &specs.LinuxResources{Pids: &specs.LinuxPids{Limit: &limit}}
			s := &Sandbox{Limits: Limits{Resources: given}}
			s.restrictDevices([]node{{mode: unix.S_IFBLK | 0o600, rdev: unix.Mkdev(8, 1), access: tt.access}})
			rules := s.Limits.Resources.Devices
			if (len(rules) > 0) != tt.want || s.Limits.Resources.Pids != given.Pids || len(given.Devices) > 0 {
				t.Fatalf("%+v", s.Limits.Resources)
			}
			if !tt.want {
				return
			}
			major, minor := int64(8), int64(1)
			last := specs.LinuxDeviceCgroup{Allow: true, Type: "b", Major: &major, Minor: &minor, Access: tt.access}
			if diff := cmp.Diff(last, rules[len(rules)-1]); diff != "" || rules[0].Allow {
				t.Error(diff)
			}
		})
	}
}
