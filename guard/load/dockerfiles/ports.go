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
			ports, err := parsePorts(word)
			if err != nil && strings.Contains(arg, "$") {
				continue // it depends on what is not known here
			}
			if err != nil {
				return err
			}
			s.addPorts(ports, b.place(from, from.file.ArgRange(in, i)))
		}
	}
	return nil
}

func (s *stage) addPorts(r portRange, where guard.Location) {
	for n := r.first; n <= r.last && len(s.ports) < maxPorts; n++ {
		if !slices.ContainsFunc(s.ports, func(p guard.Port) bool { return p.Number == n && p.Protocol == r.protocol }) {
			s.ports = append(s.ports, guard.Port{Number: n, Protocol: r.protocol, Where: where})
		}
	}
}

// portRange is what one word of EXPOSE names.
type portRange struct {
	first, last int
	protocol    string // "tcp", "udp", "sctp"
}

// parsePorts reads "80", "8000-8010/udp" and, because docker does, "127.0.0.1:80:8080".
func parsePorts(spec string) (portRange, error) {
	ports, protocol, _ := strings.Cut(spec[strings.LastIndexByte(spec, ':')+1:], "/")
	r := portRange{protocol: cmp.Or(strings.ToLower(protocol), "tcp")}
	if r.protocol != "tcp" && r.protocol != "udp" && r.protocol != "sctp" {
		return r, fmt.Errorf("invalid port: %q: invalid proto: %s", spec, protocol)
	}
	low, high, isRange := strings.Cut(ports, "-")
	if !isRange {
		high = low
	}
	var err error
	if r.first, err = strconv.Atoi(low); err == nil {
		r.last, err = strconv.Atoi(high)
	}
	if err != nil || r.first < 0 || r.last < r.first || r.last > maxPort {
		return r, fmt.Errorf("invalid containerPort: %s", ports)
	}
	return r, nil
}
