package cli_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	probes "github.com/deckhand-engine/deckhand/guard/probe"
	"github.com/deckhand-engine/deckhand/internal/need"
	"github.com/deckhand-engine/deckhand/internal/transcript"
)

// shown is where a probe is allowed, and where it is denied and by whom: settings of probeSettings.
type shown struct {
	allowed string
	denied  string
	by      probes.By // who denies; empty: not told, or not the same everywhere
	// lacking reports that this machine's kernel has nothing to try it on: the probe is absent then, everywhere.
	lacking func() bool
	// unable reports that root of this machine may not do it either.
	unable func() bool
}

// probesShown are all probes. "host" is root of the machine itself, in namespaces of its own, for what no user
// namespace allows; "tree" is a directory with files in the places of the kernel's.
func probesShown() map[string]shown {
	return map[string]shown{
		"setuid-root":     {allowed: "root", denied: "nobody", by: probes.ByCapability},
		"setuid-other":    {allowed: "root", denied: "nobody", by: probes.ByCapability},
		"setgroups":       {allowed: "root", denied: "nobody"},
		"setuid-program":  {allowed: "escalating", denied: "nobody", by: probes.ByNoNewPrivs},
		"sudo":            {allowed: "escalating", denied: "nobody", by: probes.ByNoNewPrivs},
		"file-capability": {allowed: "root", denied: "nobody", by: probes.ByCapability},
		"chown-away":      {allowed: "root", denied: "nobody", by: probes.ByCapability},
		"chown-foreign":   {allowed: "root", denied: "nobody", by: probes.ByCapability},
		"chmod-foreign":   {allowed: "root", denied: "nobody", by: probes.ByOwner},

		"read-shadow":           {allowed: "root", denied: "nobody", by: probes.ByOwner},
		"read-root-file":        {allowed: "root", denied: "nobody", by: probes.ByOwner},
		"service-account-token": {allowed: "root", denied: "nobody", by: probes.ByOwner},
		"write-passwd":          {allowed: "root", denied: "read-only", by: probes.ByReadOnly},
		"write-etc":             {allowed: "root", denied: "read-only", by: probes.ByReadOnly},
		"write-usr-bin":         {allowed: "root", denied: "nobody", by: probes.ByOwner},
		"write-path":            {allowed: "root", denied: "nobody", by: probes.ByOwner},
		"write-libraries":       {allowed: "root", denied: "nobody", by: probes.ByOwner},
		"write-workdir":         {allowed: "root", denied: "nobody", by: probes.ByOwner},
		"write-command":         {allowed: "root", denied: "nobody", by: probes.ByOwner},
		"ld-preload":            {allowed: "root", denied: "read-only", by: probes.ByReadOnly},
		"write-cron":            {allowed: "root", denied: "nobody", by: probes.ByOwner},
		"write-root-home":       {allowed: "root", denied: "nobody", by: probes.ByOwner},
		"rename-root-file":      {allowed: "root", denied: "nobody", by: probes.ByOwner},
		"link-root-file":        {allowed: "root", denied: "nobody", by: probes.ByKernel},
		"package-manager":       {allowed: "root", denied: "nobody", by: probes.ByOwner},
		"exec-writable":         {allowed: "nobody", denied: "read-only", by: probes.ByMount},
		"exec-memfd":            {allowed: "nobody", denied: "least", by: probes.BySeccomp},

		"raw-socket":     {allowed: "root", denied: "nobody", by: probes.ByCapability},
		"packet-socket":  {allowed: "root", denied: "nobody", by: probes.ByCapability},
		"so-mark":        {allowed: "everything", denied: "nobody", by: probes.ByCapability},
		"bind-low-port":  {allowed: "nobody", denied: "host nobody", by: probes.ByCapability},
		"change-network": {allowed: "everything", denied: "root", by: probes.ByCapability},
		"firewall":       {allowed: "everything", denied: "root", by: probes.ByCapability},
		"metadata":       {allowed: "cloud", denied: "least"},
		"vsock":          {allowed: "everything", denied: "root", by: probes.BySeccomp},
		"alg-socket":     {allowed: "everything", denied: "root", by: probes.BySeccomp, lacking: noFamily(unix.AF_ALG)},
		"engine-socket":  {allowed: "everything", denied: "nobody", by: probes.ByOwner},

		"signal-foreign": {allowed: "root", denied: "joined", by: probes.ByCapability},
		"ptrace-foreign": {allowed: "everything", denied: "root", by: probes.ByCapability},
		"read-environ":   {allowed: "everything", denied: "root", by: probes.ByCapability},
		"read-memory":    {allowed: "everything", denied: "root", by: probes.ByCapability},
		"ptrace-own":     {allowed: "everything", denied: "least", by: probes.BySeccomp},
		"raise-limit":    {allowed: "host", denied: "root", by: probes.ByCapability, unable: without(unix.CAP_SYS_RESOURCE)},
		"raise-priority": {allowed: "host", denied: "root", by: probes.ByCapability},
		"tty-injection":  {allowed: "host", denied: "least", by: probes.BySeccomp},

		"mount":          {allowed: "everything", denied: "root", by: probes.BySeccomp},
		"new-mount-api":  {allowed: "everything", denied: "root"},
		"remount-root":   {allowed: "everything", denied: "root", by: probes.BySeccomp},
		"pivot-root":     {allowed: "everything", denied: "root"},
		"chroot":         {allowed: "root", denied: "nobody", by: probes.ByCapability},
		"mknod":          {allowed: "host", denied: "everything", by: probes.ByNamespace},
		"unshare":        {allowed: "everything", denied: "root", by: probes.BySeccomp},
		"user-namespace": {allowed: "everything", denied: "root", by: probes.BySeccomp},
		"clone3":         {allowed: "everything", denied: "root", by: probes.BySeccomp},
		"setns":          {allowed: "everything", denied: "root", by: probes.BySeccomp},
		"open-by-handle": {allowed: "host", denied: "everything", by: probes.ByNamespace},
		"sethostname":    {allowed: "everything", denied: "root"},

		"bpf":            {allowed: "host", denied: "root", by: probes.BySeccomp},
		"perf-event":     {allowed: "everything", denied: "root", by: probes.BySeccomp},
		"io-uring":       {allowed: "everything", denied: "root", by: probes.BySeccomp},
		"userfaultfd":    {allowed: "host", denied: "root", by: probes.BySeccomp},
		"kernel-keyring": {allowed: "everything", denied: "root", by: probes.BySeccomp},
		"fanotify":       {allowed: "host", denied: "root", by: probes.BySeccomp},
		"personality":    {allowed: "everything", denied: "root", by: probes.BySeccomp},
		"syslog":         {allowed: "host", denied: "everything"},
		"kmsg":           {allowed: "tree", denied: "tree nobody"},
		"core-pattern":   {allowed: "tree", denied: "tree nobody"},
		"modprobe-path":  {allowed: "tree", denied: "tree nobody"},
		"sysrq":          {allowed: "tree", denied: "tree nobody"},
		"release-agent":  {allowed: "tree", denied: "tree nobody"},
		"cgroup-limits":  {allowed: "tree", denied: "tree nobody"},

		"kernel-memory":      {allowed: "tree", denied: "tree nobody"},
		"host-devices":       {allowed: "tree", denied: "tree nobody"},
		"kernel-module":      {allowed: "host", denied: "everything", by: probes.ByNamespace, lacking: noFile("/proc/modules")},
		"io-ports":           {allowed: "host", denied: "everything", by: probes.ByNamespace, lacking: noPorts},
		"reboot":             {allowed: "host", denied: "everything", by: probes.ByNamespace},
		"set-clock":          {allowed: "host", denied: "root", by: probes.ByCapability},
		"process-accounting": {allowed: "host", denied: "everything", by: probes.ByNamespace},
	}
}

