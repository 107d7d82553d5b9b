package lab

import (
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/deckhand-engine/deckhand/internal/network"
	"github.com/deckhand-engine/deckhand/internal/store"
)

// maxPorts is how many ports of a service are published. Some images expose ranges of thousands.
const maxPorts = 64

// loopback is where ports are published: for checks on this machine, and nobody else.
func loopback() netip.Addr { return netip.AddrFrom4([4]byte{127, 0, 0, 1}) }

// parsePorts reads ports of the container, "80", "53/udp" or "8000-8003".
func parsePorts(texts []string) ([]network.Port, error) {
	var ports []network.Port
	for _, text := range texts {
		parsed, err := network.ParsePorts(text)
		if err != nil {
			return nil, err
		}
		ports = append(ports, parsed...)
	}
	if len(ports) > maxPorts {
		return nil, fmt.Errorf("%d ports are too many: at most %d are published", len(ports), maxPorts)
	}
	return ports, nil
}

// exposed are the ports an image exposes. Those that make no sense are nobody's, and so are ranges that are too
// long.
func exposed(img *store.Image) []network.Port {
	var ports []network.Port
	for _, text := range slices.Sorted(maps.Keys(img.Config.Config.ExposedPorts)) {
		parsed, err := network.ParsePorts(text)
		if err == nil && len(ports)+len(parsed) <= maxPorts {
			ports = append(ports, parsed...)
		}
	}
	return ports
}

// portVariable is how a check on the host names a port.
const portVariable = "DECKHAND_PORT_"

// namedPorts are the ports whose variables a command uses.
func namedPorts(command string) []network.Port {
	var ports []network.Port
	for _, m := range regexp.MustCompile(portVariable+`([0-9]{1,5})(_UDP\b)?`).FindAllStringSubmatch(command, maxPorts) {
		n, err := strconv.ParseUint(m[1], 10, 16)
		if err != nil || n == 0 {
			continue
		}
		protocol := "tcp"
		if m[2] != "" {
			protocol = "udp"
		}
		ports = append(ports, network.Port{ContainerPort: uint16(n), Protocol: protocol})
	}
	return ports
}

// published are the ports to publish for an image: the lab's, those the image exposes, and those the check names.
func (l *Lab) published(img *store.Image) []network.Port {
	l.mu.Lock()
	all := slices.Clone(l.ports)
	l.mu.Unlock()
	all = append(all, exposed(img)...)
	for _, p := range namedPorts(l.o.CheckHost) {
		if !slices.ContainsFunc(all, func(q network.Port) bool { return p.ContainerPort == q.ContainerPort }) {
			all = append(all, p)
		}
	}
	slices.SortFunc(all, func(a, b network.Port) int {
		if a.ContainerPort != b.ContainerPort {
			return int(a.ContainerPort) - int(b.ContainerPort)
		}
		return strings.Compare(a.Protocol, b.Protocol)
	})
	all = slices.CompactFunc(all, func(a, b network.Port) bool {
		return a.ContainerPort == b.ContainerPort && a.Protocol == b.Protocol
	})
	for i := range all {
		all[i].HostIP, all[i].HostPort, all[i].HostPortEnd = loopback(), 0, 0
	}
	return all
}

// portEnvironment tells a check on the host where the ports are: DECKHAND_PORT_80 is 80/tcp, or else 80/udp;
// DECKHAND_PORT_53_TCP and DECKHAND_PORT_53_UDP tell them apart.
func portEnvironment(ports []network.Port) []string {
	var env []string
	plain := map[uint16]uint16{}
	for _, p := range ports {
		env = append(env, fmt.Sprintf("%s%d_%s=%d", portVariable, p.ContainerPort, strings.ToUpper(p.Protocol), p.HostPort))
		if _, ok := plain[p.ContainerPort]; !ok || p.Protocol == "tcp" {
			plain[p.ContainerPort] = p.HostPort
		}
	}
	for _, n := range slices.Sorted(maps.Keys(plain)) {
		env = append(env, fmt.Sprintf("%s%d=%d", portVariable, n, plain[n]))
	}
	return env
}
