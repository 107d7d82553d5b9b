package network

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/need"
)

func TestBridgeTraffic(t *testing.T) {
	m := newMachine(t)
	a := m.run(t, "8080:80", "127.0.0.1:6379:6379", machineIP+":7000:7000", "5353:53/udp", "127.0.0.1:5454:54/udp")
	b := m.run(t)
	for _, addr := range []string{":80", ":6379", ":7000", ":9999"} {
		serve(t, a.ns, "tcp4", addr, "a"+addr)
	}
	serve(t, a.ns, "udp4", ":53", "a:53")
	serve(t, a.ns, "udp4", ":54", "a:54")
	serve(t, m.lan, "tcp4", ":80", "lan")
	serve(t, nil, "tcp4", "127.0.0.1:5432", "host")
	serve(t, nil, "tcp4", machineIP+":5433", "host")
	ip, gw := a.Address().String(), a.base.gateway().String()

	tests := map[string]struct {
		where    *os.File
		network  string
		addr     string
		name     string // empty: no answer
		from     string // empty: do not care
		routeToA bool
	}{
		"out, masqueraded":                     {where: a.ns, addr: lanIP + ":80", name: "lan", from: machineIP},
		"out to the host":                      {where: a.ns, addr: machineIP + ":5433", name: "host", from: ip},
		"own loopback":                         {where: a.ns, addr: "127.0.0.1:80", name: "a:80", from: loopIP},
		"neighbour by address":                 {where: b.ns, addr: ip + ":9999", name: "a:9999", from: b.Address().String()},
		"published, from the lan":              {where: m.lan, addr: machineIP + ":8080", name: "a:80", from: lanIP},
		"published, from 127.0.0.1":            {addr: "127.0.0.1:8080", name: "a:80", from: gw},
		"published, from the host":             {addr: machineIP + ":8080", name: "a:80"},
		"published, by the bridge's address":   {addr: gw + ":8080", name: "a:80"},
		"published, from a neighbour":          {where: b.ns, addr: machineIP + ":8080", name: "a:80", from: gw},
		"published, from itself":               {where: a.ns, addr: machineIP + ":8080", name: "a:80", from: gw},
		"one address, from the lan":            {where: m.lan, addr: machineIP + ":7000", name: "a:7000", from: lanIP},
		"one address, not on loopback":         {addr: "127.0.0.1:7000"},
		"loopback only, from the host":         {addr: "127.0.0.1:6379", name: "a:6379", from: gw},
		"loopback only, not by the lan's":      {where: m.lan, addr: machineIP + ":6379"},
		"loopback only, not by the host's":     {addr: machineIP + ":6379"},
		"loopback only, not from a neighbour":  {where: b.ns, addr: machineIP + ":6379"},
		"loopback only, not by the gateway":    {where: b.ns, addr: gw + ":6379"},
		"not published, from the lan":          {where: m.lan, addr: ip + ":9999", routeToA: true},
		"published port, lan, by container ip": {where: m.lan, addr: ip + ":80", routeToA: true},
		"host's loopback service by gateway":   {where: a.ns, addr: gw + ":5432"},
		"host's loopback service by host's ip": {where: a.ns, addr: machineIP + ":5432"},
		"udp from the lan":                     {where: m.lan, network: "udp4", addr: machineIP + ":5353", name: "a:53", from: lanIP},
		"udp from 127.0.0.1":                   {network: "udp4", addr: "127.0.0.1:5353", name: "a:53", from: gw},
		"udp from itself":                      {where: a.ns, network: "udp4", addr: machineIP + ":5353", name: "a:53", from: gw},
		"udp loopback only":                    {network: "udp4", addr: "127.0.0.1:5454", name: "a:54", from: gw},
		"udp loopback only, not by the lan's":  {where: m.lan, network: "udp4", addr: machineIP + ":5454"},
		"tcp port is not udp":                  {where: m.lan, network: "udp4", addr: machineIP + ":8080"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if tt.network == "" {
				tt.network = "tcp4"
			}
			if tt.routeToA {
				routeVia(t, m.lan, a.base.Subnet, machineIP)
			}
			got, from, err := ask(t, tt.where, tt.network, tt.addr)
			if got != tt.name {
				t.Errorf("answer %q (%v), want %q", got, err, tt.name)
			}
			if tt.from != "" && from != tt.from {
				t.Errorf("server saw %s, want %s", from, tt.from)
			}
		})
	}
}

