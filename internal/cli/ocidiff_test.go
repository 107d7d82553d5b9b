package cli_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/deckhand-engine/deckhand/internal/bundle"
	"github.com/deckhand-engine/deckhand/internal/linux/seccomp"
	"github.com/deckhand-engine/deckhand/internal/need"
)

// look is what a container's command tells about its world.
const look = `
cd /
grep -E '^(Uid|Gid|Groups|Umask|NoNewPrivs|Seccomp|Cap[A-Z][a-z]*|Speculation_Store_Bypass):' /proc/self/status
cut -d' ' -f1-10,12- /proc/self/limits 2>/dev/null | sort
[ $$ = 1 ] && echo first process; echo cwd $PWD hostname $(hostname) oom $(cat /proc/self/oom_score_adj) personality $(cat /proc/self/personality 2>/dev/null)
env | sort
for n in cgroup ipc mnt net pid user uts time; do [ "$(readlink /proc/self/ns/$n)" = "$(cat /hostns 2>/dev/null | grep "^$n " | cut -d' ' -f2)" ] && echo shares $n; done
ls -l /dev | sed 's/[A-Z][a-z][a-z] *[0-9]* *[0-9:]* / /' | sed 's/^total.*//' | sort
cat /proc/self/uid_map /proc/self/gid_map
for f in /proc/kcore /proc/keys /proc/timer_list /sys/firmware; do [ -d $f ] && echo $f $(ls $f | wc -l) || echo $f $(head -c1 $f 2>&1 | wc -c); done
(echo >/proc/sys/kernel/hostname) 2>/dev/null && echo may write /proc/sys || echo may not write /proc/sys
(echo >/x) 2>/dev/null && echo may write / || echo may not write /
cat /proc/sys/net/ipv4/ip_unprivileged_port_start 2>/dev/null
[ -t 0 ] && echo a terminal || echo no terminal
ls /proc/self/fd | wc -l
`

// differential are configurations that runc and we have to make the same container of.
func differential() map[string]func(*specs.Spec) {
	one, minus, umask := uint64(1024), 500, uint32(0o077)
	return map[string]func(*specs.Spec){
		"default":  func(*specs.Spec) {},
		"user":     func(s *specs.Spec) { s.Process.User = specs.User{UID: 9000, GID: 9001, AdditionalGids: []uint32{7, 8}} },
		"umask":    func(s *specs.Spec) { s.Process.User.Umask = &umask },
		"env":      func(s *specs.Spec) { s.Process.Env = append(s.Process.Env, "A=b", "EMPTY=", "WITH=a=b c") },
		"cwd":      func(s *specs.Spec) { s.Process.Cwd = "/etc" },
		"hostname": func(s *specs.Spec) { s.Hostname = "other" },
		"no caps":  func(s *specs.Spec) { s.Process.Capabilities = &specs.LinuxCapabilities{} },
		"ambient": func(s *specs.Spec) {
			few := []string{"CAP_KILL", "CAP_NET_BIND_SERVICE"}
			s.Process.User.UID = 9000
			s.Process.Capabilities = &specs.LinuxCapabilities{Bounding: few, Effective: few, Permitted: few, Inheritable: few, Ambient: few}
		},
		"new privileges": func(s *specs.Spec) { s.Process.NoNewPrivileges = false },
		"limits": func(s *specs.Spec) {
			s.Process.Rlimits = []specs.POSIXRlimit{{Type: "RLIMIT_NOFILE", Soft: 100, Hard: one}, {Type: "RLIMIT_CORE", Soft: 0, Hard: 0}}
		},
		"badness":        func(s *specs.Spec) { s.Process.OOMScoreAdj = &minus },
		"seccomp":        func(s *specs.Spec) { s.Linux.Seccomp = dockerProfile() },
		"read-only root": func(s *specs.Spec) { s.Root.Readonly = true },
		"host network":   func(s *specs.Spec) { dropNamespace(s, specs.NetworkNamespace) },
		"host ipc":       func(s *specs.Spec) { dropNamespace(s, specs.IPCNamespace) },
		"host uts":       func(s *specs.Spec) { dropNamespace(s, specs.UTSNamespace); s.Hostname = "" },
		"host cgroups":   func(s *specs.Spec) { dropNamespace(s, specs.CgroupNamespace) },
		"host pids":      func(s *specs.Spec) { dropNamespace(s, specs.PIDNamespace) },
		"nothing masked": func(s *specs.Spec) { s.Linux.MaskedPaths, s.Linux.ReadonlyPaths = nil, nil },
		"other masks":    func(s *specs.Spec) { s.Linux.MaskedPaths = []string{"/etc/group", "/bin/nosuch", "/sys/kernel"} },
		"sysctl":         func(s *specs.Spec) { s.Linux.Sysctl = map[string]string{"net.ipv4.ip_unprivileged_port_start": "80"} },
		"user namespace": func(s *specs.Spec) {
			s.Linux.Namespaces = append(s.Linux.Namespaces, specs.LinuxNamespace{Type: specs.UserNamespace})
			s.Linux.UIDMappings = []specs.LinuxIDMapping{{ContainerID: 0, HostID: 100000, Size: 65536}}
			s.Linux.GIDMappings = s.Linux.UIDMappings
		},
		"device": func(s *specs.Spec) {
			s.Linux.Devices = []specs.LinuxDevice{{Path: "/dev/also-null", Type: "c", Major: 1, Minor: 3}}
		},
		"tmpfs": func(s *specs.Spec) {
			s.Mounts = append(s.Mounts, specs.Mount{
				Destination: "/tmp", Type: "tmpfs", Source: "tmpfs", Options: []string{"noexec", "nosuid", "nodev", "mode=1777", "size=1m"},
			})
		},
		"binds": func(s *specs.Spec) {
			s.Mounts = append(s.Mounts,
				specs.Mount{Destination: "/b/ro", Type: "bind", Source: "/etc", Options: []string{"rbind", "ro", "nosuid"}},
				specs.Mount{Destination: "/b/rw", Type: "bind", Source: "/tmp", Options: []string{"bind", "rw", "noexec"}},
				specs.Mount{Destination: "/b/file", Type: "bind", Source: "/etc/passwd", Options: []string{"bind", "ro"}})
		},
	}
}