// TestProbesAllowedAndDenied runs the battery in each setting, and finds each probe allowed in one and denied in
// another.
func TestProbesAllowedAndDenied(t *testing.T) {
	need.Root(t)
	need.Program(t, "unshare")
	settings := probeSettings(t)
	want := probesShown()
	for _, p := range probes.Probes() {
		s, ok := want[p.Name]
		if !ok {
			t.Errorf("%s is shown nowhere", p.Name)
			continue
		}
		delete(want, p.Name)
		t.Run(p.Name, func(t *testing.T) { s.hold(t, settings, p.Name) })
	}
	for name := range want {
		t.Errorf("there is no probe %s", name)
	}
	for setting, results := range settings {
		for name, r := range results {
			if r.Verdict == probes.Failed {
				t.Errorf("%s failed as %s: %s", name, setting, r.Detail)
			}
		}
	}
	if a, b, c := allowedIn(settings["root"]), allowedIn(settings["nobody"]), allowedIn(settings["least"]); a < 25 || b > 6 || c > 1 {
		t.Errorf("allowed: as root %d, as nobody %d, as nobody with the least filter %d", a, b, c)
	}
}

func (s shown) hold(t *testing.T, settings map[string]map[string]probes.Result, name string) {
	allowed, denied := settings[s.allowed][name], settings[s.denied][name]
	if s.lacking != nil && s.lacking() {
		if allowed.Verdict != probes.Absent {
			t.Errorf("as %s: %+v, and this kernel has nothing to try it on", s.allowed, allowed)
		}
		return
	}
	if s.unable != nil && s.unable() {
		if allowed.Verdict != probes.Denied || allowed.By != probes.ByCapability {
			t.Errorf("as %s: %+v, and root of this machine may not", s.allowed, allowed)
		}
	} else if allowed.Verdict != probes.Allowed {
		t.Errorf("as %s: %+v, want allowed", s.allowed, allowed)
	}
	if denied.Verdict != probes.Denied || s.by != "" && denied.By != s.by {
		t.Errorf("as %s: %+v, want denied by %q", s.denied, denied, s.by)
	}
}