func routeVia(t *testing.T, ns *os.File, to netip.Prefix, via string) {
	t.Helper()
	in(t, ns, func() {
		l, err := netlink.LinkByName("eth0")
		check(t, err)
		dst := &net.IPNet{IP: to.Addr().AsSlice(), Mask: net.CIDRMask(to.Bits(), 32)}
		check(t, netlink.RouteReplace(&netlink.Route{LinkIndex: l.Attrs().Index, Dst: dst, Gw: net.ParseIP(via)}))
	})
}

// TestLoopbackFromOutside plays CVE-2020-8558: a neighbour routes 127.0.0.1 to us.
func TestLoopbackFromOutside(t *testing.T) {
	m := newMachine(t)
	c := m.run(t, "127.0.0.1:6379:6379")
	serve(t, c.ns, "tcp4", ":6379", "c")
	serve(t, nil, "tcp4", "127.0.0.1:5432", "host")
	for name, ns := range map[string]*os.File{"lan": m.lan, "container": m.run(t).ns} {
		t.Run(name, func(t *testing.T) {
			via := machineIP
			if name == "container" {
				via = c.base.gateway().String()
			}
			in(t, ns, func() {
				check(t, os.WriteFile("/proc/sys/net/ipv4/conf/all/route_localnet", []byte("1"), 0o600))
				lo, err := netlink.LinkByName("lo")
				check(t, err)
				_ = netlink.AddrDel(lo, &netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(127, 0, 0, 1), Mask: net.CIDRMask(8, 32)}})
				check(t, netlink.LinkSetDown(lo))
			})
			routeVia(t, ns, loopback, via)
			for _, addr := range []string{"127.0.0.1:6379", "127.0.0.1:5432"} {
				if got, _, err := ask(t, ns, "tcp4", addr); err == nil {
					t.Errorf("%s answered %q", addr, got)
				}
			}
		})
	}
	if got, _, err := ask(t, nil, "tcp4", "127.0.0.1:6379"); got != "c" {
		t.Errorf("from the host itself: %q, %v", got, err)
	}
}

func TestContainerInterface(t *testing.T) {
	m := newMachine(t)
	c := m.run(t)
	in(t, c.ns, func() {
		l, err := netlink.LinkByName("eth0")
		check(t, err)
		if l.Attrs().MTU != 1500 || l.Attrs().Flags&net.FlagUp == 0 {
			t.Errorf("eth0: %+v", l.Attrs())
		}
		v6, err := netlink.AddrList(l, netlink.FAMILY_V6)
		check(t, err)
		if len(v6) != 0 {
			t.Errorf("eth0 has IPv6 addresses: %v", v6)
		}
	})
	br, err := netlink.LinkByName(m.cfg.bridge)
	check(t, err)
	v6, err := netlink.AddrList(br, netlink.FAMILY_V6)
	check(t, err)
	if len(v6) != 0 {
		t.Errorf("the bridge has IPv6 addresses: %v", v6)
	}
	// The thread that was lent to the container's namespace must not come back.
	for range 50 {
		in(t, nil, func() {
			if _, err := netlink.LinkByName(m.cfg.bridge); err != nil {
				t.Fatal("a thread was left in the container's namespace")
			}
		})
	}
}

