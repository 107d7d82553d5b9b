package network

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

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

// removeIf removes the elements that match, under the lock. A missing table is fine.
func removeIf(r *ruleset, match func(element) bool) error {
	all, err := r.list()
	if err != nil {
		if !r.present() {
			return nil
		}
		return err
	}
	var gone []element
	for _, e := range all {
		if match(e) {
			gone = append(gone, e)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	return r.unpublish(gone)
}

// purge removes every element whose container is dead; the given addresses count as dead.
func (c config) purge(r *ruleset, dead ...netip.Addr) error {
	unlock, err := c.lock()
	if err != nil {
		return err
	}
	defer unlock()
	alive := make(map[netip.Addr]bool)
	for _, a := range dead {
		alive[a] = false
	}
	return removeIf(r, func(e element) bool {
		a := e.to.Addr()
		if _, known := alive[a]; !known {
			alive[a] = c.alive(a)
		}
		return !alive[a]
	})
}

// alive reports whether a process holds the address.
func (c config) alive(a netip.Addr) bool {
	f, err := os.Open(filepath.Join(c.leaseDir(), a.String()))
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }() // nothing was written
	return errors.Is(flock(f, unix.LOCK_SH|unix.LOCK_NB), unix.EWOULDBLOCK)
}

// Sweep clears what dead processes left; cheap when there is nothing.
func Sweep(ctx context.Context) error { return defaultConfig().sweep(ctx) }

func (c config) sweep(ctx context.Context) error {
	if err := c.sweepPasta(); err != nil {
		return err
	}
	_, dead, err := c.leases()
	if err != nil || len(dead) == 0 {
		return err
	}
	defer func() {
		for _, l := range dead {
			_ = l.file.Close() // where it was not dropped: unlocks
		}
	}()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("sweep networks: %w", err)
	}
	r, err := openRuleset(c)
	if err != nil {
		return err
	}
	defer func() { _ = r.close() }() // nothing is buffered
	addrs := make([]netip.Addr, len(dead))
	for i, l := range dead {
		addrs[i] = l.addr
	}
	if err := c.purge(r, addrs...); err != nil {
		return fmt.Errorf("sweep networks: %w", err)
	}
	for _, l := range dead {
		if err := l.drop(); err != nil {
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
