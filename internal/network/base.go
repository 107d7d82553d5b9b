package network

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// baseVersion is the version of bridge and rules; a base of another version is made anew.
const baseVersion = 1

// base is what all containers of the machine share, as recorded in the state directory.
type base struct {
	Version int
	Index   int // of the bridge
	Subnet  netip.Prefix
	MTU     int
}

// gateway is the bridge's own address.
func (b *base) gateway() netip.Addr { return nth(b.Subnet, 1) }

func (c config) basePath() string { return filepath.Join(c.dir, "base.json") }

// ensureBase returns the base, made when missing. The common case costs one file, one ioctl, one
// netlink message and no lock.
func (c config) ensureBase(ctx context.Context, r *ruleset, log *slog.Logger) (*base, error) {
	if b := c.currentBase(r); b != nil {
		return b, nil
	}
	unlock, err := c.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	if b := c.currentBase(r); b != nil {
		return b, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("make bridge network: %w", err)
	}
	b, err := c.makeBase(r)
	if err != nil {
		return nil, fmt.Errorf("make bridge network (--network host or none works without): %w", err)
	}
	warnFirewall(r, log)
	return b, nil
}

// currentBase returns nil unless everything is in place.
func (c config) currentBase(r *ruleset) *base {
	b := c.readBase()
	if b == nil || !linkUp(c.bridge, b.Index) || !forwarding() || !r.present() {
		return nil
	}
	return b
}

// readBase returns nil where there is none of this version.
func (c config) readBase() *base {
	data, err := os.ReadFile(c.basePath())
	if err != nil {
		return nil
	}
	b := &base{}
	if json.Unmarshal(data, b) != nil || b.Version != baseVersion || !b.Subnet.IsValid() || !b.Subnet.Addr().Is4() {
		return nil
	}
	return b
}

const forwardingPath = "/proc/sys/net/ipv4/ip_forward"

func forwarding() bool {
	data, err := os.ReadFile(forwardingPath)
	return err == nil && strings.TrimSpace(string(data)) != "0"
}

// linkUp reports by ioctl whether the interface has that index and is up.
func linkUp(name string, index int) bool {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer func() { _ = unix.Close(fd) }() // nothing was written
	ifr, err := unix.NewIfreq(name)
	if err != nil || unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, ifr) != nil || int(ifr.Uint32()) != index {
		return false
	}
	return unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, ifr) == nil && ifr.Uint16()&unix.IFF_UP != 0
}

// makeBase makes what is missing, under the lock. Ports of living containers are published again.
func (c config) makeBase(r *ruleset) (*base, error) {
	link, subnet, err := c.makeBridge()
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(forwardingPath, []byte("1"), 0o600); err != nil && !forwarding() {
		return nil, fmt.Errorf("turn IP forwarding on: %w", err)
	}
	published, err := c.published(subnet)
	if err != nil {
		return nil, err
	}
	if err := r.create(subnet, published); err != nil {
		return nil, err
	}
	b := &base{Version: baseVersion, Index: link.Attrs().Index, Subnet: subnet, MTU: link.Attrs().MTU}
	return b, c.writeBase(b)
}

// published are the elements of the living containers. What the dead left is forgotten.
func (c config) published(subnet netip.Prefix) ([]element, error) {
	a, err := c.openAddresses(subnet)
	if err != nil {
		return nil, err
	}
	defer a.close()
	living, dead, err := a.list()
	if err != nil {
		return nil, err
	}
	for _, addr := range dead {
		if err := a.forget(addr); err != nil {
			return nil, err
		}
	}
	var es []element
	for _, h := range living {
		es = append(es, elements(h.record.Ports, h.addr)...)
	}
	return es, nil
}

func (c config) writeBase(b *base) error {
	data, err := json.Marshal(b)
	if err != nil {
		return fmt.Errorf("record bridge network: %w", err)
	}
	tmp := c.basePath() + ".new" // one at a time: we hold the lock
	if err := os.WriteFile(tmp, data, 0o600); err != nil {
		return fmt.Errorf("record bridge network: %w", err)
	}
	if err := os.Rename(tmp, c.basePath()); err != nil {
		return fmt.Errorf("record bridge network: %w", err)
	}
	return nil
}

// makeBridge returns the bridge and its subnet: a bridge that is there keeps the address it has.
func (c config) makeBridge() (netlink.Link, netip.Prefix, error) {
	link, err := netlink.LinkByName(c.bridge)
	if missing := (netlink.LinkNotFoundError{}); errors.As(err, &missing) {
		link, err = c.addBridge()
	}
	if err != nil {
		return nil, netip.Prefix{}, fmt.Errorf("make bridge %s: %w", c.bridge, err)
	}
	if link.Type() != "bridge" {
		return nil, netip.Prefix{}, fmt.Errorf("interface %s is there and is no bridge but a %s", c.bridge, link.Type())
	}
	subnet, err := c.bridgeAddress(link)
	if err != nil {
		return nil, netip.Prefix{}, err
	}
	// Only IPv4 is ours; without this a container's router advertisement would reach the host (CVE-2020-13401).
	if err := bridgeSysctl("ipv6", c.bridge, "disable_ipv6"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, netip.Prefix{}, err
	}
	// The host's 127.0.0.1 reaches a container through this; the guard chain closes it for all others.
	if err := bridgeSysctl("ipv4", c.bridge, "route_localnet"); err != nil {
		return nil, netip.Prefix{}, err
	}
	if err := netlink.LinkSetUp(link); err != nil {
		return nil, netip.Prefix{}, fmt.Errorf("set bridge %s up: %w", c.bridge, err)
	}
	return link, subnet, nil
}