func TestHostPorts(t *testing.T) {
	m := newMachine(t)
	first := m.run(t, "8080:80", "0:81", "9000-9010:82")
	ports := first.Ports()
	if got := ports[0].String(); got != "0.0.0.0:8080->80/tcp" {
		t.Errorf("Ports()[0] = %s", got)
	}
	if ports[1].HostPort == 0 || ports[2].HostPort != 9000 {
		t.Errorf("chosen ports: %v", ports)
	}
	if got := m.run(t, "9000-9010:82").Ports()[0].HostPort; got != 9001 {
		t.Errorf("second port of the range: %d", got)
	}
	l, err := net.Listen("tcp4", ":7777")
	check(t, err)
	defer l.Close()
	comm, err := os.ReadFile("/proc/self/comm")
	check(t, err)
	self := strings.TrimSpace(string(comm))
	tests := map[string]struct {
		port, want string
		is         error
	}{
		"another container's": {"8080:1", "Bind for 0.0.0.0:8080 failed: port is already allocated (by container 0123456789ab, pid ", unix.EADDRINUSE},
		"on one address":      {"127.0.0.1:8080:1", "Bind for 127.0.0.1:8080 failed: port is already allocated (by container", unix.EADDRINUSE},
		"a program's":         {"7777:1", "Bind for 0.0.0.0:7777 failed: port is already allocated (by " + self + ", pid ", unix.EADDRINUSE},
		"IPv6":                {"[::1]:80:1", "Bind for [::1]:80 failed: the bridge network publishes IPv4 addresses only", nil},
		"not our address":     {"203.0.113.5:1:1", "Bind for 203.0.113.5:1 failed: 203.0.113.5 is not an address of this machine", unix.EADDRNOTAVAIL},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := m.cfg.open(t.Context(), Options{ID: "x", Mode: Bridge, Ports: mustPorts(t, tt.port)})
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) || (tt.is != nil && !errors.Is(err, tt.is)) {
				t.Errorf("error %q, want %q…", err, tt.want)
			}
		})
	}
	if living, dead := m.leased(t); len(living) != 2 || len(dead) != 0 {
		t.Errorf("after failures these are held: %v %v", living, dead)
	}
	for _, network := range []string{"tcp4", "tcp"} {
		if l, err := net.Listen(network, ":8080"); err == nil {
			l.Close()
			t.Errorf("another program could listen on %s 8080", network)
		}
	}
}

// TestReservedRefuses: before the container is attached a client is refused, not left hanging.
func TestReservedRefuses(t *testing.T) {
	m := newMachine(t)
	n := m.open(t, "8080:80")
	if _, _, err := ask(t, nil, "tcp4", "127.0.0.1:8080"); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("reserved: %v", err)
	}
	check(t, n.Release(t.Context()))
	check(t, n.Release(t.Context()))
	l, err := net.Listen("tcp4", ":8080")
	check(t, err)
	l.Close()
}

func TestRelease(t *testing.T) {
	m := newMachine(t)
	c := m.run(t, "8080:80", "5353:53/udp", "127.0.0.1:9090:90")
	if got := len(m.elements(t)); got != 3 {
		t.Errorf("%d elements, want 3", got)
	}
	check(t, c.Release(t.Context()))
	if got := m.elements(t); len(got) != 0 {
		t.Errorf("left: %v", got)
	}
	if living, dead := m.leased(t); len(living)+len(dead) != 0 {
		t.Errorf("left: %v %v", living, dead)
	}
	// UDP: the same client socket reaches the port's next owner.
	client, err := net.Dial("udp4", machineIP+":5353")
	check(t, err)
	defer client.Close()
	for _, name := range []string{"one", "two"} {
		c := m.run(t, "5353:53/udp")
		serve(t, c.ns, "udp4", ":53", name)
		if got := askOn(t, client); got != name {
			t.Errorf("answer from %q, want %s", got, name)
		}
		check(t, c.Release(t.Context()))
	}
}

// leased lists the addresses in use, and checks that no others have a record.
func (m *machine) leased(t *testing.T) (living []held, dead []netip.Addr) {
	t.Helper()
	a, err := m.cfg.openAddresses(m.cfg.readBase().Subnet)
	check(t, err)
	defer a.close()
	living, dead, err = a.list()
	check(t, err)
	entries, err := os.ReadDir(m.cfg.dir)
	check(t, err)
	for _, e := range entries {
		if addr, ok := strings.CutPrefix(e.Name(), "ports-"); ok && !slices.ContainsFunc(living, func(h held) bool { return h.addr.String() == addr }) &&
			!slices.Contains(dead, netip.MustParseAddr(addr)) {
			t.Errorf("record of nobody's: %s", e.Name())
		}
	}
	return living, dead
}

func TestFlushedRuleset(t *testing.T) {
	m := newMachine(t)
	a := m.run(t, "8080:80")
	b := m.open(t, "8081:80")
	serve(t, a.ns, "tcp4", ":80", "a")
	r, err := openRuleset(m.cfg)
	check(t, err)
	defer r.close()
	r.conn.DelTable(r.table)
	check(t, r.conn.Flush())
	ns := newNetns(t)
	check(t, b.Attach(t.Context(), ns, os.Getpid()))
	serve(t, ns, "tcp4", ":80", "b")
	for port, want := range map[string]string{"8080": "a", "8081": "b"} {
		if got, _, err := ask(t, m.lan, "tcp4", machineIP+":"+port); got != want {
			t.Errorf("%s answers %q (%v), want %s", port, got, err, want)
		}
	}
	r.conn.DelTable(r.table)
	check(t, r.conn.Flush())
	check(t, a.Release(t.Context()))
	m.run(t) // makes the table again
	if got := m.elements(t); len(got) != 1 || got[0].port != 8081 {
		t.Errorf("elements made again: %v", got)
	}
}

