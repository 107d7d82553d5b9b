package harden

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/deckhand-engine/deckhand/guard/observe"
	"github.com/deckhand-engine/deckhand/guard/profile"
)

// TestPlace finds the directory that has to be writable, and how it becomes so.
func TestPlace(t *testing.T) {
	image := append(system(), directory("/var/lib/x", 0o755), directory("/var/lib/full", 0o755), regular("/var/lib/full/f", 0o644),
		directory("/srv/deep", 0o755), directory("/srv/deep/er", 0o755), directory("/var/cache/x", 0o755), directory("/usr/share/x", 0o755))
	tests := map[string]struct {
		p     string
		isDir bool
		want  string // empty: there is none
	}{
		"a file in a directory of its own":     {"/var/lib/x/f", false, "volume /var/lib/x"},
		"a file in a directory with files":     {"/var/lib/full/g", false, "volume -R /var/lib/full"},
		"a file that is there":                 {"/var/lib/full/f", false, "volume -R /var/lib/full"},
		"a directory that is there":            {"/var/lib/x", true, "volume /var/lib/x"},
		"a directory to be made":               {"/var/lib/y", true, "volume /var/lib/y"},
		"a file in a directory to be made":     {"/var/lib/y/z/f", false, "volume /var/lib/y"},
		"a file in a directory of many":        {"/var/lib/f", false, ""},
		"the deepest that is there":            {"/srv/deep/er/a/b", false, "volume /srv/deep/er"},
		"a file in the root":                   {"/f", false, ""},
		"a directory in the root":              {"/data", true, "volume /data"},
		"a file in /etc":                       {"/etc/f", false, ""},
		"a directory in /etc":                  {"/etc/x/f", false, "volume /etc/x"},
		"a program":                            {"/usr/bin/f", false, ""},
		"a library's directory":                {"/usr/lib/x/f", false, "volume /usr/lib/x"},
		"data among the code":                  {"/usr/share/x/f", false, "volume /usr/share/x"},
		"a file in /run":                       {"/run/f", false, "tmpfs /run"},
		"a directory in /run":                  {"/run/x/f", false, "tmpfs /run/x"},
		"a file in a cache":                    {"/var/cache/x/f", false, "tmpfs /var/cache/x"},
		"a file in /tmp":                       {"/tmp/a/b", false, "tmpfs /tmp"},
		"a file in shared memory":              {"/dev/shm/f", false, "tmpfs /dev/shm"},
		"a setting of the kernel":              {"/proc/sys/net/x", false, ""},
		"a file of the kernel":                 {"/sys/fs/cgroup/x", true, ""},
		"a device":                             {"/dev/x", false, ""},
		"something that only begins like /dev": {"/devices/x", false, "volume /devices"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := sessionOf(t, image)
			got := ""
			if dir, ok := s.place(tt.p, tt.isDir); ok {
				got = s.writable(dir).String()
			}
			if got != tt.want {
				t.Errorf("%s: %q, want %q", tt.p, got, tt.want)
			}
		})
	}
}

func TestListened(t *testing.T) {
	bind := func(socket, address string) observe.Call {
		return observe.Call{Syscall: "bind", Socket: socket, Address: address}
	}
	failed := bind("inet/stream", "0.0.0.0:81")
	failed.Errno = 98
	connect := bind("inet/stream", "0.0.0.0:82")
	connect.Syscall = "connect"
	r := &observe.Record{Calls: []observe.Call{
		bind("inet/stream", "0.0.0.0:8080"), bind("inet6/stream", "[::]:8080"), bind("inet/dgram", "0.0.0.0:53"),
		bind("inet/stream", "10.0.0.2:443"), bind("inet/stream", "127.0.0.1:83"), bind("inet6/stream", "[::1]:84"),
		bind("inet/dgram", "0.0.0.0:0"), bind("inet/dgram", "0.0.0.0:45678"), bind("unix/stream", "unix:/run/x:85"), failed, connect,
		bind("netlink/raw", ""),
	}}
	if diff := cmp.Diff([]string{"443/tcp", "53/udp", "8080/tcp"}, listened(r)); diff != "" {
		t.Errorf("ports (-want +got)\n%s", diff)
	}
}

func TestPortOf(t *testing.T) {
	tests := map[string]int{
		"0.0.0.0:80": 80, "[::]:8080": 8080, "[fe80::1%eth0]:53": 53, "unix:/run/x": 0, "unix:80": 0, "unix:@a:80": 0, "": 0, "80": 0,
		"0.0.0.0:http": 0,
	}
	for address, want := range tests {
		if got := portOf(address); got != want {
			t.Errorf("%q: %d, want %d", address, got, want)
		}
	}
}

// TestNames has names of volumes and users, whatever a service is called.
func TestNames(t *testing.T) {
	tests := map[string]struct{ name, dir, volume, user string }{
		"plain":            {"redis", "/var/lib/redis", "redis-data", "redis"},
		"another place":    {"redis", "/srv/Backups", "redis-backups", "redis"},
		"capital letters":  {"My.App", "/data", "my-app-data", "my-app"},
		"a registry":       {"ghcr.io/a/b:1", "/x y", "ghcr-io-a-b-1-x-y", "ghcr-io-a-b-1"},
		"digits":           {"3proxy", "/d", "3proxy-d", "proxy"},
		"only digits":      {"42", "/d", "42-d", "service"},
		"a user's name":    {"web", "/d", "web-d", "service"},
		"more than is fit": {"abcdefghijklmnopqrstuvwxyz0123456789", "/d", "abcdefghijklmnopqrstuvwxyz0123456789-d", "abcdefghijklmnopqrstuvwxyz012345"},
		"a long path":      {"x", "/" + strings.Repeat("long", 50), "x-" + strings.Repeat("long", 15) + "l", "x"},
		"other letters":    {"größe", "/ü", "gr--e--", "gr--e"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := sessionOf(t, append(system(), regular("/etc/passwd", 0o644)))
			s.o.Name = tt.name
			volume := volumeName(tt.name, tt.dir)
			if diff := cmp.Diff([]string{tt.volume, tt.user}, []string{volume, s.userName()}); diff != "" {
				t.Errorf("volume and user (-want +got)\n%s", diff)
			}
			p := profile.Profile{Version: 1, User: "1:1", Volumes: []profile.Volume{{Path: "/d", Name: volume}}}
			if err := p.Check(); err != nil {
				t.Error(err)
			}
		})
	}
}
