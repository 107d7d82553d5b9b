package bundle

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/sys/user"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// edited is the default configuration with an edit, as JSON.
func edited(t testing.TB, edit func(*specs.Spec)) []byte {
	t.Helper()
	s := Default()
	edit(s)
	raw, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestParse(t *testing.T) {
	second := -1
	tests := map[string]struct {
		edit func(*specs.Spec)
		want string // part of the error, "" for none
	}{
		"default":          {func(*specs.Spec) {}, ""},
		"old version":      {func(s *specs.Spec) { s.Version = "1.0.0" }, ""},
		"pre-release":      {func(s *specs.Spec) { s.Version = "1.0.2-dev" }, ""},
		"build":            {func(s *specs.Spec) { s.Version = "1.2.0+dev" }, ""},
		"later minor":      {func(s *specs.Spec) { s.Version = "1.9.0" }, ""},
		"no version":       {func(s *specs.Spec) { s.Version = "" }, "ociVersion must not be empty"},
		"version of words": {func(s *specs.Spec) { s.Version = "invalid" }, `ociVersion "invalid" is not a version`},
		"version 2":        {func(s *specs.Spec) { s.Version = "2.0.0" }, "ociVersion 2.0.0 is not supported"},
		"version 0":        {func(s *specs.Spec) { s.Version = "0.1.0" }, "ociVersion 0.1.0 is not supported"},
		"no root":          {func(s *specs.Spec) { s.Root = nil }, "root.path"},
		"empty root":       {func(s *specs.Spec) { s.Root.Path = "" }, "root.path"},
		"no process":       {func(s *specs.Spec) { s.Process = nil }, "process property must not be empty"},
		"no args":          {func(s *specs.Spec) { s.Process.Args = nil }, "process.args"},
		"no cwd":           {func(s *specs.Spec) { s.Process.Cwd = "" }, "process.cwd"},
		"relative cwd":     {func(s *specs.Spec) { s.Process.Cwd = "bin" }, `process.cwd "bin"`},
		"env without =":    {func(s *specs.Spec) { s.Process.Env = []string{"A"} }, `process.env: "A"`},
		"env without name": {func(s *specs.Spec) { s.Process.Env = []string{"=a"} }, `process.env: "=a"`},
		"env with NUL":     {func(s *specs.Spec) { s.Process.Env = []string{"A=\x00"} }, "process.env"},
		"no linux":         {func(s *specs.Spec) { s.Linux = nil }, "linux property"},
		"windows":          {func(s *specs.Spec) { s.Windows = &specs.Windows{LayerFolders: []string{"c"}} }, "windows: this is Linux"},
		"limit twice": {
			func(s *specs.Spec) { s.Process.Rlimits = append(s.Process.Rlimits, s.Process.Rlimits...) }, "RLIMIT_NOFILE twice",
		},
		"soft above hard": {func(s *specs.Spec) { s.Process.Rlimits[0].Soft = 2000 }, "above the hard limit"},
		"relative hook": {
			func(s *specs.Spec) { s.Hooks = &specs.Hooks{Poststop: []specs.Hook{{Path: "hook"}}} }, `hooks.poststop[0].path "hook"`,
		},
		"hook without time": {
			func(s *specs.Spec) {
				s.Hooks = &specs.Hooks{CreateRuntime: []specs.Hook{{Path: "/a"}, {Path: "/hook", Timeout: &second}}}
			}, "hooks.createRuntime[1].timeout",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(edited(t, tt.edit))
			if tt.want == "" && err != nil {
				t.Fatal(err)
			}
			if tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

// TestParseUnknown: what the specification does not know is to be ignored.
func TestParseUnknown(t *testing.T) {
	raw := strings.Replace(string(edited(t, func(*specs.Spec) {})), "{", `{"unknown":{"a":1},`, 1)
	if _, err := Parse([]byte(raw)); err != nil {
		t.Error(err)
	}
}

func TestParseNamesLine(t *testing.T) {
	_, err := Parse([]byte("{\n\"ociVersion\": \"1.0.0\",\n oops }"))
	if err == nil || !strings.HasPrefix(err.Error(), "line 3: ") {
		t.Errorf("error %v, want one of line 3", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(edited(f, func(*specs.Spec) {}))
	f.Add(edited(f, func(s *specs.Spec) { ForUser(s, 1000, 1000) }))
	f.Add(edited(f, func(s *specs.Spec) { s.Hooks = &specs.Hooks{Poststart: []specs.Hook{{Path: "/bin/true"}}} }))
	f.Add([]byte(`{"ociVersion":"1.0.0-","process":{"cwd":"/","args":["a"]},"root":{"path":"r"},"linux":null}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := Parse(raw)
		if err != nil {
			return
		}
		again, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		// What was accepted is accepted as it was understood, and goes through what reads it first.
		if _, err := Parse(again); err != nil {
			t.Errorf("accepted, but not again: %v", err)
		}
		_ = resources(s)
		_ = cgroupPath("id", s)
	})
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "JSON specification file config.json not found") {
		t.Errorf("without a config.json: %v", err)
	}
	write := func(root string) {
		t.Helper()
		raw := edited(t, func(s *specs.Spec) { s.Root.Path = root })
		if err := os.WriteFile(filepath.Join(dir, "config.json"), raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("nowhere")
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), `root.path "nowhere"`) {
		t.Errorf("without a root: %v", err)
	}
	write("config.json")
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "not a directory") {
		t.Errorf("with a file for a root: %v", err)
	}
	write(".")
	b, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if b.rootfs() != dir {
		t.Errorf("root %s, want %s", b.rootfs(), dir)
	}
	write("/")
	if b, err = Load(dir); err != nil || b.rootfs() != "/" {
		t.Errorf("absolute root: %v, %v", b, err)
	}
}

func TestCheckID(t *testing.T) {
	tests := map[string]error{
		"a": nil, "A-b_c.d+9": nil, "..a": nil, strings.Repeat("a", 255): nil,
		"": ErrNoID, ".": ErrBadID, "..": ErrBadID, "a/b": ErrBadID, "../a": ErrBadID, "a b": ErrBadID, "a\x00": ErrBadID, "ä": ErrBadID,
		strings.Repeat("a", 256): ErrBadID,
	}
	for id, want := range tests {
		if err := checkID(id); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", id, err, want)
		}
	}
}

func TestForUser(t *testing.T) {
	s := Default()
	ForUser(s, 1000, 100)
	if s.Linux.UIDMappings[0].HostID != 1000 || s.Linux.GIDMappings[0].HostID != 100 {
		t.Errorf("mappings %v %v", s.Linux.UIDMappings, s.Linux.GIDMappings)
	}
	for _, n := range s.Linux.Namespaces {
		if n.Type == specs.NetworkNamespace {
			t.Error("an ordinary user has a network namespace that nothing leads out of")
		}
	}
	for _, m := range s.Mounts {
		for _, o := range m.Options {
			if o == "gid=5" {
				t.Error("group 5 is not mapped")
			}
		}
	}
}

func TestTranslate(t *testing.T) {
	extents := []user.IDMap{{ID: 0, ParentID: 1000, Count: 1}, {ID: 1, ParentID: 100000, Count: 65536}}
	tests := map[string]struct {
		in   []specs.LinuxIDMapping
		want []specs.LinuxIDMapping
		fail bool
	}{
		"own id": {
			in:   []specs.LinuxIDMapping{{ContainerID: 0, HostID: 1000, Size: 1}},
			want: []specs.LinuxIDMapping{{ContainerID: 0, HostID: 0, Size: 1}},
		},
		"own and subordinate": {
			in:   []specs.LinuxIDMapping{{ContainerID: 0, HostID: 1000, Size: 1}, {ContainerID: 1, HostID: 100010, Size: 100}},
			want: []specs.LinuxIDMapping{{ContainerID: 0, HostID: 0, Size: 1}, {ContainerID: 1, HostID: 11, Size: 100}},
		},
		"beyond the end":   {in: []specs.LinuxIDMapping{{ContainerID: 0, HostID: 100000, Size: 65537}}, fail: true},
		"somebody else's":  {in: []specs.LinuxIDMapping{{ContainerID: 0, HostID: 0, Size: 1}}, fail: true},
		"more than he has": {in: []specs.LinuxIDMapping{{ContainerID: 0, HostID: 1000, Size: 2}}, fail: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := translate(tt.in, extents)
			if (err != nil) != tt.fail {
				t.Fatalf("error %v, want one: %v", err, tt.fail)
			}
			if diff := cmp.Diff(tt.want, got); !tt.fail && diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestResources(t *testing.T) {
	deny := []specs.LinuxDeviceCgroup{{Access: "rwm"}}
	allow := append(deny[:1:1], specs.LinuxDeviceCgroup{Allow: true, Type: "c", Access: "r"})
	tests := map[string]struct {
		devices []specs.LinuxDeviceCgroup
		caps    []string
		want    int
	}{
		"none":                    {nil, []string{"CAP_SYS_ADMIN"}, 0},
		"nothing allowed":         {deny, []string{"CAP_KILL"}, 0},
		"nothing, but may mount":  {deny, []string{"CAP_SYS_ADMIN"}, 1 + len(standardDevices())},
		"nothing, but makes them": {deny, []string{"CAP_MKNOD"}, 1 + len(standardDevices())},
		"something":               {allow, nil, 2 + len(standardDevices())},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := Default()
			s.Linux.Resources.Devices = tt.devices
			s.Process.Capabilities.Bounding = tt.caps
			if got := len(resources(s).Devices); got != tt.want {
				t.Errorf("%d rules, want %d", got, tt.want)
			}
			if len(s.Linux.Resources.Devices) != len(tt.devices) {
				t.Error("the configuration was changed")
			}
		})
	}
}
