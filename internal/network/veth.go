package network

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

const containerIface = "eth0"

// attachBridge plugs the namespace in while the ports are published: the two do not wait for each other.
func (n *Network) attachBridge(ctx context.Context, netns *os.File) error {
	n.mu.Lock()
	n.publish = len(n.ports) > 0
	n.mu.Unlock()
	published := make(chan error, 1)
	go func() { published <- n.publishPorts(ctx) }()
	err := n.plug(netns)
	return errors.Join(err, <-published)
}

func (n *Network) plug(netns *os.File) error {
	inside, err := openNetns(netns)
	if err != nil {
		return err
	}
	defer inside.close()
	name, err := addVeth(n.base, n.lease.addr, netns)
	if err != nil {
		return err
	}
	if err := inside.configure(netip.PrefixFrom(n.lease.addr, n.base.Subnet.Bits()), n.base.gateway()); err != nil {
		return err
	}
	link, err := awaitLink(name, n.base.Index)
	if err != nil {
		return err
	}
	return hairpin(link)
}

// addVeth makes the pair in one message: our end is a port of the bridge, the other one is eth0 in the
// container's namespace; ours is up.
func addVeth(b *base, addr netip.Addr, netns *os.File) (string, error) {
	name := vethName()
	ours := nl.NewIfInfomsg(unix.AF_UNSPEC)
	ours.Flags, ours.Change = unix.IFF_UP, unix.IFF_UP
	mtu := nl.Uint32Attr(uint32(b.MTU)) //nolint:gosec // G115: an interface's MTU
	req := nl.NewNetlinkRequest(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL|unix.NLM_F_ACK)
	req.AddData(ours)
	req.AddData(nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)))
	req.AddData(nl.NewRtAttr(unix.IFLA_MTU, mtu))
	req.AddData(nl.NewRtAttr(unix.IFLA_MASTER, nl.Uint32Attr(uint32(b.Index)))) //nolint:gosec // G115: an interface index
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated("veth"))
	peer := info.AddRtAttr(nl.IFLA_INFO_DATA, nil).AddRtAttr(nl.VETH_INFO_PEER, nil)
	nl.NewIfInfomsgChild(peer, unix.AF_UNSPEC)
	peer.AddRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(containerIface))
	peer.AddRtAttr(unix.IFLA_MTU, mtu)
	peer.AddRtAttr(unix.IFLA_ADDRESS, hardwareAddr(addr))
	peer.AddRtAttr(unix.IFLA_NET_NS_FD, nl.Uint32Attr(uint32(netns.Fd()))) //nolint:gosec // G115: a descriptor
	req.AddData(info)
	if _, err := req.Execute(unix.NETLINK_ROUTE, 0); err != nil {
		return "", fmt.Errorf("make veth pair: %w", err)
	}
	return name, nil
}

// hardwareAddr belongs to the address, so that a neighbour's ARP entry is right for its next owner too.
func hardwareAddr(addr netip.Addr) net.HardwareAddr {
	return append(net.HardwareAddr{0x02, 0xdc}, addr.AsSlice()...)
}

func vethName() string {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails
	return "dh" + hex.EncodeToString(b[:])
}

// awaitLink returns when the pair and the bridge pass packets. A link whose other end came up is made
// active by a worker of the kernel's; until then it drops what it is to send, and the container's first
// packet would be repeated a second later. Since Linux 6.8 the question alone brings that about; before,
// it is asked again until the answer is yes.
func awaitLink(name string, bridge int) (netlink.Link, error) {
	link, err := netlink.LinkByName(name)
	for try := 0; err == nil && link.Attrs().OperState != netlink.OperUp && try < linkTries; try++ {
		time.Sleep(linkPause)
		link, err = netlink.LinkByName(name)
	}
	if err == nil {
		_, err = netlink.LinkByIndex(bridge) // up already, unless this is its only port
	}
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", name, err)
	}
	return link, nil
}

