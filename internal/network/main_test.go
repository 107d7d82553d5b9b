package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/need"
)

const (
	insideEnv = "DECKHAND_NETWORK_TEST_INSIDE" // set in the test's own network namespace
	holdEnv   = "DECKHAND_NETWORK_TEST_HOLD"   // hold a network until killed
)

// TestMain runs the tests of root in network and mount namespaces of their own: the machine keeps its
// bridge, its rules and its sysctls.
func TestMain(m *testing.M) {
	switch os.Getenv(holdEnv) {
	case "":
	case "box":
		os.Exit(box())
	case "pasta":
		fmt.Fprintln(os.Stderr, holdPasta())
		os.Exit(1)
	default:
		os.Exit(hold())
	}
	if os.Getenv(insideEnv) != "" {
		_ = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "") // not allowed in the tests' user namespace, nor needed
		os.Exit(m.Run())
	}
	if os.Geteuid() != 0 {
		os.Exit(m.Run())
	}
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), insideEnv+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL,
	}
	runtime.LockOSThread()
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		os.Exit(exit.ExitCode())
	case err != nil: // no namespaces here: what needs them will skip or fail by name
		os.Exit(m.Run())
	}
}

// machine is the test's namespace, with a neighbour "lan" on 192.0.2.0/24.
type machine struct {
	cfg config
	lan *os.File
}

const (
	machineIP = "192.0.2.1"
	lanIP     = "192.0.2.9"
	loopIP    = "127.0.0.1"
)

func newMachine(t testing.TB) *machine {
	t.Helper()
	need.Root(t)
	if os.Getenv(insideEnv) == "" {
		t.Fatal("this machine lets root make no network namespace")
	}
	cfg := defaultConfig()
	dir := t.TempDir()
	cfg.dir, cfg.resolvConf, cfg.resolvedConf = dir+"/net", dir+"/resolv.conf", dir+"/resolved.conf"
	cfg.hostsFile = dir + "/hosts"
	check(t, os.WriteFile(cfg.resolvConf, []byte("nameserver 192.0.2.53\n"), 0o600))
	check(t, os.WriteFile(cfg.hostsFile, []byte("127.0.0.1 localhost\n"), 0o600))
	m := &machine{cfg: cfg, lan: newNetns(t)}
	lo, err := netlink.LinkByName("lo")
	check(t, err)
	check(t, netlink.LinkSetUp(lo))
	check(t, netlink.LinkAdd(&netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: "uplink", MTU: 1500}, PeerName: "eth0", PeerNamespace: netlink.NsFd(int(m.lan.Fd())),
	}))
	up, err := netlink.LinkByName("uplink")
	check(t, err)
	addAddr(t, up, machineIP+"/24")
	check(t, netlink.RouteAdd(&netlink.Route{LinkIndex: up.Attrs().Index, Gw: net.ParseIP(lanIP)}))
	in(t, m.lan, func() {
		for name, addr := range map[string]string{"lo": "", "eth0": lanIP + "/24"} {
			l, err := netlink.LinkByName(name)
			check(t, err)
			addAddr(t, l, addr)
		}
	})
	t.Cleanup(func() { m.clean(t) })
	return m
}

func (m *machine) clean(t testing.TB) {
	_ = netlink.LinkDel(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "uplink"}})
	if l, err := netlink.LinkByName(m.cfg.bridge); err == nil {
		check(t, netlink.LinkDel(l))
	}
	r, err := openRuleset(m.cfg)
	check(t, err)
	defer r.close()
	if r.present() {
		r.conn.DelTable(r.table)
		check(t, r.conn.Flush())
	}
}

func addAddr(t testing.TB, l netlink.Link, addr string) {
	t.Helper()
	if addr != "" {
		a, err := netlink.ParseAddr(addr)
		check(t, err)
		check(t, netlink.AddrAdd(l, a))
	}
	check(t, netlink.LinkSetUp(l))
}

