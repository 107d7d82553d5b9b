package network

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
)

// nameFiles makes the contents of the container's resolv.conf and hosts.
func (n *Network) nameFiles() error {
	switch n.opts.Mode {
	case Host:
		var err error
		if n.resolv, err = readFile(n.cfg.resolvConf); err != nil {
			return err
		}
		n.hosts, err = readFile(n.cfg.hostsFile)
		return err
	case None:
		n.hosts = hosts("127.0.1.1", n.opts.Hostname)
		return nil
	case Pasta:
		n.hosts = hosts("127.0.1.1", n.opts.Hostname)
	case Bridge:
		n.hosts = hosts(n.lease.addr.String(), n.opts.Hostname)
	}
	data, err := readFile(n.cfg.resolvConf)
	if err != nil {
		return err
	}
	n.resolv = n.resolvers(data)
	return nil
}

// resolvers keeps the host's name servers that the container can reach. Where all of them are on the
// host's loopback, systemd-resolved's own list is used instead; where that does not help either, pasta
// forwards to the host's resolver, and on the bridge there is no name server and a warning. No public
// resolver is ever assumed: who is told which names somebody asks for is not ours to decide.
func (n *Network) resolvers(data []byte) []byte {
	reachable := n.reachable
	if out, kept := filterResolv(data, reachable); kept > 0 {
		return out
	}
	if more, err := os.ReadFile(n.cfg.resolvedConf); err == nil {
		if out, kept := filterResolv(more, reachable); kept > 0 {
			return out
		}
	}
	out, _ := filterResolv(data, reachable)
	if n.opts.Mode == Pasta && len(nameservers(data)) > 0 {
		n.helper.forwardDNS = true
		return append([]byte("nameserver "+pastaDNS+"\n"), out...)
	}
	n.opts.Log.Warn("no name server of this machine can be reached from a container: names will not be resolved",
		"file", n.cfg.resolvConf, "fix", "use --network host, or name a server in "+n.cfg.resolvConf+" that is not 127.x")
	return append([]byte("# no name server of the host can be reached from here\n"), out...)
}

// reachable reports whether a container can ask the server. The bridge has no IPv6.
func (n *Network) reachable(server netip.Addr) bool {
	if server.IsLoopback() || server.IsUnspecified() || server.Zone() != "" {
		return false
	}
	return n.opts.Mode != Bridge || server.Is4()
}

// nameservers lists the servers of a resolv.conf (resolv.conf(5)).
func nameservers(data []byte) []netip.Addr {
	var servers []netip.Addr
	for line := range bytes.Lines(data) {
		if s, ok := nameserver(string(line)); ok && s.IsValid() {
			servers = append(servers, s)
		}
	}
	return servers
}

// nameserver reports whether the line names a server; the address is invalid where it makes no sense.
func nameserver(line string) (netip.Addr, bool) {
	f := strings.Fields(line)
	if len(f) < 2 || f[0] != "nameserver" {
		return netip.Addr{}, false
	}
	addr, err := netip.ParseAddr(f[1])
	if err != nil {
		return netip.Addr{}, true
	}
	return addr.Unmap(), true
}

// filterResolv drops the name servers that keep refuses, and counts the others; all other lines stay.
func filterResolv(data []byte, keep func(netip.Addr) bool) (out []byte, kept int) {
	for line := range bytes.Lines(data) {
		if s, ok := nameserver(string(line)); ok {
			if !s.IsValid() || !keep(s) {
				continue
			}
			kept++
		}
		out = append(out, line...)
	}
	if len(out) > 0 && out[len(out)-1] != '\n' {
		out = append(out, '\n')
	}
	return out, kept
}

// hosts is docker's /etc/hosts.
func hosts(ip, hostname string) []byte {
	text := "127.0.0.1\tlocalhost\n" +
		"::1\tlocalhost ip6-localhost ip6-loopback\n" +
		"fe00::\tip6-localnet\n" +
		"ff00::\tip6-mcastprefix\n" +
		"ff02::1\tip6-allnodes\n" +
		"ff02::2\tip6-allrouters\n"
	if hostname != "" {
		text += ip + "\t" + hostname + "\n"
	}
	return []byte(text)
}

// readFile gives nothing for a file that is not there.
func readFile(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("read host's name service file: %w", err)
	}
	return data, nil
}
