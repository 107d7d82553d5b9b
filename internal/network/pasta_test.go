package network

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/need"
)

const pastaEnv = "DECKHAND_NETWORK_TEST_PASTA" // set in the user namespace of an ordinary user

// TestPasta gives an ordinary user a tun device and runs TestPastaInside as him, root of a user namespace
// of his as rootless.Enter makes it.
func TestPasta(t *testing.T) {
	need.Program(t, "pasta")
	m := newMachine(t)
	serve(t, m.lan, "tcp4", ":80", "lan")
	serve(t, nil, "tcp4", "127.0.0.1:5432", "host")
	serve(t, nil, "udp4", "127.0.0.53:53", "resolver")
	mountTun(t)
	dir := t.TempDir()
	check(t, os.Chown(dir, 1000, 1000))
	for d := dir; d != "/"; d = filepath.Dir(d) {
		st, err := os.Stat(d)
		check(t, err)
		if st.Mode()&0o001 == 0 {
			check(t, os.Chmod(d, st.Mode()|0o011))
		}
	}
	check(t, os.WriteFile(dir+"/resolv.conf", []byte("nameserver 127.0.0.53\n"), 0o644))
	check(t, unix.Mount(dir+"/resolv.conf", "/etc/resolv.conf", "", unix.MS_BIND, ""))
	t.Cleanup(func() { check(t, unix.Unmount("/etc/resolv.conf", unix.MNT_DETACH)) })

	self := dir + "/network.test" // the test binary's own directory is closed to others
	exe, err := os.ReadFile("/proc/self/exe")
	check(t, err)
	check(t, os.WriteFile(self, exe, 0o755))
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestPastaInside$", "-test.v")
	cmd.Env = append(os.Environ(), pastaEnv+"=1", "XDG_RUNTIME_DIR="+dir, "TMPDIR="+dir, "HOME="+dir)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: 1000, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: 1000, Size: 1}},
		Credential:  &syscall.Credential{NoSetGroups: true},
	}
	fromLAN := make(chan string, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		got := ""
		for ctx.Err() == nil && got == "" {
			got, _, _ = ask(t, m.lan, "tcp4", machineIP+":8080")
		}
		fromLAN <- got
	}()
	out, err := cmd.CombinedOutput()
	cancel()
	t.Logf("%s", out)
	if got := <-fromLAN; got != "box" {
		t.Errorf("from the lan: %q", got)
	}
	check(t, err)
	if !strings.Contains(string(out), "--- PASS: TestPastaInside") {
		t.Error("the test inside did not run")
	}
}

