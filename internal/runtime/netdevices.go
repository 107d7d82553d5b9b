package runtime

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// netDevices moves the host's network devices of linux.netDevices to the container, with their global
// addresses, and sets them up there. They go with the namespace: virtual ones end, others go home.
func (c *starting) netDevices(s *specs.Spec) error {
	if len(s.Linux.NetDevices) == 0 {
		return nil
	}
	ns, err := c.open("ns/net")
	if err != nil {
		return err
	}
	defer func() { _ = ns.Close() }() // read only
	var inside *netlink.Handle
	err = inNetwork(ns.Name(), func() (err error) { // a socket belongs to the namespace it is made in
		inside, err = netlink.NewHandle(unix.NETLINK_ROUTE)
		return err
	})
	if err != nil {
		return fmt.Errorf("linux.netDevices: %w", err)
	}
	defer inside.Close()
	for _, name := range slices.Sorted(maps.Keys(s.Linux.NetDevices)) {
		if err := moveDevice(name, s.Linux.NetDevices[name].Name, ns, inside); err != nil {
			return fmt.Errorf("linux.netDevices[%s]: %w", name, err)
		}
	}
	return nil
}

func moveDevice(name, newName string, ns *os.File, inside *netlink.Handle) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("find device: %w", err)
	}
	addrs, err := netlink.AddrList(link, unix.AF_UNSPEC)
	if err != nil {
		return fmt.Errorf("list addresses: %w", err)
	}
	if err := netlink.LinkSetDown(link); err != nil {
		return fmt.Errorf("set down: %w", err)
	}
	if newName != "" && newName != name {
		if err := netlink.LinkSetName(link, newName); err != nil {
			return fmt.Errorf("name it %s: %w", newName, err)
		}
		name = newName
	}
	if err := netlink.LinkSetNsFd(link, int(ns.Fd())); err != nil {
		return fmt.Errorf("move to the container's network: %w", err)
	}
	if link, err = inside.LinkByName(name); err != nil {
		return fmt.Errorf("find device in the container: %w", err)
	}
	for i := range addrs {
		if err := addAddress(inside, link, &addrs[i]); err != nil {
			return err
		}
	}
	if err := inside.LinkSetUp(link); err != nil {
		return fmt.Errorf("set up: %w", err)
	}
	return nil
}

// addAddress gives the device an address it had, if that was meant to last and for everywhere.
func addAddress(inside *netlink.Handle, link netlink.Link, a *netlink.Addr) error {
	if a.Scope != unix.RT_SCOPE_UNIVERSE || a.Flags&unix.IFA_F_PERMANENT == 0 {
		return nil
	}
	add := &netlink.Addr{IPNet: a.IPNet, Peer: a.Peer, Broadcast: a.Broadcast}
	if err := inside.AddrAdd(link, add); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("add address %s: %w", a.IPNet, err)
	}
	return nil
}
