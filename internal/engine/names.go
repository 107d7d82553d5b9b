package engine

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// HostGateway as the address of an entry of Names.Hosts stands for the host, as the container reaches it.
const HostGateway = "host-gateway"

// Names are what a container knows of other hosts.
type Names struct {
	Hosts   []string `json:"hosts,omitempty"`   // NAME:ADDRESS, for /etc/hosts
	Servers []string `json:"servers,omitempty"` // instead of the host's name servers
	Search  []string `json:"search,omitempty"`  // instead of its search list; "." for none
	Options []string `json:"options,omitempty"` // instead of its resolver options
}

// hostsFile adds to /etc/hosts.
func (n Names) hostsFile(base []byte, gateway string) ([]byte, error) {
	if len(n.Hosts) == 0 {
		return base, nil
	}
	out := bytes.NewBuffer(bytes.Clone(base))
	for _, h := range n.Hosts {
		name, address, _ := strings.Cut(h, ":")
		if address == HostGateway {
			if gateway == "" {
				return nil, fmt.Errorf("--add-host %s: %w", h, errNoGateway)
			}
			address = gateway
		}
		_, _ = fmt.Fprintf(out, "%s\t%s\n", address, name) // a buffer takes everything
	}
	return out.Bytes(), nil
}

var errNoGateway = errors.New("only on the network bridge has the host an address that we know: name it")

// resolvConf changes /etc/resolv.conf.
func (n Names) resolvConf(base []byte) []byte {
	if len(n.Servers)+len(n.Search)+len(n.Options) == 0 {
		return base
	}
	out := &bytes.Buffer{}
	for line := range strings.Lines(string(base)) {
		if !n.replaces(line) {
			out.WriteString(line)
		}
	}
	for _, s := range n.Servers {
		out.WriteString("nameserver " + s + "\n")
	}
	if search := strings.Join(n.Search, " "); search != "" && search != "." {
		out.WriteString("search " + search + "\n")
	}
	if len(n.Options) > 0 {
		out.WriteString("options " + strings.Join(n.Options, " ") + "\n")
	}
	return out.Bytes()
}

// replaces reports whether a line of resolv.conf gives way.
func (n Names) replaces(line string) bool {
	fields := strings.Fields(line)
	if len(fields) == 0 {
		return false
	}
	switch fields[0] {
	case "nameserver":
		return len(n.Servers) > 0
	case "search", "domain":
		return len(n.Search) > 0
	case "options":
		return len(n.Options) > 0
	}
	return false
}
