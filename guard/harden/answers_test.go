package harden

import (
	"errors"
	"path"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/observe"
	"github.com/deckhand-engine/deckhand/guard/repair"
	"github.com/deckhand-engine/deckhand/oci"
)

// system are files that most images have.
func system() files {
	out := files{
		link("/bin", "usr/bin"), link("/lib", "usr/lib"), link("/var/run", "/run"), link("/var/lock", "/run/lock"),
		directory("/root", 0o700), directory("/tmp", 0o777), directory("/var/tmp", 0o777), regular("/etc/passwd", 0o644),
		regular("/etc/shadow", 0o640), regular("/usr/bin/sh", 0o755),
	}
	for _, dir := range []string{
		"/etc", "/usr", "/usr/bin", "/usr/lib", "/usr/share", "/var", "/var/lib", "/var/log", "/var/cache", "/var/spool", "/run",
		"/run/lock", "/opt", "/srv", "/home", "/proc", "/sys", "/dev",
	} {
		out = append(out, directory(dir, 0o755))
	}
	return out
}

// sessionOf is a session over an image, of a service that did something as root.
func sessionOf(t testing.TB, image files, asRoot ...observe.Call) *session {
	t.Helper()
	return &session{
		o: &Options{Name: "x", UID: 9000, GID: 9000}, image: &guard.Image{Files: image}, files: treeOf(t, image...),
		asRoot: &Outcome{Record: &observe.Record{Calls: asRoot}},
	}
}

func named(repairs []repair.Repair) []string {
	var out []string
	for _, r := range repairs {
		out = append(out, r.String())
	}
	slices.Sort(out)
	return out
}

// opening is an attempt to write a file.
func opening(name string, errno syscall.Errno) observe.Call {
	return observe.Call{Syscall: "openat", Path: name, Writes: true, Creates: true, Errno: errno}
}

// reading is an attempt to read one.
func reading(name string, errno syscall.Errno) observe.Call {
	return observe.Call{Syscall: "openat", Path: name, Errno: errno}
}

