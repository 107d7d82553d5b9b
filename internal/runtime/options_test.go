package runtime

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// mountinfo is the last line about a mount point in what a container printed: its options, its
// propagation and its filesystem's options.
func mountinfo(t *testing.T, text, target string) (options, propagation, super string) {
	t.Helper()
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 9 || f[4] != target {
			continue
		}
		options, super, propagation = f[5], f[len(f)-1], ""
		for _, o := range f[6:] {
			if o == "-" {
				break
			}
			propagation += strings.Split(o, ":")[0]
		}
	}
	if options == "" {
		t.Errorf("nothing is mounted on %s:\n%s", target, text)
	}
	return options, propagation, super
}

// TestMountOptions is the table of the specification, on a tmpfs and on a bind mount.
func TestMountOptions(t *testing.T) {
	tests := map[string]struct {
		options     []string
		tmpfs, bind string // the mount's options; "": not to be had
		super       string // the tmpfs has it among its own
	}{
		"none":                   {tmpfs: "rw,relatime", bind: "rw,nodev,relatime"},
		"defaults":               {options: []string{"defaults", "async", "silent", "loud"}, tmpfs: "rw,relatime", bind: "rw,nodev,relatime"},
		"ro":                     {options: []string{"ro"}, tmpfs: "ro,relatime", bind: "ro,nodev,relatime"},
		"the last wins":          {options: []string{"ro", "rw", "nosuid", "suid", "exec", "noexec"}, tmpfs: "rw,noexec,relatime", bind: "rw,nodev,noexec,relatime"},
		"nosuid,nodev,noexec":    {options: []string{"nosuid", "nodev", "noexec"}, tmpfs: "rw,nosuid,nodev,noexec,relatime", bind: "rw,nosuid,nodev,noexec,relatime"},
		"dev":                    {options: []string{"nodev", "dev"}, tmpfs: "rw,relatime", bind: "rw,relatime"},
		"noatime":                {options: []string{"noatime"}, tmpfs: "rw,noatime", bind: "rw,nodev,noatime"},
		"strictatime":            {options: []string{"strictatime"}, tmpfs: "rw", bind: "rw,nodev"},
		"atime":                  {options: []string{"noatime", "atime"}, tmpfs: "rw,relatime", bind: "rw,nodev,relatime"},
		"nostrictatime":          {options: []string{"strictatime", "nostrictatime"}, tmpfs: "rw,relatime", bind: "rw,nodev,relatime"},
		"norelatime":             {options: []string{"norelatime"}, tmpfs: "rw,relatime", bind: "rw,nodev,relatime"},
		"nodiratime":             {options: []string{"nodiratime"}, tmpfs: "rw,nodiratime,relatime", bind: "rw,nodev,nodiratime,relatime"},
		"diratime":               {options: []string{"nodiratime", "diratime"}, tmpfs: "rw,relatime", bind: "rw,nodev,relatime"},
		"nosymfollow":            {options: []string{"nosymfollow"}, tmpfs: "rw,relatime,nosymfollow", bind: "rw,nodev,relatime,nosymfollow"},
		"symfollow":              {options: []string{"nosymfollow", "symfollow"}, tmpfs: "rw,relatime", bind: "rw,nodev,relatime"},
		"rro":                    {options: []string{"rro", "rnosuid", "rnoatime"}, tmpfs: "ro,nosuid,noatime", bind: "ro,nosuid,nodev,noatime"},
		"sync":                   {options: []string{"sync", "dirsync", "lazytime"}, tmpfs: "rw,relatime", super: "sync"},
		"nolazytime, noiversion": {options: []string{"lazytime", "nolazytime", "noiversion", "nomand"}, tmpfs: "rw,relatime", bind: "rw,nodev,relatime"},
		"iversion, mand":         {options: []string{"iversion", "mand"}, tmpfs: "rw,relatime"},
		"size":                   {options: []string{"size=64k", "mode=700"}, tmpfs: "rw,relatime", super: "size=64k"},
	}
	for name, tt := range tests {
		t.Run("tmpfs, "+name, func(t *testing.T) {
			b := newBox(t, "guest", "cat", "/proc/self/mountinfo")
			b.mount(specs.Mount{Destination: "/data", Type: "tmpfs", Source: "tmpfs", Options: tt.options})
			options, _, super := mountinfo(t, b.run().out, "/data")
			if options != tt.tmpfs || !strings.Contains(super, tt.super) {
				t.Errorf("%s of a filesystem with %s, want %s and %s", options, super, tt.tmpfs, tt.super)
			}
		})
		t.Run("bind, "+name, func(t *testing.T) {
			b := newBox(t, "guest", "cat", "/proc/self/mountinfo").mount(bindMount(volume(t), "/data", tt.options...))
			r, err := b.try(t.Context())
			var unsupported *UnsupportedError
			if tt.bind == "" {
				if !errors.As(err, &unsupported) || !strings.Contains(unsupported.Field, strings.Split(tt.options[0], "=")[0]) {
					t.Errorf("%v, want unsupported", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if options, _, _ := mountinfo(t, r.out, "/data"); options != tt.bind {
				t.Errorf("%s, want %s", options, tt.bind)
			}
		})
	}
}

// TestMountPropagation: with an r, the mounts below as well.
func TestMountPropagation(t *testing.T) {
	dir := t.TempDir()
	newBox(t, "guest") // only root may mount
	for _, d := range []string{dir, filepath.Join(dir, "sub")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount("tmpfs", d, "tmpfs", 0, ""); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Unmount(d, unix.MNT_DETACH) })
		if err := unix.Mount("", d, "", unix.MS_SHARED, ""); err != nil {
			t.Fatal(err)
		}
	}
	tests := map[string]struct{ option, top, below string }{
		"none":        {"", "", ""},
		"private":     {"private", "", ""},
		"rprivate":    {"rprivate", "", ""},
		"slave":       {"slave", "master", "master"},
		"rslave":      {"rslave", "master", "master"},
		"shared":      {"shared", "sharedmaster", "master"},
		"rshared":     {"rshared", "shared", "shared"},
		"unbindable":  {"unbindable", "unbindable", ""},
		"runbindable": {"runbindable", "unbindable", "unbindable"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			b := newBox(t, "guest", "cat", "/proc/self/mountinfo")
			b.mount(specs.Mount{Destination: "/data", Source: dir, Options: []string{"rbind", tt.option}})
			out := b.run().out
			_, top, _ := mountinfo(t, out, "/data")
			_, below, _ := mountinfo(t, out, "/data/sub")
			if top != tt.top || below != tt.below {
				t.Errorf("%q and below %q, want %q and %q", top, below, tt.top, tt.below)
			}
		})
	}
}