func dropNamespace(s *specs.Spec, t specs.LinuxNamespaceType) {
	s.Linux.Namespaces = slices.DeleteFunc(s.Linux.Namespaces, func(n specs.LinuxNamespace) bool { return n.Type == t })
}

func dockerProfile() *specs.LinuxSeccomp {
	p, err := seccomp.Default(nil)
	if err != nil {
		panic(err)
	}
	return p
}

// runtimes are what is compared.
func runtimes(t *testing.T) map[string][]string {
	t.Helper()
	return map[string][]string{
		"deckhand oci": {"deckhand", "oci", "--root", filepath.Join(t.TempDir(), "ours")},
		"runc":         {"runc", "--root", filepath.Join(t.TempDir(), "runc")},
	}
}

// TestOciDifferential runs the same bundles on runc and on ours, and compares what the container sees.
func TestOciDifferential(t *testing.T) {
	need.Root(t)
	need.Program(t, "runc", "tar")
	dir := unpackBase(t)
	for name, edit := range differential() {
		t.Run(name, func(t *testing.T) {
			s := comparable(edit)
			seen := map[string]string{}
			for runtime, command := range runtimes(t) {
				writeConfig(t, dir, s)
				code, out := runIn(t, dir, append(command, "run", "compared")...)
				seen[runtime] = "exit code " + strconv.Itoa(code) + "\n" + normal(out)
			}
			if diff := cmp.Diff(strings.Split(seen["runc"], "\n"), strings.Split(seen["deckhand oci"], "\n")); diff != "" {
				t.Errorf("runc (-), deckhand oci (+):\n%s", diff)
			}
			if !strings.HasPrefix(seen["runc"], "exit code 42\n") || !strings.Contains(seen["runc"], "Uid:") {
				t.Errorf("runc: %s", seen["runc"])
			}
		})
	}
}

