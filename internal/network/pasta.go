package network

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	pastaDNS     = "169.254.1.1" // forwarded to the host's resolver; nobody routes link-local addresses
	pastaTimeout = 10 * time.Second
	tunDevice    = "/dev/net/tun"
	recordPrefix = "pasta-"
	fifoSuffix   = ".fifo"
)

// PastaUsable says what pasta is missing on this machine and what to type instead; nil when it can work.
func PastaUsable() error {
	if _, err := exec.LookPath("pasta"); err != nil {
		return errors.New("pasta, which gives an ordinary user's containers a network, is not installed" +
			" (its package is passt): install it, or use --network host or --network none")
	}
	f, err := os.OpenFile(tunDevice, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("pasta cannot open %s (as root: modprobe tun; chmod 666 %[1]s),"+
			" or use --network host or --network none: %w", tunDevice, err)
	}
	_ = f.Close() // nothing was written
	return nil
}

// pastaHelper is one pasta process, our child, for one container.
type pastaHelper struct {
	dir        string // state: one locked file a process
	forwardDNS bool
	asRoot     bool // of the machine: pasta would become nobody, and then may not enter the container
	process    *os.Process
	ended      chan struct{} // closed when the process is
	stderr     *tail
	record     *os.File
}

// pastaRecord lets Sweep find a pasta whose owner was killed.
type pastaRecord struct {
	PID   int
	Start string // field 22 of /proc/pid/stat
}

// openPasta chooses host ports. pasta binds them itself, so they are only tried here, for docker's error
// texts and for port 0.
func (n *Network) openPasta() error {
	if err := PastaUsable(); err != nil {
		return err
	}
	dir, err := n.cfg.makePastaDir()
	if err != nil {
		return err
	}
	n.helper = &pastaHelper{dir: dir, asRoot: !n.opts.Rootless && os.Geteuid() == 0}
	n.ports, err = n.reserved.take(n.opts.Ports)
	if err != nil {
		return n.cfg.explainPort(err)
	}
	return nil
}

func (n *Network) attachPasta(ctx context.Context, pid int) error {
	n.reserved.close()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.release {
		return errors.New("start pasta: the network was released")
	}
	return n.helper.start(ctx, pid, n.ports)
}

// start runs pasta for the namespaces of pid and waits until eth0 is configured there.
func (p *pastaHelper) start(ctx context.Context, pid int, ports []Port) error {
	if err := p.run(ctx, pid, ports); err != nil {
		return errors.Join(fmt.Errorf("start pasta: %w", err), p.stop(ctx))
	}
	return nil
}

func (p *pastaHelper) run(ctx context.Context, pid int, ports []Port) error {
	if err := p.openRecord(); err != nil {
		return err
	}
	fifo := p.record.Name() + fifoSuffix
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		return fmt.Errorf("make fifo: %w", err)
	}
	defer func() { _ = os.Remove(fifo) }() // else Sweep does
	// Both ends: reading then waits for pasta to write its pid, which it does when all is set up.
	ready, err := os.OpenFile(fifo, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("open fifo: %w", err)
	}
	defer func() { _ = ready.Close() }() // nothing was written
	if err := p.spawn(ctx, p.args(fifo, pid, ports)); err != nil {
		return err
	}
	// A process that has ended already needs no record, and await knows why it did.
	if err := p.writeRecord(); err != nil && !errors.Is(err, os.ErrNotExist) && !errors.Is(err, unix.ESRCH) {
		return err
	}
	return p.await(ctx, ready)
}

// args keeps the host's loopback closed to the container (-T, -U, --no-map-gw): pasta's default opens it.
func (p *pastaHelper) args(fifo string, pid int, ports []Port) []string {
	args := []string{
		"--foreground", "--quiet", "--config-net", "--no-map-gw", "--ns-ifname", containerIface,
		"--tcp-ns", "none", "--udp-ns", "none", "--pid", fifo,
	}
	if p.asRoot {
		args = append(args, "--runas", "0:0")
	}
	if p.forwardDNS {
		args = append(args, "--dns-forward", pastaDNS)
	}
	for flag, proto := range map[string]string{"--tcp-ports": "tcp", "--udp-ports": "udp"} {
		specs := pastaSpecs(ports, proto)
		if len(specs) == 0 {
			specs = []string{"none"}
		}
		for _, s := range specs {
			args = append(args, flag, s)
		}
	}
	return append(args, strconv.Itoa(pid))
}

func pastaSpecs(ports []Port, proto string) []string {
	var specs []string
	for _, p := range ports {
		if p.Protocol != proto {
			continue
		}
		s := fmt.Sprintf("%d:%d", p.HostPort, p.ContainerPort)
		if p.HostIP.IsValid() {
			s = p.HostIP.String() + "/" + s
		}
		specs = append(specs, s)
	}
	return specs
}

// spawn starts the process from a thread that lives as long as it does: the parent-death signal is
// the thread's.
func (p *pastaHelper) spawn(ctx context.Context, args []string) error {
	cmd := exec.CommandContext(context.WithoutCancel(ctx), "pasta", args...)
	p.stderr = &tail{}
	cmd.Stdout, cmd.Stderr = p.stderr, p.stderr
	cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL, Setpgid: true}
	started := make(chan error, 1)
	p.ended = make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(p.ended)
		err := cmd.Start()
		if err == nil {
			p.process = cmd.Process
		}
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended is told by await, from stderr
		}
	}()
	return <-started
}