func TestAnswer(t *testing.T) {
	const rofs, acces, perm = syscall.EROFS, syscall.EACCES, syscall.EPERM
	private := append(system(), directory("/etc/x", 0o700), regular("/etc/x/key", 0o600), regular("/usr/bin/ping", 0o755))
	private[len(private)-1].Capabilities = "cap_net_raw"
	has := func(repairs ...repair.Repair) candidate { return candidate{repairs: repairs} }
	tests := map[string]struct {
		c      candidate
		asRoot []observe.Call
		calls  []observe.Call
		want   []string
	}{
		"nothing":                         {},
		"what succeeded":                  {calls: []observe.Call{opening("/run/x", 0)}},
		"what is missing":                 {calls: []observe.Call{reading("/etc/y", syscall.ENOENT)}},
		"a file":                          {calls: []observe.Call{opening("/run/x", rofs)}, want: []string{"tmpfs /run"}},
		"with what is next":               {calls: []observe.Call{opening("/run/x", rofs)}, asRoot: []observe.Call{opening("/var/lib/x/y", 0)}, want: []string{"tmpfs /run", "volume /var/lib/x"}},
		"only what is next":               {asRoot: []observe.Call{opening("/var/lib/x/y", 0)}},
		"by the filter":                   {calls: []observe.Call{{Syscall: "openat", Path: "/run/x", Writes: true, Errno: perm, Filtered: true}}},
		"a name that no profile can have": {calls: []observe.Call{opening("/var/lib/\x01/y", rofs)}},
		"a shared directory":              {calls: []observe.Call{opening("/etc/x.pid", rofs)}},
		"code":                            {calls: []observe.Call{opening("/usr/lib/x", rofs)}},
		"the kernel's":                    {calls: []observe.Call{opening("/proc/sys/vm/x", rofs), opening("/sys/x", rofs), opening("/dev/x", acces)}},
		"what only root sees":             {calls: []observe.Call{reading("/etc/shadow", acces), reading("/etc/gshadow", acces)}},
		"a question": {
			calls: []observe.Call{{Syscall: "access", Path: "/run", Errno: rofs, Args: [6]int64{0, 2}}}, want: []string{"tmpfs /run"},
		},
		"a question about reading": {calls: []observe.Call{{Syscall: "access", Path: "/run", Errno: rofs, Args: [6]int64{0, 4}}}},
		"a link, not what it leads to": {
			calls: []observe.Call{{Syscall: "symlink", Path: "/var/lib/y/z", To: "/run/x", Writes: true, Errno: rofs}}, want: []string{"tmpfs /run"},
		},
		"an attribute": {
			calls: []observe.Call{{Syscall: "setxattr", Path: "/var/lib/x/f", To: "user.tag", Writes: true, Errno: rofs}},
			want:  []string{"volume /var/lib/x"},
		},
		"a directory":         {calls: []observe.Call{{Syscall: "mkdir", Path: "/var/lib/x", Writes: true, Errno: rofs}}, want: []string{"volume /var/lib/x"}},
		"a log":               {calls: []observe.Call{opening("/var/log/x/y", rofs)}, want: []string{"tmpfs /var/log/x"}},
		"a queue":             {calls: []observe.Call{opening("/var/spool/x/y", rofs)}, want: []string{"volume /var/spool/x"}},
		"a temporary file":    {calls: []observe.Call{opening("/tmp/x/y", rofs)}, want: []string{"tmpfs /tmp"}},
		"root's home":         {calls: []observe.Call{reading("/root/.x", acces)}, want: []string{"env HOME=/home/x", "volume /home/x"}},
		"a key":               {calls: []observe.Call{reading("/etc/x/key", acces)}, want: []string{"chown /etc/x/key", "mode /etc/x"}},
		"a program with caps": {calls: []observe.Call{{Syscall: "execve", Path: "/bin/ping", Errno: perm}}, want: []string{"strip-caps /usr/bin/ping"}},
		"a socket": {
			calls: []observe.Call{{Syscall: "bind", Socket: "unix/stream", Address: "unix:/run/x.sock", Errno: rofs}}, want: []string{"tmpfs /run"},
		},
		"a socket without a file": {calls: []observe.Call{{Syscall: "bind", Socket: "unix/stream", Address: "unix:@x", Errno: perm}}},
		"ports": {
			calls:  []observe.Call{{Syscall: "bind", Socket: "inet6/stream", Address: "[::]:443", Errno: acces}},
			asRoot: []observe.Call{{Syscall: "bind", Socket: "inet/stream", Address: "0.0.0.0:80"}, {Syscall: "bind", Address: "0.0.0.0:8080"}},
			want:   []string{"sysctl net.ipv4.ip_unprivileged_port_start=80"},
		},
		"a lower port": {
			c:     has(repair.Repair{Kind: repair.Port, Value: oci.PortStart + "=443"}),
			calls: []observe.Call{{Syscall: "bind", Address: "0.0.0.0:80", Errno: acces}},
			want:  []string{"sysctl net.ipv4.ip_unprivileged_port_start=80"},
		},
		"a port in use":           {calls: []observe.Call{{Syscall: "bind", Address: "0.0.0.0:80", Errno: syscall.EADDRINUSE}}},
		"what is a privilege":     {calls: []observe.Call{{Syscall: "chown", Path: "/run/x", Writes: true, Errno: perm}}},
		"what is there already":   {c: has(repair.Repair{Kind: repair.Tmpfs, Path: "/run"}), calls: []observe.Call{opening("/run/x", acces)}},
		"what belongs to another": {c: has(repair.Repair{Kind: repair.Volume, Path: "/var/lib/x"}), calls: []observe.Call{opening("/var/lib/x/y", acces)}, want: []string{"volume -R /var/lib/x"}},
		"places within another": {
			calls: []observe.Call{opening("/var/lib/x/y", rofs), {Syscall: "mkdir", Path: "/var/lib/x/z", Writes: true, Errno: rofs}}, want: []string{"volume /var/lib/x"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := sessionOf(t, private, tt.asRoot...)
			got := s.answer(tt.c, &observe.Record{Calls: tt.calls})
			if diff := cmp.Diff(tt.want, named(got)); diff != "" {
				t.Errorf("repairs (-want +got)\n%s", diff)
			}
		})
	}
}

// isForeign has directories that no service gets whole, as a list of its own.
func isForeign(p string) bool {
	if slices.Contains(strings.Fields("/ /etc /usr /usr/bin /usr/lib /usr/share /bin /lib /var /var/lib /home /opt /srv /root /proc /sys /dev"), p) {
		return true
	}
	for _, kernel := range []string{"/proc/", "/sys/", "/dev/"} {
		if strings.HasPrefix(p, kernel) && !strings.HasPrefix(p+"/", "/dev/shm/") {
			return true
		}
	}
	return false
}