// comparable is the configuration of a container that looks around.
func comparable(edit func(*specs.Spec)) *specs.Spec {
	s := bundle.Default()
	s.Version = "1.0.2" // the newest that Debian's runc knows
	s.Process.Terminal = false
	s.Process.Args = []string{"/bin/sh", "-c", look + "\ncut -d' ' -f5- /proc/self/mountinfo; exit 42"}
	s.Root.Readonly = false
	s.Linux.Resources = nil
	edit(s)
	return s
}

// normal leaves out what is meant to differ: docs/conformance.md says why.
func normal(out string) string {
	var lines []string
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(line)
		if strings.HasSuffix(line, " mqueue") && strings.HasPrefix(line, "d") {
			continue // its IPC namespace is made before the user namespace has ids: the owner is nobody, and the mode 1777
		}
		line = hostNode.ReplaceAllString(line, "$1 $2") // its owner is what it is on the host
		if mountLine.MatchString(line) {
			if line = normalMount(line); line == "" {
				continue
			}
		}
		lines = append(lines, line)
	}
	slices.Sort(lines) // of mounts, the order in which they were cloned
	return strings.Join(lines, "\n")
}

var (
	hostNode   = regexp.MustCompile(`^(crw-rw-rw-).* (null|zero|full|random|urandom|tty)$`)
	mountLine  = regexp.MustCompile(` - [a-z0-9]+ `)
	devNode    = regexp.MustCompile(`^/dev/(null|zero|full|random|urandom|tty) `)
	maskedLine = regexp.MustCompile(`^/(proc|sys)/(acpi|asound|interrupts|kcore|keys|latency_stats|timer_list|timer_stats|sched_debug|scsi|firmware|devices/virtual/powercap|kernel)`)
)

// normalMount keeps place, options of the mount and file system of a mount.
func normalMount(line string) string {
	before, after, _ := strings.Cut(line, " - ")
	fields, kind := strings.Fields(before), strings.Fields(after)[0]
	if devNode.MatchString(line) || maskedLine.MatchString(line) || strings.HasPrefix(fields[0], "/sys/fs/cgroup") {
		return "" // compared by what can be done with them, above
	}
	if fields[0] == "/etc/group" {
		return "" // covered by /dev/null: ours is the host's, runc's is in the container's /dev
	}
	options := strings.Split(fields[1], ",")
	slices.Sort(options)
	if fields[0] == "/" || strings.HasPrefix(fields[0], "/b/") {
		options = slices.DeleteFunc(options, func(o string) bool { return o == "nodev" }) // ours has no devices in what is bound
	}
	if strings.HasPrefix(fields[0], "/proc/") {
		options = []string{options[len(options)-1]} // read-only ones of ours are without devices, programs and set ids as well
	}
	return "mount " + fields[0] + " " + strings.Join(options, ",") + " " + kind
}

// unpackBase makes a bundle of the small root.
func unpackBase(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	root := filepath.Join(dir, "rootfs")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	for p := dir; p != os.TempDir() && p != "/"; p = filepath.Dir(p) {
		if err := os.Chmod(p, 0o755); err != nil { // user namespaces go through them
			t.Fatal(err)
		}
	}
	if out, err := exec.CommandContext(t.Context(), "tar", "-xf", os.Getenv("BASE_TAR"), "-C", root).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var ns []byte
	for _, n := range []string{"cgroup", "ipc", "mnt", "net", "pid", "user", "uts", "time"} {
		link, err := os.Readlink("/proc/self/ns/" + n)
		if err == nil {
			ns = append(ns, n+" "+link+"\n"...)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "hostns"), ns, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func writeConfig(t *testing.T, dir string, s *specs.Spec) {
	t.Helper()
	raw, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), raw, 0o644); err != nil {
		t.Fatal(err)
	}
}

// runIn runs a command to its end and gives its exit code and what it wrote.
func runIn(t *testing.T, dir string, args ...string) (int, string) {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &out
	cmd.Env = append(os.Environ(), "LISTEN_FDS=")
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode(), out.String()
	}
	if err != nil {
		t.Fatal(err)
	}
	return 0, out.String()
}

