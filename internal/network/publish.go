package network

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// publishPorts adds the container's elements. We hold the host ports, so an element with the same key
// is a dead container's.
func (n *Network) publishPorts(ctx context.Context) error {
	if len(n.ports) == 0 {
		return nil
	}
	es := elements(n.ports, n.lease.addr)
	err := n.rules.publish(es)
	switch {
	case errors.Is(err, unix.EEXIST):
		err = n.cfg.replace(n.rules, es)
	case errors.Is(err, unix.ENOENT): // somebody removed the table since New
		if _, err = n.cfg.ensureBase(ctx, n.rules, n.opts.Log); err == nil {
			err = n.rules.publish(es)
		}
	}
	if err != nil {
		return err
	}
	return forgetFlows(n.ports)
}

func (c config) replace(r *ruleset, es []element) error {
	unlock, err := c.lock()
	if err != nil {
		return err
	}
	defer unlock()
	type key struct {
		proto byte
		host  netip.Addr
		port  uint16
	}
	ours := make(map[key]bool, len(es))
	for _, e := range es {
		ours[key{e.proto, e.host, e.port}] = true
	}
	if err := removeIf(r, func(e element) bool { return ours[key{e.proto, e.host, e.port}] }); err != nil {
		return err
	}
	return r.publish(es)
}

// unpublish removes a container's elements; those that are gone already (nft flush ruleset) do not matter.
func (c config) unpublish(r *ruleset, es []element) error {
	err := r.unpublish(es)
	if !errors.Is(err, unix.ENOENT) {
		return err
	}
	unlock, err := c.lock()
	if err != nil {
		return err
	}
	defer unlock()
	ours := make(map[element]bool, len(es))
	for _, e := range es {
		ours[e] = true
	}
	return removeIf(r, func(e element) bool { return ours[e] })
}

// removeIf removes the elements that match, under the lock. A missing table is fine. A container that
// ends meanwhile removes its own elements without the lock; then it is tried again.
func removeIf(r *ruleset, match func(element) bool) error {
	const tries = 20
	for try := 1; ; try++ {
		all, err := r.list()
		if err != nil {
			if !r.present() {
				return nil
			}
			return err
		}
		gone := slices.DeleteFunc(all, func(e element) bool { return !match(e) })
		if len(gone) == 0 {
			return nil
		}
		if err = r.unpublish(gone); !errors.Is(err, unix.ENOENT) || try == tries {
			return err
		}
	}
}

// purge removes every element whose container is dead. The given addresses, which the caller has
// locked through a, count as dead.
func (a *addresses) purge(r *ruleset, dead ...netip.Addr) error {
	unlock, err := a.cfg.lock()
	if err != nil {
		return err
	}
	defer unlock()
	alive := make(map[netip.Addr]bool)
	for _, addr := range dead {
		alive[addr] = false
	}
	return removeIf(r, func(e element) bool {
		addr := e.to.Addr()
		if _, known := alive[addr]; !known {
			alive[addr] = a.alive(addr)
		}
		return !alive[addr]
	})
}

// Sweep clears what dead processes left; cheap when there is nothing.
func Sweep(ctx context.Context) error { return defaultConfig().sweep(ctx) }

func (c config) sweep(ctx context.Context) error {
	if err := c.sweepPasta(); err != nil {
		return err
	}
	b := c.readBase()
	if b == nil || os.Geteuid() != 0 {
		return nil
	}
	a, err := c.openAddresses(b.Subnet)
	if err != nil {
		return err
	}
	defer a.close()
	_, dead, err := a.list()
	if err != nil || len(dead) == 0 {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("sweep networks: %w", err)
	}
	r, err := openRuleset(c)
	if err != nil {
		return err
	}
	defer func() { _ = r.close() }() // nothing is buffered
	if err := a.purge(r, dead...); err != nil {
		return fmt.Errorf("sweep networks: %w", err)
	}
	for _, addr := range dead {
		if err := a.forget(addr); err != nil {
			return err
		}
	}
	return nil
}

// forgetFlows makes the kernel forget UDP flows to newly published ports: a client that goes on sending
// from the same port would otherwise be sent to the last container for as long as it does.
func forgetFlows(ports []Port) error {
	udp := udpFlows{}
	for _, p := range ports {
		if p.Protocol == "udp" {
			udp[p.HostPort] = true
		}
	}
	if len(udp) == 0 {
		return nil
	}
	if _, err := netlink.ConntrackDeleteFilters(netlink.ConntrackTable, unix.AF_INET, udp); err != nil {
		return fmt.Errorf("forget UDP flows: %w", err)
	}
	return nil
}

// udpFlows matches by original destination port.
type udpFlows map[uint16]bool

var _ netlink.CustomConntrackFilter = udpFlows(nil)

// MatchConntrackFlow implements netlink.CustomConntrackFilter.
func (u udpFlows) MatchConntrackFlow(f *netlink.ConntrackFlow) bool {
	return f.Forward.Protocol == unix.IPPROTO_UDP && u[f.Forward.DstPort]
}