func allowedIn(results map[string]probes.Result) (n int) {
	for _, r := range results {
		if r.Verdict == probes.Allowed {
			n++
		}
	}
	return n
}

func noFamily(family int) func() bool {
	return func() bool {
		fd, err := unix.Socket(family, unix.SOCK_SEQPACKET, 0)
		if err == nil {
			_ = unix.Close(fd)
		}
		return errors.Is(err, unix.EAFNOSUPPORT)
	}
}

func noFile(name string) func() bool {
	return func() bool {
		_, err := os.Stat(name)
		return err != nil
	}
}

func noPorts() bool {
	_, err := os.Stat("/proc/ioports")
	if err != nil || runtime.GOARCH != "amd64" {
		return true
	}
	_, _, errno := unix.RawSyscall(172, 0, 0, 0) // iopl
	return errno == unix.ENOSYS
}

// without reports that this process lacks a capability.
func without(capability int) func() bool {
	return func() bool {
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var data [2]unix.CapUserData
		return unix.Capget(&header, &data[0]) == nil && data[capability/32].Effective>>(capability%32)&1 == 0
	}
}

// probeSettings runs the battery in each setting.
func probeSettings(t *testing.T) map[string]map[string]probes.Result {
	t.Helper()
	program, err := exec.LookPath("deckhand-probe")
	if err != nil {
		t.Fatal(err)
	}
	b := &battery{
		engine:  &engine{env: append(os.Environ(), "DECKHAND_DATA_ROOT="+filepath.Join(t.TempDir(), "data"), "HOME="+t.TempDir())},
		program: program,
	}
	b.image(t)
	open, closed := engineSocket(t, 0o777), engineSocket(t, 0o700)
	everything := []string{"-u", "root", "--cap-add", "ALL", "--security-opt", "seccomp=unconfined", "--security-opt", "no-new-privileges=false", "-v", open + ":/run/docker.sock"}
	return map[string]map[string]probes.Result{
		"root":        b.run(t, "-u", "root"),
		"nobody":      b.run(t, "-u", "9000", "-v", closed+":/run/docker.sock"),
		"escalating":  b.run(t, "-u", "9000", "--security-opt", "no-new-privileges=false"),
		"read-only":   b.run(t, "-u", "root", "--read-only"),
		"least":       b.run(t, "-u", "9000", "--read-only", "--cap-drop", "ALL", "--network", "none", "--security-opt", "seccomp="+leastFilter(t)),
		"everything":  b.run(t, everything...),
		"joined":      b.join(t),
		"host":        results(t, exec.CommandContext(t.Context(), "unshare", append([]string{"-m", "-n", "-u", "-i", program}, onHost()...)...)),
		"host nobody": b.hostNobody(t),
		"cloud":       b.cloud(t),
		"tree":        b.tree(t, 0),
		"tree nobody": b.tree(t, 65534),
	}
}