// container is a network with the namespace it is attached to.
type container struct {
	*Network
	ns *os.File
}

func (m *machine) run(t testing.TB, ports ...string) *container {
	t.Helper()
	n := m.open(t, ports...)
	ns := newNetns(t)
	check(t, n.Attach(t.Context(), ns, os.Getpid()))
	return &container{n, ns}
}

func (m *machine) open(t testing.TB, ports ...string) *Network {
	t.Helper()
	n, err := m.cfg.open(t.Context(), Options{ID: "0123456789abcdef", Mode: Bridge, Hostname: "box", Ports: mustPorts(t, ports...)})
	check(t, err)
	t.Cleanup(func() { check(t, n.Release(context.Background())) })
	return n
}

func mustPorts(t testing.TB, specs ...string) []Port {
	t.Helper()
	var all []Port
	for _, s := range specs {
		ps, err := ParsePorts(s)
		check(t, err)
		all = append(all, ps...)
	}
	return all
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newNetns is a fresh network namespace, gone with the test.
func newNetns(t testing.TB) *os.File {
	t.Helper()
	f, err := makeNetns()
	check(t, err)
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func makeNetns() (f *os.File, err error) {
	self, err := os.Open("/proc/self/ns/net")
	if err != nil {
		return nil, err
	}
	defer self.Close()
	err = inNetns(self, func() error { // which also brings the thread back
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return err
		}
		f, err = os.Open("/proc/thread-self/ns/net")
		return err
	})
	return f, err
}

// in runs f on a thread inside the namespace; nil is the machine's own.
func in(t testing.TB, ns *os.File, f func()) {
	t.Helper()
	if ns == nil {
		f()
		return
	}
	done := make(chan error, 1)
	go func() {
		err := errors.New("the function ended its goroutine") // by t.Fatal
		defer func() { done <- err }()
		err = visit(ns, func() error { f(); return nil })
	}()
	check(t, <-done)
	if t.Failed() {
		t.FailNow()
	}
}

// serve answers every connection or datagram with name and the sender's address.
func serve(t testing.TB, ns *os.File, network, addr, name string) {
	t.Helper()
	in(t, ns, func() {
		if strings.HasPrefix(network, "udp") {
			c, err := net.ListenPacket(network, addr)
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(func() { _ = c.Close() })
			go func() {
				buf := make([]byte, 100)
				for {
					_, from, err := c.ReadFrom(buf)
					if err != nil {
						return
					}
					_, _ = c.WriteTo([]byte(name+" "+from.String()), from)
				}
			}()
			return
		}
		l, err := net.Listen(network, addr)
		if err != nil {
			t.Error(err)
			return
		}
		t.Cleanup(func() { _ = l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					_ = c.SetDeadline(time.Now().Add(5 * time.Second))
					_, _ = c.Read(make([]byte, 1))
					fmt.Fprintf(c, "%s %s", name, c.RemoteAddr())
					_ = c.Close()
				}()
			}
		}()
	})
}

// ask connects and returns the server's name and the address it saw.
func ask(t testing.TB, ns *os.File, network, addr string) (name, from string, err error) {
	t.Helper()
	in(t, ns, func() {
		var c net.Conn
		if c, err = net.DialTimeout(network, addr, 500*time.Millisecond); err != nil {
			return
		}
		defer c.Close()
		_, _ = c.Write([]byte("?"))
		_ = c.SetDeadline(time.Now().Add(500 * time.Millisecond))
		buf := make([]byte, 100)
		var n int
		if n, err = c.Read(buf); err != nil {
			return
		}
		var peer string
		name, peer, _ = strings.Cut(string(buf[:n]), " ")
		from = netip.MustParseAddrPort(peer).Addr().Unmap().String()
	})
	return name, from, err
}

func (m *machine) elements(t testing.TB) []element {
	t.Helper()
	r, err := openRuleset(m.cfg)
	check(t, err)
	defer r.close()
	es, err := r.list()
	check(t, err)
	return es
}
