package cli

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/spf13/pflag"

	"github.com/deckhand-engine/deckhand/internal/engine"
	"github.com/deckhand-engine/deckhand/internal/hint"
)

// nameOptions are the flags of run about names and addresses.
type nameOptions struct {
	hosts, servers, search, options []string
	mac, ip, ip6                    string
}

func (o *nameOptions) addFlags(f *pflag.FlagSet) {
	f.StringArrayVar(&o.hosts, "add-host", nil, "add a line to /etc/hosts, `NAME:ADDRESS`")
	f.StringArrayVar(&o.servers, "dns", nil, "`address` of a name server, instead of the host's")
	f.StringArrayVar(&o.search, "dns-search", nil, "`domain` to search, instead of the host's; . for none")
	f.StringArrayVar(&o.options, "dns-option", nil, "`option` of the resolver, instead of the host's")
	f.StringArrayVar(&o.options, "dns-opt", nil, "the same as --dns-option")
	f.StringVar(&o.mac, "mac-address", "", "cannot be had: the kernel chooses the `address`")
	f.StringVar(&o.ip, "ip", "", "cannot be had: deckhand chooses the `address`")
	f.StringVar(&o.ip6, "ip6", "", "cannot be had: the bridge has no IPv6 `address`")
	for _, name := range []string{"dns-opt", "mac-address", "ip", "ip6"} {
		_ = f.MarkHidden(name) // declared just above
	}
}

// names are the container's.
func (o *nameOptions) names() (engine.Names, error) {
	n := engine.Names{Servers: o.servers, Search: o.search, Options: o.options}
	if err := o.checkAddresses(); err != nil {
		return n, err
	}
	for _, h := range o.hosts {
		entry, err := parseHost(h)
		if err != nil {
			return n, err
		}
		n.Hosts = append(n.Hosts, entry)
	}
	return n, o.checkResolver()
}

// checkResolver refuses what has no place in a resolv.conf.
func (o *nameOptions) checkResolver() error {
	for _, s := range o.servers {
		if a, err := netip.ParseAddr(s); err != nil || a.Zone() != "" {
			return fmt.Errorf("invalid --dns %q: it is not an ip address", s)
		}
	}
	for _, s := range o.search {
		if s != "." && !isDomain(s) {
			return fmt.Errorf("invalid --dns-search: %s is not a valid domain", s)
		}
	}
	for _, s := range o.options {
		if s == "" || strings.ContainsFunc(s, blank) {
			return fmt.Errorf("invalid --dns-option %q: one word is needed, as ndots:2", s)
		}
	}
	return nil
}

// checkAddresses refuses flags of docker's whose effect there is not.
func (o *nameOptions) checkAddresses() error {
	if o.ip != "" || o.ip6 != "" {
		return hint.With(errors.New("user specified IP address is supported on user defined networks only"),
			"deckhand has none; a container's address is in:  deckhand inspect -f '{{.NetworkSettings.IPAddress}}' NAME")
	}
	if o.mac != "" {
		return errors.New("--mac-address cannot be had: a container's interface has the address that the kernel gives it")
	}
	return nil
}

// parseHost reads NAME:ADDRESS, or NAME=ADDRESS, and returns the former.
func parseHost(s string) (string, error) {
	i := strings.IndexAny(s, ":=")
	if i < 1 || strings.ContainsFunc(s[:i], blank) || strings.ContainsAny(s[:i], "#") {
		return "", fmt.Errorf("bad format for add-host: %q", s)
	}
	name, address := s[:i], s[i+1:]
	if address == engine.HostGateway {
		return name + ":" + address, nil
	}
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(address, "["), "]"))
	if err != nil || a.Zone() != "" { // a zone can be any text
		return "", fmt.Errorf("invalid IP address in add-host: %q", address)
	}
	return name + ":" + a.String(), nil
}

// isDomain reports whether s is labels of letters, digits, hyphens and underscores.
func isDomain(s string) bool {
	for label := range strings.SplitSeq(strings.TrimSuffix(s, "."), ".") {
		if label == "" || label[0] == '-' || label[len(label)-1] == '-' || strings.ContainsFunc(label, notOfDomain) {
			return false
		}
	}
	return len(s) <= 255
}

func notOfDomain(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
}

// blank reports a character that ends a word in a file.
func blank(r rune) bool { return r <= ' ' || r == 0x7f }