// TestPastaAsRoot: root may prefer it to the bridge.
func TestPastaAsRoot(t *testing.T) {
	need.Program(t, "pasta")
	m := newMachine(t)
	mountTun(t)
	t.Setenv("XDG_RUNTIME_DIR", "")
	n, err := m.cfg.open(t.Context(), Options{ID: "p", Mode: Pasta, Ports: mustPorts(t, "127.0.0.1:8080:80")})
	check(t, err)
	defer n.Release(context.Background())
	b := startBox(t, 100000, 65536)
	check(t, n.Attach(t.Context(), nil, b.cmd.Process.Pid))
	b.say(t, "serve")
	if got, _, err := ask(t, nil, "tcp4", "127.0.0.1:8080"); got != "box" {
		t.Errorf("%q, %v", got, err)
	}
	check(t, n.Release(t.Context()))
	if left := recordsIn(t, m.cfg.dir+"/pasta"); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func mountTun(t *testing.T) {
	t.Helper()
	check(t, unix.Mount("tmpfs", "/dev/net", "tmpfs", 0, ""))
	t.Cleanup(func() { check(t, unix.Unmount("/dev/net", unix.MNT_DETACH)) })
	check(t, unix.Mknod(tunDevice, unix.S_IFCHR, int(unix.Mkdev(10, 200))))
	check(t, os.Chmod(tunDevice, 0o666))
}

func TestPastaInside(t *testing.T) {
	if os.Getenv(pastaEnv) == "" {
		t.SkipNow() // TestPasta runs it
	}
	check(t, PastaUsable())
	if m, err := DefaultMode(true); m != Pasta || err != nil {
		t.Fatalf("DefaultMode(true) = %s, %v", m, err)
	}
	cfg := defaultConfig()
	n, err := cfg.open(t.Context(), Options{
		ID: "p", Mode: Pasta, Hostname: "box", Rootless: true,
		Ports: mustPorts(t, "8080:80", "127.0.0.1:6379:80", "5353:5353/udp", "0:80"),
	})
	check(t, err)
	defer n.Release(context.Background())
	if got := string(n.ResolvConf()); got != "nameserver 169.254.1.1\n" {
		t.Errorf("resolv.conf: %q", got)
	}
	b := startBox(t, 0, 1)
	start := time.Now()
	check(t, n.Attach(t.Context(), nil, b.cmd.Process.Pid))
	t.Logf("attached in %v", time.Since(start))
	b.say(t, "serve")

	chosen := fmt.Sprintf("127.0.0.1:%d", n.Ports()[3].HostPort)
	for name, tt := range map[string]struct{ network, addr, want string }{
		"published":            {"tcp4", "127.0.0.1:8080", "box"},
		"published, host's ip": {"tcp4", machineIP + ":8080", "box"},
		"published udp":        {"udp4", "127.0.0.1:5353", "box"},
		"loopback only":        {"tcp4", "127.0.0.1:6379", "box"},
		"not on other than":    {"tcp4", machineIP + ":6379", ""},
		"chosen":               {"tcp4", chosen, "box"},
		"tcp port is not udp":  {"udp4", "127.0.0.1:8080", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, _, err := ask(t, nil, tt.network, tt.addr)
			for try := 0; try < 5 && tt.want != "" && got == ""; try++ { // pasta of 2023 stalls a few connections
				got, _, err = ask(t, nil, tt.network, tt.addr)
			}
			if got != tt.want {
				t.Errorf("%q, %v; want %q", got, err, tt.want)
			}
		})
	}
	for name, tt := range map[string]struct{ question, want string }{
		"out":                        {"tcp4 " + lanIP + ":80", "lan " + machineIP},
		"dns by the host's resolver": {"udp4 169.254.1.1:53", "resolver"},
		"host's loopback":            {"tcp4 127.0.0.1:5432", "error"},
		"host's loopback by gateway": {"tcp4 " + lanIP + ":5432", "error"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := b.say(t, tt.question); !strings.HasPrefix(got, tt.want) {
				t.Errorf("%q, want %s", got, tt.want)
			}
		})
	}

	pid := n.helper.process.Pid
	check(t, n.Release(t.Context()))
	if alive(pid) {
		t.Error("pasta outlives Release")
	}
	if left := recordsIn(t, n.helper.dir); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	t.Run("conflict", func(t *testing.T) {
		l, err := net.Listen("tcp4", ":7777")
		check(t, err)
		defer l.Close()
		_, err = cfg.open(t.Context(), Options{Mode: Pasta, Rootless: true, Ports: mustPorts(t, "7777:1")})
		if err == nil || !strings.HasPrefix(err.Error(), "Bind for 0.0.0.0:7777 failed: port is already allocated") {
			t.Errorf("error: %v", err)
		}
		_, err = cfg.open(t.Context(), Options{Mode: Pasta, Rootless: true, Ports: mustPorts(t, "80:1")})
		if err == nil || !strings.Contains(err.Error(), "only root may publish a port this low") {
			t.Errorf("low port: %v", err)
		}
	})
	t.Run("dead container", func(t *testing.T) {
		n, err := cfg.open(t.Context(), Options{Mode: Pasta, Rootless: true})
		check(t, err)
		defer n.Release(context.Background())
		if err := n.Attach(t.Context(), nil, 1<<22-1); err == nil || !strings.Contains(err.Error(), "start pasta: pasta ended: ") {
			t.Errorf("error: %v", err)
		}
	})
	t.Run("killed owner", func(t *testing.T) { testKilledOwner(t, cfg) })
}

// testKilledOwner: pasta gets the parent-death signal, and Sweep clears the record.
func testKilledOwner(t *testing.T, cfg config) {
	b := startBox(t, 0, 1)
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Env = append(os.Environ(), holdEnv+"=pasta", fmt.Sprintf("BOX=%d", b.cmd.Process.Pid))
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	var pid int
	_, err = fmt.Fscan(out, &pid)
	check(t, err)
	check(t, cmd.Process.Kill())
	_ = cmd.Wait()
	deadline := time.Now().Add(2 * time.Second)
	for alive(pid) && time.Now().Before(deadline) {
		time.Sleep(5 * time.Millisecond)
	}
	if alive(pid) {
		t.Error("pasta outlives its killed owner")
	}
	_, dir := cfg.pastaDir()
	if got := recordsIn(t, dir); len(got) != 1 {
		t.Errorf("records before Sweep: %v", got)
	}
	check(t, cfg.sweep(t.Context()))
	if got := recordsIn(t, dir); len(got) != 0 || alive(pid) {
		t.Errorf("after Sweep: %v", got)
	}
}