func TestLostBridge(t *testing.T) {
	m := newMachine(t)
	subnet := m.run(t).base.Subnet
	l, err := netlink.LinkByName(m.cfg.bridge)
	check(t, err)
	check(t, netlink.LinkDel(l))
	c := m.run(t)
	if c.base.Subnet != subnet {
		t.Errorf("subnet %s, was %s", c.base.Subnet, subnet)
	}
	serve(t, m.lan, "tcp4", ":80", "lan")
	if got, _, err := ask(t, c.ns, "tcp4", lanIP+":80"); got != "lan" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestSubnet(t *testing.T) {
	m := newMachine(t)
	dummy := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "other"}}
	check(t, netlink.LinkAdd(dummy))
	defer func() { check(t, netlink.LinkDel(dummy)) }()
	addAddr(t, dummy, "10.87.3.1/24")
	check(t, os.WriteFile(m.cfg.resolvConf, []byte("nameserver 10.86.0.53\n"), 0o600))
	if got := m.run(t).base.Subnet.String(); got != "10.187.0.0/16" {
		t.Errorf("subnet %s", got)
	}
}

func TestNoSubnet(t *testing.T) {
	m := newMachine(t)
	m.cfg.subnets = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/25")}
	_, err := m.cfg.open(t.Context(), Options{Mode: Bridge})
	if err == nil || !strings.Contains(err.Error(), "overlaps one of this machine") {
		t.Errorf("error: %v", err)
	}
	// As the message says: a bridge of the user's is used as it is.
	br := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: m.cfg.bridge}}
	if l, err := netlink.LinkByName(m.cfg.bridge); err == nil {
		check(t, netlink.LinkDel(l))
	}
	check(t, netlink.LinkAdd(br))
	addAddr(t, br, "10.99.0.1/24")
	if got := m.run(t).Address(); !netip.MustParsePrefix("10.99.0.0/24").Contains(got) {
		t.Errorf("address %s", got)
	}
}

func TestExhaustion(t *testing.T) {
	m := newMachine(t)
	m.cfg.subnets = []netip.Prefix{netip.MustParsePrefix("10.87.0.0/29")}
	seen := map[netip.Addr]bool{}
	for range 5 {
		seen[m.open(t).Address()] = true
	}
	if len(seen) != 5 || seen[netip.MustParseAddr("10.87.0.1")] || seen[netip.MustParseAddr("10.87.0.7")] {
		t.Errorf("addresses: %v", seen)
	}
	_, err := m.cfg.open(t.Context(), Options{Mode: Bridge})
	if err == nil || !strings.Contains(err.Error(), "no free address in 10.87.0.0/29: all 5 are in use") {
		t.Errorf("error: %v", err)
	}
}

// TestFirstPacket: what is attached can be reached at once, not a repeated packet later.
func TestFirstPacket(t *testing.T) {
	m := newMachine(t)
	for range 20 {
		c := m.run(t)
		if _, _, err := ask(t, nil, "tcp4", c.Address().String()+":80"); !errors.Is(err, unix.ECONNREFUSED) {
			t.Errorf("right after Attach: %v", err)
		}
	}
}

// TestForgedSender: a container cannot send in another machine's name.
func TestForgedSender(t *testing.T) {
	m := newMachine(t)
	c := m.run(t)
	for where, ns := range map[string]*os.File{m.cfg.bridge: nil, "eth0": m.lan} { // else the kernel may drop it first
		in(t, ns, func() {
			for _, name := range []string{"all", where} {
				check(t, os.WriteFile("/proc/sys/net/ipv4/conf/"+name+"/rp_filter", []byte("0"), 0o600))
			}
		})
	}
	got := make(chan string, 10)
	in(t, m.lan, func() {
		l, err := net.ListenPacket("udp4", ":514")
		check(t, err)
		t.Cleanup(func() { _ = l.Close() })
		go func() {
			buf := make([]byte, 100)
			for {
				n, _, err := l.ReadFrom(buf)
				if err != nil {
					return
				}
				got <- string(buf[:n])
			}
		}()
	})
	in(t, c.ns, func() {
		eth, err := netlink.LinkByName("eth0")
		check(t, err)
		addAddr(t, eth, "203.0.113.7/32")
		for _, from := range []string{"203.0.113.7", c.Address().String()} {
			conn, err := net.DialUDP("udp4", &net.UDPAddr{IP: net.ParseIP(from)}, &net.UDPAddr{IP: net.ParseIP(lanIP), Port: 514})
			check(t, err)
			_, err = conn.Write([]byte(from))
			check(t, err)
			_ = conn.Close()
		}
	})
	if first := <-got; first != c.Address().String() { // sent last
		t.Errorf("a packet from %s came through", first)
	}
}

