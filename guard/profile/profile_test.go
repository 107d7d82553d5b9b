package profile_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/guard/profile"
)

// full has every field.
func full() *profile.Profile {
	return &profile.Profile{
		Version: profile.Version, Image: "redis:hardened", ImageID: "sha256:" + strings.Repeat("0a", 32), User: "9000:9000",
		Capabilities: []string{"CAP_NET_RAW"},
		Tmpfs:        []profile.Tmpfs{{Path: "/tmp", Mode: "1777"}, {Path: "/run/redis"}},
		Volumes:      []profile.Volume{{Path: "/var/lib/redis", Name: "redis-data"}, {Path: "/var/cache/<x>"}},
		Sysctls:      map[string]string{"net.ipv4.ip_unprivileged_port_start": "80"},
		Ports:        []string{"6379/tcp"}, Seccomp: "seccomp.json", ReadWrite: true, Escalates: true,
		Irreducible: []string{"needs a raw socket"},
	}
}

const allowAll = `{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["bpf"], "action": "SCMP_ACT_ERRNO"}]}`

func write(t *testing.T, dir, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestSaveAndLoad(t *testing.T) {
	dir := t.TempDir()
	want := full()
	if err := want.Save(dir); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "seccomp.json", allowAll)
	got, err := profile.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	filter, err := got.Filter(dir)
	if err != nil || filter == nil || filter.DefaultAction != "SCMP_ACT_ALLOW" {
		t.Errorf("filter %v, %v", filter, err)
	}
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	hidden, err2 := filepath.Glob(filepath.Join(dir, ".*"))
	if err := errors.Join(err, err2); err != nil || len(names) != 2 || len(hidden) != 0 {
		t.Errorf("left %v %v %v", names, hidden, err)
	}
}

func TestSaveSaysNoCapabilities(t *testing.T) {
	dir := t.TempDir()
	if err := (&profile.Profile{Version: 1, User: "9000:9000"}).Save(dir); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, profile.FileName))
	if err != nil {
		t.Fatal(err)
	}
	want := "{\n  \"version\": 1,\n  \"user\": \"9000:9000\",\n  \"capabilities\": []\n}\n"
	if diff := cmp.Diff(want, string(b)); diff != "" {
		t.Error(diff)
	}
}