// TestRootPropagation: every word of the specification.
func TestRootPropagation(t *testing.T) {
	for word, want := range map[string]string{"": "", "private": "", "rprivate": "", "shared": "shared", "rshared": "shared", "unbindable": "unbindable", "runbindable": "unbindable"} {
		b := newBox(t, "guest", "cat", "/proc/self/mountinfo")
		b.o.Spec.Linux.RootfsPropagation = word
		if _, got, _ := mountinfo(t, b.run().out, "/"); got != want {
			t.Errorf("%s: %q, want %q", word, got, want)
		}
	}
	b := newBox(t, "guest")
	b.o.Spec.Linux.RootfsPropagation = "public"
	if _, err := b.try(t.Context()); err == nil || !strings.Contains(err.Error(), "linux.rootfsPropagation") {
		t.Error(err)
	}
}

// TestMountRemount changes mounts that are there.
func TestMountRemount(t *testing.T) {
	b := newBox(t, "guest", "cat", "/proc/self/mountinfo").mount(bindMount(volume(t), "/data"),
		specs.Mount{Destination: "/data", Type: "bind", Options: []string{"bind", "remount", "ro", "noexec"}},
		specs.Mount{Destination: "/mem", Type: "tmpfs", Source: "tmpfs", Options: []string{"size=64k", "ro"}},
		specs.Mount{Destination: "/mem", Type: "tmpfs", Options: []string{"remount", "size=128k", "rw", "nosuid"}})
	out := b.run().out
	if options, _, _ := mountinfo(t, out, "/data"); options != "ro,nodev,noexec,relatime" {
		t.Errorf("bind: %s", options)
	}
	if options, _, super := mountinfo(t, out, "/mem"); options != "rw,nosuid,relatime" || !strings.Contains(super, "size=128k") {
		t.Errorf("tmpfs: %s %s", options, super)
	}
	for name, m := range map[string]specs.Mount{
		"data of a bind": {Destination: "/data", Options: []string{"bind", "remount", "size=1"}},
		"idmap":          {Destination: "/data", Options: []string{"remount", "idmap"}},
		"recursive":      {Destination: "/data", Options: []string{"remount", "rro"}},
	} {
		var unsupported *UnsupportedError
		if _, err := newBox(t, "guest").mount(m).try(t.Context()); !errors.As(err, &unsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestCopyUp has a tmpfs begin with what the image has there.
func TestCopyUp(t *testing.T) {
	b := newBox(t, "guest", "stat", "/data", "/data/dir", "/data/dir/file", "/data/link", "/data/pipe")
	dir := b.upper("data")
	if err := os.MkdirAll(filepath.Join(dir, "dir"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		os.WriteFile(filepath.Join(dir, "dir/file"), []byte(strings.Repeat("content", 30000)), 0o640),
		os.Symlink("dir/file", filepath.Join(dir, "link")), unix.Mkfifo(filepath.Join(dir, "pipe"), 0o600),
		os.Chmod(dir, 0o770|os.ModeSticky), os.Chown(dir, 7, 8), os.Chown(filepath.Join(dir, "dir/file"), 9000, 9),
		os.Lchown(filepath.Join(dir, "link"), 5, 6),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	b.o.Spec.Process.User = specs.User{UID: 7, GID: 8}
	b.mount(specs.Mount{Destination: "/data", Type: "tmpfs", Source: "tmpfs", Options: []string{"tmpcopyup"}})
	b.want("data 41770 7:8\ndir 40755 0:0\nfile 100640 9000:9\nlink 120777 5:6\npipe 10600 0:0")
	b = newBox(t, "guest", "cat", "/data/dir/file").asRoot()
	if err := os.MkdirAll(b.upper("data/dir"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(b.upper("data/dir/file"), []byte("x"+strings.Repeat("content", 30000)), 0o644); err != nil {
		t.Fatal(err)
	}
	b.mount(specs.Mount{Destination: "/data", Type: "tmpfs", Source: "tmpfs", Options: []string{"tmpcopyup"}})
	b.want("x" + strings.Repeat("content", 30000))
	var unsupported *UnsupportedError
	if _, err := newBox(t, "guest").mount(bindMount(t.TempDir(), "/data", "tmpcopyup")).try(t.Context()); !errors.As(err, &unsupported) {
		t.Errorf("of a bind: %v", err)
	}
}

// TestIDMapOwn shifts a mount by mappings of its own, with and without a user namespace.
func TestIDMapOwn(t *testing.T) {
	for name, user := range map[string]bool{"user namespace": true, "host's users": false} {
		t.Run(name, func(t *testing.T) {
			dir := volume(t)
			if err := os.Chown(filepath.Join(dir, "file"), 1000, 1001); err != nil {
				t.Fatal(err)
			}
			b := newBox(t, "guest", "stat", "/data/file")
			base := b.idr.HostBase
			if !user {
				b.leave(specs.UserNamespace)
				base = 0
			}
			m := bindMount(dir, "/data", "idmap")
			m.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 1000, HostID: base + 50, Size: 10}}
			m.GIDMappings = []specs.LinuxIDMapping{{ContainerID: 1001, HostID: base + 60, Size: 10}}
			b.o.StrictIDMap = true
			b.mount(m).want("file 100644 50:60")
		})
	}
}

// TestIDMapStrict: an idmapped mount that cannot be one is an error where that was asked for.
func TestIDMapStrict(t *testing.T) {
	b := newBox(t, "guest").mount(bindMount("/proc/sys/kernel", "/data", "idmap"))
	b.o.StrictIDMap = true
	if _, err := b.try(t.Context()); !errors.Is(err, unix.EINVAL) {
		t.Error(err)
	}
	b = newBox(t, "guest").mount(bindMount(volume(t), "/data", "idmap"))
	b.leave(specs.UserNamespace)
	if _, err := b.try(t.Context()); err == nil || !strings.Contains(err.Error(), "uidMappings") {
		t.Errorf("without a user namespace: %v", err)
	}
}
