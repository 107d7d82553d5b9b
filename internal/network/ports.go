package network

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Port is one published port.
type Port struct {
	HostIP        netip.Addr // unspecified or invalid: every address
	HostPort      uint16     // 0: chosen
	HostPortEnd   uint16     // when above HostPort: any free one from HostPort to here
	ContainerPort uint16
	Protocol      string // tcp or udp
}

// ParsePorts reads docker's -p syntax ([ip:][host[-end]:]ctr[-end][/proto]). A range gives one Port
// for each number; a range of host ports for a single container port gives one Port with HostPortEnd.
func ParsePorts(s string) ([]Port, error) {
	p, last, err := parsePort(s)
	if err == nil {
		var ports []Port
		if ports, err = expand(p, last); err == nil {
			return ports, nil
		}
	}
	return nil, fmt.Errorf("invalid port %q: %w", s, err)
}

// parsePort reads the parts: p has the first of each range, HostPortEnd and last have the last.
func parsePort(s string) (p Port, last uint16, err error) {
	spec, proto, found := strings.Cut(s, "/")
	p.Protocol = strings.ToLower(proto)
	if !found {
		p.Protocol = "tcp"
	}
	if p.Protocol != "tcp" && p.Protocol != "udp" {
		return p, 0, fmt.Errorf("protocol %q is not tcp or udp", proto)
	}
	ip, host, ctr := splitPort(spec)
	if p.HostIP, err = parseHostIP(ip); err != nil {
		return p, 0, err
	}
	if ctr == "" {
		return p, 0, errors.New("no port specified")
	}
	if p.ContainerPort, last, err = parseRange(ctr); err != nil || p.ContainerPort == 0 {
		return p, 0, fmt.Errorf("invalid container port %q", ctr)
	}
	if host == "" {
		return p, last, nil
	}
	if p.HostPort, p.HostPortEnd, err = parseRange(host); err != nil || (p.HostPort == 0 && p.HostPortEnd != 0) {
		return p, 0, fmt.Errorf("invalid host port %q", host)
	}
	return p, last, nil
}

// parseHostIP reads an address without a zone; empty is the invalid one, every address.
func parseHostIP(ip string) (netip.Addr, error) {
	if ip == "" {
		return netip.Addr{}, nil
	}
	addr, err := netip.ParseAddr(ip)
	if err != nil || addr.Zone() != "" {
		return netip.Addr{}, fmt.Errorf("invalid IP address %q", ip)
	}
	return addr.Unmap(), nil
}

// splitPort takes ip:host:ctr apart from its end; ip may be a bare or bracketed IPv6 address.
func splitPort(spec string) (ip, host, ctr string) {
	i := strings.LastIndexByte(spec, ':')
	if i < 0 {
		return "", "", spec
	}
	spec, ctr = spec[:i], spec[i+1:]
	i = strings.LastIndexByte(spec, ':')
	if i < 0 {
		return "", spec, ctr
	}
	ip, host = spec[:i], spec[i+1:]
	if strings.HasPrefix(ip, "[") && strings.HasSuffix(ip, "]") {
		ip = ip[1 : len(ip)-1]
	}
	return ip, host, ctr
}

func parseRange(s string) (lo, hi uint16, err error) {
	from, to, isRange := strings.Cut(s, "-")
	a, err := strconv.ParseUint(from, 10, 16)
	if err != nil {
		return 0, 0, fmt.Errorf("parse port: %w", err)
	}
	if !isRange {
		return uint16(a), uint16(a), nil
	}
	b, err := strconv.ParseUint(to, 10, 16)
	if err != nil {
		return 0, 0, fmt.Errorf("parse port: %w", err)
	}
	if b < a {
		return 0, 0, errors.New("range ends before it begins")
	}
	return uint16(a), uint16(b), nil
}

// expand pairs the host range in p with the container range p.ContainerPort to last.
func expand(p Port, last uint16) ([]Port, error) {
	count := int(last) - int(p.ContainerPort) + 1
	hosts := int(p.HostPortEnd) - int(p.HostPort) + 1
	switch {
	case p.HostPort != 0 && count == 1:
		if hosts == 1 {
			p.HostPortEnd = 0
		}
		return []Port{p}, nil
	case p.HostPort != 0 && hosts != count:
		return nil, fmt.Errorf("%d host ports for %d container ports", hosts, count)
	}
	ports := make([]Port, 0, count)
	step := uint16(0)
	if p.HostPort != 0 {
		step = 1
	}
	p.HostPortEnd = 0
	for range count {
		ports = append(ports, p)
		p.ContainerPort++
		p.HostPort += step
	}
	return ports, nil
}

// String is docker ps's form: 0.0.0.0:8080->80/tcp, and 80/tcp while no host port is chosen.
func (p Port) String() string {
	ctr := strconv.Itoa(int(p.ContainerPort)) + "/" + p.Protocol
	if p.HostPort == 0 {
		return ctr
	}
	return p.host() + "->" + ctr
}

// host is the host side as docker writes it, 0.0.0.0:8080.
func (p Port) host() string {
	ip := p.HostIP
	if !ip.IsValid() {
		ip = netip.IPv4Unspecified()
	}
	return netip.AddrPortFrom(ip, p.HostPort).String()
}

// wildcard reports whether the port is published on every address.
func (p Port) wildcard() bool { return !p.HostIP.IsValid() || p.HostIP.IsUnspecified() }