func bridgeSysctl(family, bridge, name string) error {
	if err := os.WriteFile(filepath.Join("/proc/sys/net", family, "conf", bridge, name), []byte("1"), 0o600); err != nil {
		return fmt.Errorf("set sysctl: %w", err)
	}
	return nil
}

// addBridge gives the bridge a fixed hardware address: otherwise the kernel changes it with every port.
func (c config) addBridge() (netlink.Link, error) {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = c.bridge
	attrs.HardwareAddr = net.HardwareAddr{0x02, 0xdc, 0, 0, 0, 1}
	attrs.MTU = uplinkMTU()
	if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attrs}); err != nil {
		return nil, err
	}
	return netlink.LinkByName(c.bridge)
}

// uplinkMTU is the default route's, where that is smaller than Ethernet's; else 1500.
func uplinkMTU() int {
	const ethernet = 1500
	routes, err := netlink.RouteList(nil, netlink.FAMILY_V4)
	if err != nil {
		return ethernet
	}
	for _, r := range routes {
		if r.Dst != nil && !r.Dst.IP.IsUnspecified() {
			continue
		}
		if l, err := netlink.LinkByIndex(r.LinkIndex); err == nil {
			return min(ethernet, l.Attrs().MTU)
		}
	}
	return ethernet
}

// bridgeAddress returns the bridge's subnet, chosen from the candidates when it has none.
func (c config) bridgeAddress(link netlink.Link) (netip.Prefix, error) {
	addrs, err := netlink.AddrList(link, netlink.FAMILY_V4)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("list addresses of %s: %w", c.bridge, err)
	}
	if len(addrs) > 0 {
		subnet := prefix(addrs[0].IPNet)
		if subnet.Bits() > 30 || nth(subnet, 1) != subnet.Addr() {
			return netip.Prefix{}, fmt.Errorf("bridge %s has address %s, not the first of a network of at least /30", c.bridge, subnet)
		}
		return subnet.Masked(), nil
	}
	subnet, err := c.chooseSubnet()
	if err != nil {
		return netip.Prefix{}, err
	}
	ip := net.IPNet{IP: nth(subnet, 1).AsSlice(), Mask: net.CIDRMask(subnet.Bits(), 32)}
	if err := netlink.AddrAdd(link, &netlink.Addr{IPNet: &ip}); err != nil {
		return netip.Prefix{}, fmt.Errorf("give %s its address: %w", c.bridge, err)
	}
	return subnet, nil
}

// chooseSubnet takes the first candidate that no route, address or name server of the host is in.
func (c config) chooseSubnet() (netip.Prefix, error) {
	used, err := hostPrefixes()
	if err != nil {
		return netip.Prefix{}, err
	}
	if data, err := os.ReadFile(c.resolvConf); err == nil {
		for _, s := range nameservers(data) {
			used = append(used, netip.PrefixFrom(s, s.BitLen()))
		}
	}
	if p, ok := firstFree(c.subnets, used); ok {
		return p, nil
	}
	return netip.Prefix{}, fmt.Errorf("each of the networks %v overlaps one of this machine; make the bridge with one that does not:"+
		" ip link add %s type bridge && ip addr add 10.X.0.1/16 dev %s", c.subnets, c.bridge, c.bridge)
}

func firstFree(candidates, used []netip.Prefix) (netip.Prefix, bool) {
next:
	for _, p := range candidates {
		for _, u := range used {
			if p.Overlaps(u) {
				continue next
			}
		}
		return p, true
	}
	return netip.Prefix{}, false
}

// hostPrefixes are the destinations of all IPv4 routes, but the default, and all addresses.
func hostPrefixes() ([]netip.Prefix, error) {
	routes, err := netlink.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	addrs, err := netlink.AddrList(nil, netlink.FAMILY_V4)
	if err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	var used []netip.Prefix
	for _, r := range routes {
		if r.Dst != nil {
			used = append(used, prefix(r.Dst))
		}
	}
	for _, a := range addrs {
		used = append(used, prefix(a.IPNet))
	}
	return dropDefault(used), nil
}

func dropDefault(ps []netip.Prefix) []netip.Prefix {
	kept := ps[:0]
	for _, p := range ps {
		if p.IsValid() && p.Bits() > 0 {
			kept = append(kept, p)
		}
	}
	return kept
}

// prefix converts; the address keeps its host part.
func prefix(n *net.IPNet) netip.Prefix {
	if n == nil {
		return netip.Prefix{}
	}
	addr, _ := netip.AddrFromSlice(n.IP)
	ones, _ := n.Mask.Size()
	return netip.PrefixFrom(addr.Unmap(), ones)
}