// TestFirewall: a firewall that drops forwarded packets is named, and the fix in the warning is one.
func TestFirewall(t *testing.T) {
	need.Program(t, "nft")
	m := newMachine(t)
	shell(t, "nft add table inet fw; nft 'add chain inet fw forward { type filter hook forward priority 0; policy drop; }'")
	t.Cleanup(func() { shell(t, "nft delete table inet fw") })
	var log bytes.Buffer
	n, err := m.cfg.open(t.Context(), Options{
		Mode: Bridge, Ports: mustPorts(t, "8080:80"), Log: slog.New(slog.NewJSONHandler(&log, nil)),
	})
	check(t, err)
	defer n.Release(t.Context())
	var warning struct{ Msg, Table, Chain, Fix string }
	check(t, json.Unmarshal(log.Bytes(), &warning))
	if warning.Table != "fw" || warning.Chain != "forward" || !strings.Contains(warning.Msg, "drops forwarded packets") {
		t.Errorf("warning: %s", &log)
	}
	ns := newNetns(t)
	check(t, n.Attach(t.Context(), ns, os.Getpid()))
	serve(t, m.lan, "tcp4", ":80", "lan")
	serve(t, ns, "tcp4", ":80", "box")
	if got, _, err := ask(t, ns, "tcp4", lanIP+":80"); err == nil {
		t.Errorf("the firewall let %q through", got)
	}
	shell(t, warning.Fix)
	if got, _, err := ask(t, ns, "tcp4", lanIP+":80"); got != "lan" {
		t.Errorf("out, after %s: %q, %v", warning.Fix, got, err)
	}
	if got, _, err := ask(t, m.lan, "tcp4", machineIP+":8080"); got != "box" {
		t.Errorf("in, after the fix: %q, %v", got, err)
	}
	log.Reset()
	again, err := m.cfg.open(t.Context(), Options{Mode: Bridge, Log: slog.New(slog.NewJSONHandler(&log, nil))})
	check(t, err)
	defer again.Release(t.Context())
	if log.Len() != 0 {
		t.Errorf("warned again: %s", &log)
	}
}

func shell(t *testing.T, script string) {
	t.Helper()
	out, err := exec.CommandContext(context.WithoutCancel(t.Context()), "sh", "-ec", script).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", script, err, out)
	}
}

func TestModes(t *testing.T) {
	need.Root(t)
	if _, err := New(t.Context(), Options{Mode: Bridge, Rootless: true}); !errors.Is(err, ErrRootless) ||
		!strings.Contains(err.Error(), "use --network pasta, host or none") {
		t.Errorf("rootless bridge: %v", err)
	}
	if _, err := New(t.Context(), Options{Mode: "mesh"}); err == nil {
		t.Error("unknown mode accepted")
	}
	if _, err := New(t.Context(), Options{Mode: None, Hostname: "a\n10.0.0.1 evil"}); err == nil {
		t.Error("a hostname with a line break was accepted")
	}
	if m, err := DefaultMode(false); m != Bridge || err != nil {
		t.Errorf("DefaultMode(false) = %s, %v", m, err)
	}
	n, err := New(t.Context(), Options{Mode: None, Hostname: "box"})
	check(t, err)
	check(t, n.Attach(t.Context(), nil, 0))
	if !strings.HasSuffix(string(n.Hosts()), "127.0.1.1\tbox\n") || len(n.ResolvConf()) != 0 || n.Address().IsValid() {
		t.Errorf("none: %q %q", n.Hosts(), n.ResolvConf())
	}
	check(t, n.Release(t.Context()))
}
