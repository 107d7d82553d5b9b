package dockerfiles

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/deckhand-engine/deckhand/dockerfile"
	"github.com/deckhand-engine/deckhand/guard"
)

const (
	maxPort = 65535
	// maxPorts is how many ports are listed, the first of long ranges: rules ask for the low ones.
	maxPorts = 1024
)

// expose is EXPOSE.
func (b *build) expose(s *stage, from *site, in *dockerfile.Instruction) error {
	for i, arg := range in.Args {
		words, err := s.scope.Words(arg)
		if err != nil {
			return err
		}
		for _, word := range words {
			first, last, protocol, err := parsePorts(word)
			if err != nil && strings.Contains(arg, "$") {
				continue // it depends on what is not known here
			}
			if err != nil {
				return err
			}
			where := b.place(from, from.file.ArgRange(in, i))
			s.addPorts(first, last, guard.Port{Protocol: protocol, Where: where})
		}
	}
	return nil
}

func (s *stage) addPorts(first, last int, port guard.Port) {
	for n := first; n <= last && len(s.ports) < maxPorts; n++ {
		port.Number = n
		if !slices.ContainsFunc(s.ports, func(p guard.Port) bool { return p.Number == n && p.Protocol == port.Protocol }) {
			s.ports = append(s.ports, port)
		}
	}
}

// parsePorts reads "80", "8000-8010/udp" and, because docker does, "127.0.0.1:80:8080".
func parsePorts(spec string) (first, last int, protocol string, err error) {
	ports, protocol, _ := strings.Cut(spec[strings.LastIndexByte(spec, ':')+1:], "/")
	protocol = cmp.Or(strings.ToLower(protocol), "tcp")
	if protocol != "tcp" && protocol != "udp" && protocol != "sctp" {
		return 0, 0, "", fmt.Errorf("invalid port: %q: invalid proto: %s", spec, protocol)
	}
	low, high, isRange := strings.Cut(ports, "-")
	if !isRange {
		high = low
	}
	first, err = strconv.Atoi(low)
	if err == nil {
		last, err = strconv.Atoi(high)
	}
	if err != nil || first < 0 || last < first || last > maxPort {
		return 0, 0, "", fmt.Errorf("invalid containerPort: %s", ports)
	}
	return first, last, protocol, nil
}