func TestSaveRefuses(t *testing.T) {
	dir := t.TempDir()
	p := full()
	p.User = "redis"
	if err := p.Save(dir); err == nil {
		t.Error("a profile was written that cannot be loaded")
	}
	if _, err := os.Stat(filepath.Join(dir, profile.FileName)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

func TestParseRefuses(t *testing.T) {
	tests := map[string]struct {
		in, want string
		line     int
		hint     string
	}{
		"no JSON":              {in: "{", want: "unexpected end of JSON input", line: 1},
		"two documents":        {in: `{"version":1,"user":"1:1"}{}`, want: "after top-level value", line: 1},
		"no object":            {in: `[]`, want: "a JSON array where an object is needed", line: 1},
		"no version":           {in: `{"user":"1:1"}`, want: "version: missing", hint: `"version": 1`},
		"later version":        {in: `{"version":2,"more":1}`, want: "version: 2 is not known here", hint: "use the deckhand that wrote"},
		"unknown field":        {in: "{\"version\":1,\n\"usr\":\"1:1\"}", want: "usr: unknown field", line: 2, hint: "user"},
		"another case":         {in: `{"version":1,"User":"1:1"}`, want: "User: unknown field", line: 1},
		"a field twice":        {in: `{"version":1,"user":"1:1","user":"0:0"}`, want: "user: stands here twice", line: 1},
		"unknown in a tmpfs":   {in: `{"version":1,"user":"1:1","tmpfs":[{"path":"/t","size":"1m"}]}`, want: "tmpfs[].size: unknown field", line: 1, hint: "path, mode"},
		"a sysctl twice":       {in: `{"version":1,"user":"1:1","sysctls":{"net.a":"1","net.a":"2"}}`, want: "sysctls.net.a: stands here twice", line: 1},
		"wrong kind":           {in: "{\"version\":1,\n\"user\":9000}", want: "user: a JSON number where a string is needed", line: 2},
		"no user":              {in: `{"version":1}`, want: `user: "" is not two numbers`, hint: "9000:9000"},
		"user by name":         {in: `{"version":1,"user":"redis:redis"}`, want: "not two numbers"},
		"user without group":   {in: `{"version":1,"user":"9000"}`, want: "not two numbers"},
		"user with a sign":     {in: `{"version":1,"user":"+0:0"}`, want: "not two numbers"},
		"user with zeros":      {in: `{"version":1,"user":"00:0"}`, want: "not two numbers"},
		"user out of range":    {in: `{"version":1,"user":"4294967296:1"}`, want: "not two numbers"},
		"user -1":              {in: `{"version":1,"user":"4294967295:1"}`, want: "not two numbers"},
		"image with a space":   {in: `{"version":1,"user":"1:1","image":"a b"}`, want: "image: "},
		"image id":             {in: `{"version":1,"user":"1:1","imageId":"sha256:12"}`, want: "imageId: "},
		"capability's short":   {in: `{"version":1,"user":"1:1","capabilities":["NET_RAW"]}`, want: `capabilities[0]: "NET_RAW" is no capability's name`, hint: "CAP_NET_RAW"},
		"all capabilities":     {in: `{"version":1,"user":"1:1","capabilities":["ALL"]}`, want: "capabilities[0]"},
		"a capability twice":   {in: `{"version":1,"user":"1:1","capabilities":["CAP_KILL","CAP_KILL"]}`, want: "capabilities[1]: CAP_KILL stands here twice"},
		"relative tmpfs":       {in: `{"version":1,"user":"1:1","tmpfs":[{"path":"tmp"}]}`, want: "tmpfs[0].path: "},
		"root as a tmpfs":      {in: `{"version":1,"user":"1:1","tmpfs":[{"path":"/"}]}`, want: "tmpfs[0].path: "},
		"tmpfs climbing":       {in: `{"version":1,"user":"1:1","tmpfs":[{"path":"/a/../b"}]}`, want: "not a clean absolute path"},
		"tmpfs over proc":      {in: `{"version":1,"user":"1:1","tmpfs":[{"path":"/proc/self"}]}`, want: "the kernel's"},
		"tmpfs with a newline": {in: `{"version":1,"user":"1:1","tmpfs":[{"path":"/a\nb"}]}`, want: "cannot be printed"},
		"mode":                 {in: `{"version":1,"user":"1:1","tmpfs":[{"path":"/t","mode":"0778"}]}`, want: "tmpfs[0].mode: "},
		"mode too large":       {in: `{"version":1,"user":"1:1","tmpfs":[{"path":"/t","mode":"10777"}]}`, want: "tmpfs[0].mode: "},
		"a path twice":         {in: `{"version":1,"user":"1:1","tmpfs":[{"path":"/t"}],"volumes":[{"path":"/t"}]}`, want: "volumes[0].path: /t is tmpfs[0].path already"},
		"volume's name":        {in: `{"version":1,"user":"1:1","volumes":[{"path":"/t","name":"../x"}]}`, want: "volumes[0].name: "},
		"sysctl":               {in: `{"version":1,"user":"1:1","sysctls":{"kernel.core_pattern":"x"}}`, want: "sysctls.kernel.core_pattern: sysctl 'kernel.core_pattern' is not allowed"},
		"port":                 {in: `{"version":1,"user":"1:1","ports":["80"]}`, want: `ports[0]: "80" is no port`},
		"seccomp elsewhere":    {in: `{"version":1,"user":"1:1","seccomp":"../s.json"}`, want: "seccomp: "},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := profile.Parse([]byte(tt.in))
			e, ok := errors.AsType[*profile.Error](err)
			if !ok {
				t.Fatalf("error %v", err)
			}
			if !strings.Contains(e.Error(), tt.want) || e.Line != tt.line || !strings.Contains(e.Hint, tt.hint) {
				t.Errorf("%q in line %d, hint %q", e.Error(), e.Line, e.Hint)
			}
		})
	}
}