const (
	linkTries = 40
	linkPause = 250 * time.Microsecond
)

// hairpin lets a container reach its own published port where the kernel filters bridged packets
// (br_netfilter): they are then turned round inside the bridge.
func hairpin(link netlink.Link) error {
	data, err := os.ReadFile("/proc/sys/net/bridge/bridge-nf-call-iptables")
	if err != nil || strings.TrimSpace(string(data)) == "0" {
		return nil //nolint:nilerr // the file is missing where br_netfilter is
	}
	if err := netlink.LinkSetHairpin(link, true); err != nil {
		return fmt.Errorf("set %s to hairpin mode: %w", link.Attrs().Name, err)
	}
	return nil
}

// netnsHandle speaks for a network namespace without being in it.
type netnsHandle struct {
	route *netlink.Handle
	inet  int
}

// openNetns opens sockets inside the namespace and turns IPv6 off for interfaces that are still to come
// (loopback keeps ::1): the bridge has none, and a neighbour's router advertisements are not to be
// believed.
func openNetns(netns *os.File) (*netnsHandle, error) {
	var h *netnsHandle
	err := inNetns(netns, func() (err error) {
		h, err = openHere()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("enter network namespace: %w", err)
	}
	return h, nil
}

// inNetns calls f on a thread that is in the namespace meanwhile. A thread that cannot come back is
// never used again.
func inNetns(netns *os.File, f func() error) error {
	done := make(chan error, 1)
	go func() { done <- visit(netns, f) }()
	return <-done
}

func visit(netns *os.File, f func() error) error {
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer func() {
		if setNetns(home) == nil {
			runtime.UnlockOSThread()
		}
		_ = home.Close() // nothing was written
	}()
	if err := setNetns(netns); err != nil {
		return err
	}
	return f()
}

func setNetns(ns *os.File) error {
	return unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
}

func openHere() (*netnsHandle, error) {
	err := os.WriteFile("/proc/sys/net/ipv6/conf/default/disable_ipv6", []byte("1"), 0o600)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("turn IPv6 off: %w", err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open socket: %w", err)
	}
	route, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		_ = unix.Close(fd) // nothing was written
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	return &netnsHandle{route: route, inet: fd}, nil
}

func (h *netnsHandle) close() {
	h.route.Close()
	_ = unix.Close(h.inet) // nothing was written
}

// configure brings loopback and eth0 up and gives eth0 its address and default route.
func (h *netnsHandle) configure(addr netip.Prefix, gateway netip.Addr) error {
	for _, name := range []string{"lo", containerIface} {
		if err := h.setUp(name); err != nil {
			return fmt.Errorf("set %s up: %w", name, err)
		}
	}
	eth, err := unix.NewIfreq(containerIface)
	if err != nil {
		return fmt.Errorf("name %s: %w", containerIface, err)
	}
	if err := unix.IoctlIfreq(h.inet, unix.SIOCGIFINDEX, eth); err != nil {
		return fmt.Errorf("find %s: %w", containerIface, err)
	}
	index := int(eth.Uint32())
	ip := &net.IPNet{IP: addr.Addr().AsSlice(), Mask: net.CIDRMask(addr.Bits(), 32)}
	link := &netlink.Device{LinkAttrs: netlink.LinkAttrs{Name: containerIface, Index: index}}
	if err := h.route.AddrAdd(link, &netlink.Addr{IPNet: ip}); err != nil {
		return fmt.Errorf("give %s its address: %w", containerIface, err)
	}
	if err := h.route.RouteAdd(&netlink.Route{LinkIndex: index, Gw: gateway.AsSlice()}); err != nil {
		return fmt.Errorf("add default route: %w", err)
	}
	return nil
}

func (h *netnsHandle) setUp(name string) error {
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	ifr.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(h.inet, unix.SIOCSIFFLAGS, ifr)
}