// TestOciHostDevices: root of a container without a user namespace writes to /dev/zero, and can change neither its owner
// nor its mode, which are the host's.
func TestOciHostDevices(t *testing.T) {
	need.Root(t)
	need.Program(t, "tar")
	dir := unpackBase(t)
	t.Cleanup(func() { _ = errors.Join(os.Chown("/dev/zero", 0, 0), os.Chmod("/dev/zero", 0o666)) }) // should it be broken
	writeConfig(t, dir, comparable(func(s *specs.Spec) {
		all := []string{"CAP_CHOWN", "CAP_FOWNER", "CAP_DAC_OVERRIDE"}
		s.Process.Capabilities = &specs.LinuxCapabilities{Bounding: all, Effective: all, Permitted: all}
		s.Process.Args = []string{"/bin/sh", "-c", "echo >/dev/zero && echo written; chown 1000:1000 /dev/zero; chmod 600 /dev/zero /proc/keys"}
	}))
	_, out := runIn(t, dir, append(runtimes(t)["deckhand oci"], "run", "devices")...)
	if !strings.HasPrefix(out, "written\n") || strings.Count(out, "Read-only file system") != 3 {
		t.Errorf("the container said %q", out)
	}
	if info, err := os.Stat("/dev/zero"); err != nil || info.Mode().Perm() != 0o666 {
		t.Errorf("/dev/zero: %v, %v", info, err)
	}
}

// TestOciStateDifferential compares the state of a container through its life, and the exit codes of what is not possible.
func TestOciStateDifferential(t *testing.T) {
	need.Root(t)
	need.Program(t, "runc", "tar")
	dir := unpackBase(t)
	seen := map[string][]string{}
	for runtime, command := range runtimes(t) {
		s := comparable(func(s *specs.Spec) {
			s.Process.Args = []string{"/bin/sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.05; done"}
			s.Annotations = map[string]string{"a": "b"}
		})
		writeConfig(t, dir, s)
		do := func(args ...string) string {
			t.Helper()
			// The container keeps standard files open: not ours.
			code, out := runIn(t, dir, append([]string{"sh", "-c", `"$@" >out 2>&1 </dev/null; code=$?; cat out; exit $code`, "sh"}, append(command, args...)...)...)
			if code != 0 {
				return "exit code " + strconv.Itoa(code)
			}
			return out
		}
		for _, step := range [][]string{
			{"state", "c"},
			{"create", "c"},
			{"state", "c"},
			{"create", "c"},
			{"start", "c"},
			{"state", "c"},
			{"start", "c"},
			{"delete", "c"},
			{"exec", "c", "sh", "-c", "exit 9"},
			{"exec", "c", "nosuch"},
			{"kill", "c", "nosuch"},
			{"pause", "c"},
			{"state", "c"},
			{"resume", "c"},
			{"kill", "c", "KILL"},
		} {
			seen[runtime] = append(seen[runtime], strings.Join(step, " ")+": "+normalState(t, do(step...)))
		}
		for range 200 {
			if strings.Contains(do("state", "c"), "stopped") {
				break
			}
		}
		for _, step := range [][]string{{"state", "c"}, {"start", "c"}, {"exec", "c", "true"}, {"kill", "c"}, {"delete", "c"}, {"delete", "c"}, {"delete", "-f", "c"}} {
			seen[runtime] = append(seen[runtime], strings.Join(step, " ")+": "+normalState(t, do(step...)))
		}
	}
	if diff := cmp.Diff(seen["runc"], seen["deckhand oci"]); diff != "" {
		t.Errorf("runc (-), deckhand oci (+):\n%s", diff)
	}
}

// normalState leaves out of a state what no two containers share.
func normalState(t *testing.T, out string) string {
	t.Helper()
	if !strings.HasPrefix(out, "{") {
		return strings.TrimSpace(out)
	}
	var state map[string]any
	if err := json.Unmarshal([]byte(out), &state); err != nil {
		t.Fatal(err)
	}
	if pid, ok := state["pid"].(float64); ok && pid > 0 {
		state["pid"] = "some"
	}
	delete(state, "created")
	delete(state, "ociVersion") // runc gives its own, we config.json's
	delete(state, "owner")      // runc tells it in lists only
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(state)) {
		v, err := json.Marshal(state[k])
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString(k + "=" + string(v) + " ")
	}
	return b.String()
}