// onHost are the probes that are run outside of containers: what they try is bound to namespaces of their own, or sets
// what is set already, or cannot be carried out even where it is allowed.
func onHost() []string {
	return []string{
		"raise-limit", "raise-priority", "tty-injection", "mknod", "open-by-handle", "bpf", "userfaultfd", "fanotify", "syslog",
		"kernel-module", "io-ports", "reboot", "set-clock", "process-accounting",
	}
}

// battery runs the probe program in containers.
type battery struct {
	*engine
	program string
}

// image builds an image that has something to try everything on.
func (b *battery) image(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(dir, "sudo"), "./testdata/probe/sudo")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	dockerfile := "FROM debian:1\nCOPY --chmod=4755 sudo /usr/bin/sudo\n" +
		"COPY --chmod=0600 Dockerfile /var/run/secrets/kubernetes.io/serviceaccount/token\n"
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(dockerfile), 0o600); err != nil {
		t.Fatal(err)
	}
	b.must(t, "import", transcript.Base(t, "debian"), "debian:1")
	b.must(t, "build", "-q", "--network", "none", "-t", "probed:1", dir)
}

func (b *battery) run(t *testing.T, args ...string) map[string]probes.Result {
	t.Helper()
	args = slices.Concat([]string{"run", "--rm", "--entrypoint", "/.deckhand-probe", "-v", b.program + ":/.deckhand-probe:ro"}, args,
		[]string{"probed:1", "--command", "/bin/sh"})
	return parseResults(t, b.output(t, args...))
}

func (b *battery) output(t *testing.T, args ...string) []byte {
	t.Helper()
	out, stderr, code := b.deckhand(t, args...)
	if code != 0 {
		t.Fatalf("%s: exit code %d\n%s%s", strings.Join(args, " "), code, out, stderr)
	}
	return out
}

// join runs the battery as another user than that of the container's own process.
func (b *battery) join(t *testing.T) map[string]probes.Result {
	t.Helper()
	b.must(t, "run", "-d", "--name", "other", "-u", "root", "-v", b.program+":/.deckhand-probe:ro", "probed:1", "sleep", "1000")
	defer b.must(t, "rm", "-f", "other")
	return parseResults(t, b.output(t, "exec", "-u", "9000", "other", "/.deckhand-probe"))
}

// hostNobody runs one probe as a user without privileges, in a network namespace as the kernel makes it.
func (b *battery) hostNobody(t *testing.T) map[string]probes.Result {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), b.copied(t, t.TempDir()), "bind-low-port")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET, Credential: &syscall.Credential{Uid: 65534, Gid: 65534},
	}
	return results(t, cmd)
}

// copied puts the program where everybody may execute it.
func (b *battery) copied(t *testing.T, dir string) string {
	t.Helper()
	content, err := os.ReadFile(b.program)
	if err != nil {
		t.Fatal(err)
	}
	for d := dir; d != "/" && d != "/tmp"; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	name := filepath.Join(dir, "deckhand-probe")
	if err := os.WriteFile(name, content, 0o755); err != nil {
		t.Fatal(err)
	}
	return name
}

