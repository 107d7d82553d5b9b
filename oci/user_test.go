package oci

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

const (
	testPasswd = "root:x:0:0:root:/root:/bin/sh\n" +
		"daemon:x:1:1::/usr/sbin:/bin/false\n" +
		"app:x:1000:1001::/home/app:/bin/sh\n" +
		"toor:x:0:0::/toor:/bin/sh\n" +
		"nohome:x:1500:1500:::/bin/sh\n" +
		"huge:x:4294967295:4294967295::/:/bin/sh\n" +
		"# a comment\n\nbroken line\n:::::\n"
	testGroup = "root:x:0:\ndaemon:x:1:\napp:x:1001:\nwheel:x:10:app,root\naudio:x:29:app\nbad:x:-5:huge2\n"
)

// openRoot makes a root directory with these files (nil maps to none).
func openRoot(t *testing.T, files map[string]string) *os.File {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return openDir(t, dir)
}

func openDir(t *testing.T, dir string) *os.File {
	t.Helper()
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestResolveUser(t *testing.T) {
	root := openRoot(t, map[string]string{"etc/passwd": testPasswd, "etc/group": testGroup})
	tests := map[string]struct {
		spec     string
		groupAdd []string
		want     User
		err      string
	}{
		"none is root":                {spec: "", want: User{0, 0, []uint32{0, 10}, "/root", ""}},
		"root by name":                {spec: "root", want: User{0, 0, []uint32{0, 10}, "/root", "root"}},
		"root by number":              {spec: "0", want: User{0, 0, []uint32{0, 10}, "/root", ""}},
		"two zeros are root":          {spec: "00", want: User{0, 0, []uint32{0, 10}, "/root", ""}},
		"plus zero is root":           {spec: "+0", want: User{0, 0, []uint32{0, 10}, "/root", ""}},
		"minus zero is root":          {spec: "-0", want: User{0, 0, []uint32{0, 10}, "/root", ""}},
		"another name of uid 0":       {spec: "toor", want: User{0, 0, []uint32{0}, "/toor", "toor"}},
		"name":                        {spec: "app", want: User{1000, 1001, []uint32{1001, 10, 29}, "/home/app", "app"}},
		"number with an entry":        {spec: "1000", want: User{1000, 1001, []uint32{1001, 10, 29}, "/home/app", ""}},
		"number without an entry":     {spec: "9000", want: User{9000, 0, []uint32{0}, "/", ""}},
		"user and group names":        {spec: "app:audio", want: User{1000, 29, []uint32{29}, "/home/app", "app"}},
		"user and group numbers":      {spec: "9000:9001", want: User{9000, 9001, []uint32{9001}, "/", ""}},
		"number and group name":       {spec: "9000:wheel", want: User{9000, 10, []uint32{10}, "/", ""}},
		"empty group":                 {spec: "app:", want: User{1000, 1001, []uint32{1001, 10, 29}, "/home/app", "app"}},
		"group only":                  {spec: ":audio", want: User{0, 29, []uint32{29}, "/root", ""}},
		"empty home":                  {spec: "nohome", want: User{1500, 1500, []uint32{1500}, "/", "nohome"}},
		"group added by name":         {spec: "9000", groupAdd: []string{"audio", "wheel", "77"}, want: User{9000, 0, []uint32{0, 10, 29, 77}, "/", ""}},
		"group added twice":           {spec: "app", groupAdd: []string{"audio"}, want: User{1000, 1001, []uint32{1001, 10, 29}, "/home/app", "app"}},
		"unknown user":                {spec: "nosuch", err: "unable to find user nosuch: no matching entries in passwd file"},
		"unknown group":               {spec: "app:nosuch", err: "unable to find group nosuch: no matching entries in group file"},
		"empty added group":           {spec: "app", groupAdd: []string{""}, err: "Unable to find group : no matching entries in group file"},
		"unknown added group":         {spec: "app", groupAdd: []string{"nosuch"}, err: "Unable to find group nosuch: no matching entries in group file"},
		"uid too large":               {spec: "2147483648", err: "uids and gids must be in range 0-2147483647"},
		"uid negative":                {spec: "-1", err: "uids and gids must be in range 0-2147483647"},
		"gid too large":               {spec: "0:2147483648", err: "uids and gids must be in range 0-2147483647"},
		"uid of the entry too large":  {spec: "huge", err: "uids and gids must be in range 0-2147483647"},
		"name that looks like a path": {spec: "../app", err: "unable to find user ../app: no matching entries in passwd file"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := ResolveUser(root, tt.spec, tt.groupAdd)
			if message(err) != tt.err {
				t.Fatalf("error %q, want %q", message(err), tt.err)
			}
			if err != nil {
				return
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestResolveUserWithoutFiles(t *testing.T) {
	root := openRoot(t, nil)
	got, err := ResolveUser(root, "9000:9001", nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(User{9000, 9001, []uint32{9001}, "/", ""}, got); diff != "" {
		t.Error(diff)
	}
	if _, err := ResolveUser(root, "app", nil); message(err) != "unable to find user app: no matching entries in passwd file" {
		t.Errorf("error %v", err)
	}
	if _, err := ResolveUser(root, "9000:app", nil); message(err) != "unable to find group app: no matching entries in group file" {
		t.Errorf("error %v", err)
	}
}

// A symlinked passwd file is resolved inside the root, never on the host.
func TestResolveUserSymlink(t *testing.T) {
	host := filepath.Join(t.TempDir(), "hostpasswd")
	if err := os.WriteFile(host, []byte("host:x:77:77::/:\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	root := openRoot(t, map[string]string{"usr/share/passwd": testPasswd, "etc/group": ""})
	link := filepath.Join(root.Name(), "etc/passwd")

	for name, target := range map[string]string{"absolute": "/usr/share/passwd", "relative": "../usr/share/passwd", "above the root": "../../../../usr/share/passwd"} {
		t.Run(name, func(t *testing.T) {
			os.Remove(link)
			if err := os.Symlink(target, link); err != nil {
				t.Fatal(err)
			}
			got, err := ResolveUser(root, "app", nil)
			if err != nil || got.UID != 1000 {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
	t.Run("to the host", func(t *testing.T) {
		os.Remove(link)
		if err := os.Symlink(host, link); err != nil {
			t.Fatal(err)
		}
		if got, err := ResolveUser(root, "host", nil); err == nil {
			t.Errorf("the host's file was read: %+v", got)
		}
	})
	t.Run("loop", func(t *testing.T) {
		os.Remove(link)
		if err := os.Symlink("passwd", link); err != nil {
			t.Fatal(err)
		}
		if _, err := ResolveUser(root, "app", nil); err == nil {
			t.Error("no error")
		}
	})
}

// What is no regular file must neither block nor be read.
func TestResolveUserOddFiles(t *testing.T) {
	odd := map[string]func(string) error{
		"fifo":      func(p string) error { return syscall.Mkfifo(p, 0o644) },
		"directory": func(p string) error { return os.Mkdir(p, 0o755) },
		"socket":    func(p string) error { return syscall.Mknod(p, syscall.S_IFSOCK|0o644, 0) },
	}
	for name, make := range odd {
		t.Run(name, func(t *testing.T) {
			root := openRoot(t, map[string]string{"etc/group": testGroup})
			if err := make(filepath.Join(root.Name(), "etc/passwd")); err != nil {
				t.Fatal(err)
			}
			done := make2(func() { _, _ = ResolveUser(root, "app", nil) })
			select {
			case <-done:
			case <-time.After(5 * time.Second):
				t.Fatal("still reading")
			}
			if u, err := ResolveUser(root, "9000", nil); err != nil || u.UID != 9000 {
				t.Errorf("got %+v, %v", u, err)
			}
		})
	}
}

func make2(f func()) chan struct{} {
	c := make(chan struct{})
	go func() { f(); close(c) }()
	return c
}

func TestResolveUserHugeFile(t *testing.T) {
	root := openRoot(t, map[string]string{"etc/passwd": testPasswd, "etc/group": testGroup})
	if err := os.Truncate(filepath.Join(root.Name(), "etc/passwd"), 1<<40); err != nil {
		t.Skip("no sparse files here:", err)
	}
	_, err := ResolveUser(root, "app", nil)
	if err == nil {
		t.Fatal("a terabyte of passwd was accepted")
	}
}

func TestSetUser(t *testing.T) {
	tests := map[string]struct {
		opts       SpecOptions
		user       User
		capAdd     []string
		wantEff    []string
		wantAmb    []string
		wantBounds int
		home       string
	}{
		"root keeps docker's":       {user: User{Home: "/root"}, wantEff: nil, wantBounds: 14, home: "/root"},
		"user has none":             {user: User{UID: 9000, Home: "/"}, wantBounds: 0, home: "/"},
		"user with new privileges":  {opts: SpecOptions{NewPrivileges: true}, user: User{UID: 9000, Home: "/"}, wantBounds: 14, home: "/"},
		"added one is ambient":      {opts: SpecOptions{CapAdd: []string{"net_raw"}}, user: User{UID: 9000, Home: "/"}, capAdd: []string{"net_raw"}, wantAmb: []string{"CAP_NET_RAW"}, wantBounds: 1, home: "/"},
		"added and dropped":         {opts: SpecOptions{CapAdd: []string{"ALL"}, CapDrop: []string{"sys_admin"}}, user: User{UID: 9000, Home: "/"}, capAdd: []string{"ALL"}, wantBounds: -1, home: "/"},
		"HOME given":                {opts: SpecOptions{Env: []string{"HOME=/x"}}, user: User{UID: 9000, Home: "/"}, home: "/x"},
		"empty HOME is replaced":    {opts: SpecOptions{Env: []string{"HOME="}}, user: User{UID: 9000, Home: "/h"}, home: "/h"},
		"HOME in the middle":        {opts: SpecOptions{Env: []string{"A=1", "HOME=", "B=2"}}, user: User{UID: 9000, Home: "/h"}, home: "/h"},
		"something like HOME given": {opts: SpecOptions{Env: []string{"HOMEX=/y"}}, user: User{UID: 9000, Home: "/h"}, home: "/h"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s, err := NewSpec(tt.opts)
			if err != nil {
				t.Fatal(err)
			}
			SetUser(s, tt.user, tt.capAdd)
			c := s.Process.Capabilities
			if tt.wantBounds >= 0 && len(c.Bounding) != tt.wantBounds {
				t.Errorf("bounding set %v, want %d", c.Bounding, tt.wantBounds)
			}
			if tt.user.UID != 0 {
				checkUserSets(t, c, tt.wantAmb, tt.wantBounds < 0)
			} else if len(c.Effective) != 14 || len(c.Ambient) != 0 || len(c.Inheritable) != 0 {
				t.Errorf("root has %+v", c)
			}
			if got := lookup(s.Process.Env, "HOME"); got != tt.home {
				t.Errorf("HOME %q, want %q", got, tt.home)
			}
			if s.Process.User.UID != tt.user.UID {
				t.Errorf("uid %d", s.Process.User.UID)
			}
		})
	}
}

// checkUserSets holds that a non-root user's sets are all the same: want, or everything but SYS_ADMIN.
func checkUserSets(t *testing.T, c *specs.LinuxCapabilities, want []string, all bool) {
	t.Helper()
	for name, set := range map[string][]string{"effective": c.Effective, "permitted": c.Permitted, "inheritable": c.Inheritable, "ambient": c.Ambient} {
		joined := strings.Join(set, " ")
		if all {
			if strings.Contains(joined, "SYS_ADMIN") || !strings.Contains(joined, "CAP_NET_ADMIN") {
				t.Errorf("%s: %v", name, set)
			}
			continue
		}
		if joined != strings.Join(want, " ") {
			t.Errorf("%s: %v, want %v", name, set, want)
		}
	}
}

func lookup(env []string, name string) string {
	for _, e := range env {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			return v
		}
	}
	return "(unset)"
}

func FuzzResolveUser(f *testing.F) {
	f.Add("app:audio", "wheel", testPasswd, testGroup)
	f.Add("", "", "", "")
	f.Add("00", "0", "root:x:0:0", "root")
	f.Add("a:b", "-1", "a:x:-1:-1:::", "b:x:99999999999:a,,a")
	f.Fuzz(func(t *testing.T, spec, add, passwd, group string) {
		p := &userFile{name: "etc/passwd", r: limited(passwd)}
		g := &userFile{name: "etc/group", r: limited(group)}
		u, err := resolveUser(spec, []string{add, "7"}, p, g)
		if err != nil {
			return
		}
		if u.Home == "" {
			t.Error("no home")
		}
		if u.UID > maxID || u.GID > maxID {
			t.Errorf("ids out of range: %+v", u)
		}
		if len(u.Groups) == 0 || u.Groups[0] != u.GID {
			t.Errorf("groups %v do not begin with %d", u.Groups, u.GID)
		}
	})
}

func limited(s string) *io.LimitedReader {
	return &io.LimitedReader{R: strings.NewReader(s), N: maxUserFileBytes}
}