// FuzzAnswer answers whatever a service may do: what is proposed can be written down, and gives nothing away that is
// not the service's.
func FuzzAnswer(f *testing.F) {
	f.Add("openat w /run/x EROFS\nmkdir w /var/lib/x EROFS\nrename w /srv/x/a EXDEV /srv/y/b", "openat w /etc/x\nbind - 0.0.0.0:80")
	f.Add("openat r /etc/shadow EACCES\nopenat r /etc/x/y EACCES\nexecve r /bin/sh EPERM", "openat r /root/.x")
	f.Add("openat w /x EROFS\nbind w unix:/run/x EACCES\nunlink w /proc/1 EPERM\naccess r / EROFS", "mkdir w /dev/shm/x")
	f.Add("openat w /var/run/../x\\ y EROFS\nopenat w /usr/lib/x/y/z EROFS\nopenat w /etc/.. EROFS", "openat w /dev\nopenat w /sys/fs")
	f.Add("openat r /etc/shadow/x EACCES", "openat r /etc/gshadow/x")
	f.Fuzz(func(t *testing.T, refused, asRoot string) {
		if len(refused)+len(asRoot) > 1000 {
			return
		}
		s := sessionOf(t, append(system(), directory("/etc/x", 0o700), regular("/etc/x/y", 0o600)), callsOf(asRoot)...)
		record := &observe.Record{Calls: callsOf(refused)}
		for _, r := range []*observe.Record{record, s.asRoot.Record} {
			r.Calls = slices.DeleteFunc(r.Calls, func(c observe.Call) bool { return isBelowFile(s, c.Path) || isBelowFile(s, c.To) })
		}
		var c candidate
		for range 3 {
			more := s.answer(c, record)
			for _, r := range more {
				checkRepair(t, r)
			}
			if c = c.with(more...); len(more) == 0 {
				break
			}
		}
		if err := s.profile(c).Check(); err != nil {
			t.Errorf("%v: the profile: %v", named(c.repairs), err)
		}
		o := repair.Options{User: "9000:9000"}
		_, err := repair.Dockerfile([]byte("FROM scratch\nCMD [\"x\"]\n"), o, ordered(c.repairs))
		if _, isPath := errors.AsType[*repair.PathError](err); err != nil && !isPath {
			t.Errorf("%v: the Dockerfile: %v", named(c.repairs), err)
		}
	})
}

// isBelowFile reports whether a path leads through a file that is no directory: to the kernel that is ENOTDIR.
func isBelowFile(s *session, p string) bool {
	for dir := path.Dir(s.files.resolve(p, true)); dir != "/"; dir = path.Dir(dir) {
		if f, ok := s.files.stat(dir); ok && f.Mode.IsRegular() {
			return true
		}
	}
	return false
}

func checkRepair(t *testing.T, r repair.Repair) {
	t.Helper()
	switch r.Kind {
	case repair.Tmpfs, repair.Volume, repair.Chown:
		if isForeign(r.Path) {
			t.Errorf("%s gives away what is not the service's", r)
		}
	case repair.Capability, repair.Root, repair.ReadWrite, repair.Entrypoint, repair.Config:
		t.Errorf("%s is no answer to a refusal", r)
	default:
	}
	if strings.Contains(r.Path, "shadow") && strings.HasPrefix(r.Path, "/etc/") && (r.Path == "/etc/shadow" || r.Path == "/etc/gshadow") {
		t.Errorf("%s shows passwords", r)
	}
}

// callsOf reads lines "SYSCALL w|r PATH-OR-ADDRESS ERRNO TO".
func callsOf(text string) []observe.Call {
	errnos := map[string]syscall.Errno{
		"EROFS": syscall.EROFS, "EACCES": syscall.EACCES, "EPERM": syscall.EPERM, "ENOENT": syscall.ENOENT, "EXDEV": syscall.EXDEV,
	}
	var out []observe.Call
	for line := range strings.SplitSeq(text, "\n") {
		f := append(strings.Split(line, " "), "", "", "", "", "")
		c := observe.Call{Syscall: f[0], Writes: strings.Contains(f[1], "w"), Errno: errnos[f[3]], Args: [6]int64{0, 2, 2}}
		if f[0] == "bind" {
			c.Address, c.Socket = f[2], "inet/stream"
		} else {
			c.Path, c.To = absolutely(f[2]), absolutely(f[4])
		}
		out = append(out, c)
	}
	return out
}

// absolutely is a path as it is recorded: absolute, or none.
func absolutely(name string) string {
	if name == "" {
		return ""
	}
	return "/" + strings.TrimLeft(name, "/")
}