// cloud runs one probe in a network of its own, in which a metadata service listens.
func (b *battery) cloud(t *testing.T) map[string]probes.Result {
	t.Helper()
	found := make(chan map[string]probes.Result)
	go func() {
		defer close(found)
		runtime.LockOSThread() // the thread ends with the goroutine: nobody else gets its network
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			t.Error(err)
			return
		}
		lo, err := netlink.LinkByName("lo")
		if err == nil {
			err = netlink.LinkSetUp(lo)
		}
		if err == nil {
			var address *netlink.Addr
			if address, err = netlink.ParseAddr("169.254.169.254/32"); err == nil {
				err = netlink.AddrAdd(lo, address)
			}
		}
		if err != nil {
			t.Error(err)
			return
		}
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "169.254.169.254:80")
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = l.Close() }()
		out, err := exec.CommandContext(t.Context(), b.program, "metadata").Output()
		if err != nil {
			t.Error(err)
			return
		}
		found <- parseResults(t, out)
	}()
	return <-found
}

// tree runs the battery in a directory that has nothing but files in the places of the kernel's own.
func (b *battery) tree(t *testing.T, uid uint32) map[string]probes.Result {
	t.Helper()
	root := t.TempDir()
	b.copied(t, root)
	for name, content := range map[string]string{
		"proc/sys/kernel/core_pattern": "", "proc/sys/kernel/modprobe": "", "proc/sysrq-trigger": "", "proc/kcore": "", "dev/kmsg": "",
		"proc/self/mountinfo": "1 0 0:1 / /one rw - cgroup none rw\n2 0 0:2 / /two rw - cgroup2 none rw\n",
		"one/release_agent":   "", "two/memory.max": "",
	} {
		name = filepath.Join(root, name)
		mode := os.FileMode(0o600)
		if content != "" {
			mode = 0o644
		}
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(content), mode)); err != nil {
			t.Fatal(err)
		}
	}
	zeros := int(unix.Mkdev(1, 5)) // harmless to open
	if err := unix.Mknod(filepath.Join(root, "dev/disk"), unix.S_IFCHR|0o600, zeros); err != nil {
		t.Fatal(err)
	}
	names := []string{"kmsg", "core-pattern", "modprobe-path", "sysrq", "release-agent", "cgroup-limits", "kernel-memory", "host-devices"}
	cmd := exec.CommandContext(t.Context(), "/deckhand-probe", names...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	return results(t, cmd)
}

func results(t *testing.T, cmd *exec.Cmd) map[string]probes.Result {
	t.Helper()
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, &errs)
	}
	return parseResults(t, out)
}

func parseResults(t *testing.T, out []byte) map[string]probes.Result {
	t.Helper()
	found := map[string]probes.Result{}
	for s := bufio.NewScanner(bytes.NewReader(out)); s.Scan(); {
		var r probes.Result
		if err := json.Unmarshal(s.Bytes(), &r); err != nil {
			t.Errorf("%q: %v", s.Text(), err)
		}
		found[r.Probe] = r
	}
	return found
}

// leastFilter allows what the probe program needs and nothing else.
func leastFilter(t *testing.T) string {
	t.Helper()
	content, err := json.Marshal(map[string]any{
		"defaultAction": "SCMP_ACT_ERRNO",
		"syscalls":      []any{map[string]any{"names": probes.Needs(), "action": "SCMP_ACT_ALLOW"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "least.json")
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// engineSocket listens as an engine would.
func engineSocket(t *testing.T, mode os.FileMode) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "engine") //nolint:usetesting // short, as the names of sockets have to be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	name := filepath.Join(dir, "docker.sock")
	l, err := (&net.ListenConfig{}).Listen(context.WithoutCancel(t.Context()), "unix", name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	if err := errors.Join(os.Chmod(dir, 0o755), os.Chmod(name, mode)); err != nil {
		t.Fatal(err)
	}
	return name
}