func TestLoadRefuses(t *testing.T) {
	good := `{"version": 1, "user": "9000:9000", "seccomp": "s.json"}`
	tests := map[string]struct {
		prepare func(t *testing.T, dir string)
		want    string
	}{
		"nothing there": {func(*testing.T, string) {}, "no such file"},
		"a directory": {func(t *testing.T, dir string) {
			if err := os.Mkdir(filepath.Join(dir, profile.FileName), 0o700); err != nil {
				t.Fatal(err)
			}
		}, "not a regular file"},
		"a pipe": {func(t *testing.T, dir string) {
			if err := unix.Mkfifo(filepath.Join(dir, profile.FileName), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "not a regular file"},
		"endless": {func(t *testing.T, dir string) {
			write(t, dir, profile.FileName, strings.Repeat(" ", 1<<20+1))
		}, "larger than"},
		"no seccomp file": {func(t *testing.T, dir string) {
			write(t, dir, profile.FileName, good)
		}, "profile.json: seccomp: s.json cannot be read beside the profile: no such file"},
		"seccomp is a directory": {func(t *testing.T, dir string) {
			write(t, dir, profile.FileName, good)
			if err := os.Mkdir(filepath.Join(dir, "s.json"), 0o700); err != nil {
				t.Fatal(err)
			}
		}, "s.json is not a regular file"},
		"its place": {func(t *testing.T, dir string) {
			write(t, dir, profile.FileName, "{\"version\": 1,\n \"user\": 1}")
		}, "profile.json:2: user: a JSON number"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			tt.prepare(t, dir)
			if _, err := profile.Load(dir); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func TestFilterRefuses(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "seccomp.json", "{}")
	if _, err := full().Filter(dir); err == nil || !strings.Contains(err.Error(), "seccomp.json") {
		t.Errorf("error %v", err)
	}
	if filter, err := (&profile.Profile{}).Filter(dir); filter != nil || err != nil {
		t.Errorf("%v, %v: the default filter is not in a file", filter, err)
	}
}

// FuzzParse: what is accepted survives being written and read again, and nothing it names leads elsewhere.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"version":1,"user":"9000:9000","capabilities":["CAP_NET_RAW"],"tmpfs":[{"path":"/tmp","mode":"1777"}]}`))
	f.Add([]byte(`{"version":1,"user":"0:0","volumes":[{"path":"/d","name":"n1"}],"sysctls":{"net.a":"1"},"ports":["1/udp"]}`))
	f.Add([]byte(`{"version":2}`))
	f.Add([]byte(`{"version":1,"user":"1:1","seccomp":"..","readWrite":true}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := profile.Parse(data)
		if err != nil {
			return
		}
		dir := t.TempDir()
		if err := p.Save(dir); err != nil {
			t.Fatal(err)
		}
		if p.Seccomp != "" {
			if path := filepath.Join(dir, p.Seccomp); filepath.Dir(path) != dir {
				t.Fatalf("%q leads to %s", p.Seccomp, path)
			}
			p.Seccomp = ""
			if err := p.Save(dir); err != nil {
				t.Fatal(err)
			}
		}
		again, err := profile.Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		p.Capabilities = append([]string{}, p.Capabilities...)
		for _, l := range []*[]string{&p.Ports, &p.Irreducible} {
			if len(*l) == 0 {
				*l = nil
			}
		}
		if len(p.Tmpfs) == 0 {
			p.Tmpfs = nil
		}
		if len(p.Volumes) == 0 {
			p.Volumes = nil
		}
		if len(p.Sysctls) == 0 {
			p.Sysctls = nil
		}
		if diff := cmp.Diff(p, again); diff != "" {
			t.Error(diff)
		}
	})
}