// await waits for the first byte in the fifo.
func (p *pastaHelper) await(ctx context.Context, ready *os.File) error {
	ctx, cancel := context.WithTimeout(ctx, pastaTimeout)
	defer cancel()
	wrote := make(chan error, 1)
	go func() {
		_, err := ready.Read(make([]byte, 16))
		wrote <- err
	}()
	select {
	case err := <-wrote:
		if err != nil {
			return fmt.Errorf("wait for pasta: %w", err)
		}
		return nil
	case <-p.ended:
		return fmt.Errorf("pasta ended: %s", p.stderr)
	case <-ctx.Done():
		return fmt.Errorf("wait for pasta: %w", ctx.Err())
	}
}

// openRecord makes the record that Sweep goes by, locked as long as we live.
func (p *pastaHelper) openRecord() error {
	f, err := os.CreateTemp(p.dir, recordPrefix)
	if err != nil {
		return fmt.Errorf("record pasta: %w", err)
	}
	p.record = f
	if err := flock(f, unix.LOCK_EX); err != nil {
		return fmt.Errorf("record pasta: %w", err)
	}
	return nil
}

func (p *pastaHelper) writeRecord() error {
	start, err := startTime(p.process.Pid)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(p.record).Encode(pastaRecord{PID: p.process.Pid, Start: start}); err != nil {
		return fmt.Errorf("record pasta: %w", err)
	}
	return nil
}

// stop ends the process and waits for its end.
func (p *pastaHelper) stop(ctx context.Context) error {
	if p.record != nil {
		defer func() {
			_ = os.Remove(p.record.Name()) // else Sweep does
			_ = p.record.Close()           // unlocks
		}()
	}
	if p.process == nil {
		return nil
	}
	err := p.process.Kill() // it keeps nothing that needs an orderly end
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("end pasta: %w", err)
	}
	select {
	case <-p.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("end pasta: %w", ctx.Err())
	}
}

// pastaDir is the directory for records: in the user's runtime directory, or in one of his in /tmp.
func (c config) pastaDir() (base, dir string) {
	base = os.Getenv("XDG_RUNTIME_DIR")
	if st, err := os.Stat(base); base == "" || err != nil || !st.IsDir() {
		uid := hostUID()
		if uid == "0" {
			return c.dir, filepath.Join(c.dir, "pasta")
		}
		base = filepath.Join(os.TempDir(), "deckhand-"+uid)
	}
	return base, filepath.Join(base, "deckhand-net")
}

func (c config) makePastaDir() (string, error) {
	base, dir := c.pastaDir()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make network state: %w", err)
	}
	for _, d := range []string{base, dir} {
		if !ownDir(d) {
			return "", fmt.Errorf("make network state: %s is not a directory of yours", d)
		}
	}
	return dir, nil
}

// ownDir reports whether the path is a directory, and no link to one, that belongs to us.
func ownDir(path string) bool {
	var st unix.Stat_t
	return unix.Lstat(path, &st) == nil && int(st.Uid) == os.Geteuid() && st.Mode&unix.S_IFMT == unix.S_IFDIR
}

// hostUID is our user's id outside of our user namespace, as far as the next one up.
func hostUID() string {
	data, err := os.ReadFile("/proc/self/uid_map")
	f := strings.Fields(string(data))
	if err != nil || len(f) < 3 || f[0] != "0" || os.Getuid() != 0 {
		return strconv.Itoa(os.Getuid())
	}
	return f[1]
}

// sweepPasta ends every pasta whose owner is dead: where the parent-death signal was lost it outlives
// its container.
func (c config) sweepPasta() error {
	_, dir := c.pastaDir()
	if !ownDir(dir) {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("sweep pasta: %w", err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), recordPrefix) || strings.HasSuffix(e.Name(), fifoSuffix) {
			continue
		}
		path := filepath.Join(dir, e.Name())
		f, err := os.Open(path)
		if err != nil {
			continue // removed meanwhile
		}
		if flock(f, unix.LOCK_EX|unix.LOCK_NB) == nil && endRecorded(f) {
			_ = os.Remove(path + fifoSuffix) // usually gone
			_ = os.Remove(path)              // else the next one does
		}
		_ = f.Close() // nothing was written
	}
	return nil
}

// endRecorded kills the recorded process, if it is still that one, and reports whether the record is
// done with: an empty one may be so new that its owner has not locked it yet.
func endRecorded(f *os.File) bool {
	var r pastaRecord
	if err := json.NewDecoder(f).Decode(&r); err != nil || r.PID <= 1 {
		st, err := f.Stat()
		return err == nil && time.Since(st.ModTime()) > time.Minute
	}
	fd, err := unix.PidfdOpen(r.PID, 0)
	if err != nil {
		return true
	}
	defer func() { _ = unix.Close(fd) }() // nothing was written
	if start, err := startTime(r.PID); err == nil && start == r.Start {
		_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) // dead already, or not ours to kill
	}
	return true
}

// startTime is field 22 of /proc/pid/stat, which with the pid names a process for good.
func startTime(pid int) (string, error) {
	data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return "", fmt.Errorf("read process start: %w", err)
	}
	f := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	if len(f) < 20 {
		return "", errors.New("read process start: short stat")
	}
	return string(f[19]), nil
}

// tail keeps the first few lines of what a program says.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

// Write implements io.Writer and never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, p[:min(len(p), 2048-len(t.buf))]...)
	return len(p), nil
}

// String joins the lines.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(strings.FieldsFunc(string(t.buf), func(r rune) bool { return r == '\n' }), "; ")
}