// TestSweepPasta goes by the records alone.
func TestSweepPasta(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	cfg := defaultConfig()
	dir, err := cfg.makePastaDir()
	check(t, err)
	tests := map[string]struct {
		locked, otherStart, dies, stays bool
	}{
		"dead owner":         {dies: true},
		"living owner":       {locked: true, stays: true},
		"pid of another now": {otherStart: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), "sleep", "60")
			check(t, cmd.Start())
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			start, err := startTime(cmd.Process.Pid)
			check(t, err)
			if tt.otherStart {
				start += "0"
			}
			f, err := os.CreateTemp(dir, recordPrefix)
			check(t, err)
			defer f.Close()
			check(t, json.NewEncoder(f).Encode(pastaRecord{cmd.Process.Pid, start}))
			if tt.locked {
				check(t, flock(f, unix.LOCK_EX))
			}
			check(t, cfg.sweepPasta())
			select {
			case <-ended:
				if !tt.dies {
					t.Error("killed")
				}
			case <-time.After(300 * time.Millisecond):
				if tt.dies {
					t.Error("not killed")
				}
				check(t, cmd.Process.Kill())
				<-ended
			}
			if stays := len(recordsIn(t, dir)) == 1; stays != tt.stays {
				t.Errorf("record stays: %v", stays)
			}
			_ = os.Remove(f.Name())
		})
	}
}

func TestPastaArgs(t *testing.T) {
	p := &pastaHelper{}
	got := strings.Join(p.args("/f", 42, mustPorts(t, "8080:80", "[::1]:1:2", "0.0.0.0:3:4/udp")), " ")
	for _, want := range []string{
		"--tcp-ports 8080:80 --tcp-ports ::1/1:2", "--udp-ports 0.0.0.0/3:4", "--no-map-gw", "--tcp-ns none", "--udp-ns none", "--pid /f",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s: no %s", got, want)
		}
	}
	if !strings.HasSuffix(got, " 42") || strings.Contains(got, "dns-forward") {
		t.Error(got)
	}
	if got := strings.Join(p.args("/f", 42, nil), " "); !strings.Contains(got, "--tcp-ports none") || !strings.Contains(got, "--udp-ports none") {
		t.Errorf("without ports: %s", got)
	}
}

func TestPastaMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for _, err := range []error{PastaUsable(), second(DefaultMode(true))} {
		if err == nil || !strings.Contains(err.Error(), "not installed") || !strings.Contains(err.Error(), "--network host or --network none") {
			t.Errorf("error: %v", err)
		}
	}
}

func second(_ Mode, err error) error { return err }

func recordsIn(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	check(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// alive does not count a dead one whose parent has not looked yet.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

// boxed is a container: a process in user and network namespaces of its own that does what it is told.
type boxed struct {
	cmd *exec.Cmd
	in  io.Writer
	out *bufio.Scanner
}

// startBox maps size ids from host on.
func startBox(t *testing.T, host, size int) *boxed {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Env = append(os.Environ(), holdEnv+"=box")
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{HostID: host, Size: size}},
		GidMappings: []syscall.SysProcIDMap{{HostID: host, Size: size}},
		Credential:  &syscall.Credential{NoSetGroups: true},
	}
	in, err := cmd.StdinPipe()
	check(t, err)
	out, err := cmd.StdoutPipe()
	check(t, err)
	check(t, cmd.Start())
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	return &boxed{cmd, in, bufio.NewScanner(out)}
}

func (b *boxed) say(t *testing.T, line string) string {
	t.Helper()
	fmt.Fprintln(b.in, line)
	if !b.out.Scan() {
		t.Fatalf("the box ended: %v", b.out.Err())
	}
	return b.out.Text()
}

// box is the process of startBox: it serves, or asks what it is told and prints the answer.
func box() int {
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		if in.Text() == "serve" {
			fmt.Println(boxServe())
			continue
		}
		network, addr, _ := strings.Cut(in.Text(), " ")
		c, err := net.DialTimeout(network, addr, time.Second)
		if err != nil {
			fmt.Println("error", err)
			continue
		}
		_ = c.SetDeadline(time.Now().Add(time.Second))
		_, _ = c.Write([]byte("?"))
		buf := make([]byte, 100)
		n, err := c.Read(buf)
		if err != nil {
			fmt.Println("error", err)
			continue
		}
		fmt.Println(string(buf[:n]))
	}
	return 0
}

func boxServe() error {
	l, err := net.Listen("tcp4", ":80")
	if err != nil {
		return err
	}
	u, err := net.ListenPacket("udp4", ":5353")
	if err != nil {
		return err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { // old versions of pasta pass nothing on before the client has said something
				_, _ = c.Read(make([]byte, 1))
				fmt.Fprintf(c, "box %s", c.RemoteAddr())
				_ = c.Close()
			}()
		}
	}()
	go func() {
		buf := make([]byte, 100)
		for {
			_, from, err := u.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = u.WriteTo([]byte("box "+from.String()), from)
		}
	}()
	return nil
}

// holdPasta is another process: it attaches pasta to the box and waits to be killed.
func holdPasta() error {
	var pid int
	_, err := fmt.Sscan(os.Getenv("BOX"), &pid)
	var n *Network
	if err == nil {
		n, err = New(context.Background(), Options{Mode: Pasta, Rootless: true})
	}
	if err == nil {
		err = n.Attach(context.Background(), nil, pid)
	}
	if err != nil {
		return err
	}
	fmt.Println(n.helper.process.Pid)
	time.Sleep(time.Minute)
	return errors.New("nobody killed me")
}
