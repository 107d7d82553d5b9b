package network

import "net/netip"

// Gateway is the host's address on the container's network, invalid unless Bridge.
func (n *Network) Gateway() netip.Addr {
	if n.base == nil {
		return netip.Addr{}
	}
	return n.base.gateway()
}
