package probe

import "slices"

// Family is what a probe is about.
type Family string

// The families, in the catalogue's order.
const (
	Identity   Family = "identity"
	Files      Family = "files"
	Network    Family = "network"
	Processes  Family = "processes"
	Namespaces Family = "namespaces"
	Kernel     Family = "kernel"
	Machine    Family = "machine"
)

// Severity is how bad it is where a probe is allowed.
type Severity string

// The severities.
const (
	High   Severity = "high"   // root in the container, out of it, or the secrets of others
	Medium Severity = "medium" // staying, hiding, or more than was meant to be given
	Low    Severity = "low"    // a step on the way, or a part of the kernel that no service needs
)

// Probe is one thing that an attacker would try.
type Probe struct {
	Name     string   `json:"name"`  // "raw-socket"; the page is docs/probes/raw-socket.md
	Title    string   `json:"title"` // what he could do, to follow "could": "listen to all packets"
	Family   Family   `json:"family"`
	Severity Severity `json:"severity"`
	Syscall  string   `json:"syscall"` // what is asked for: "socket(AF_PACKET, SOCK_RAW)"
	Decides  string   `json:"decides"` // the privilege that decides, a clause
	Meaning  string   `json:"meaning"` // what he gets, a sentence
}

// Probes are all probes, in a fixed order, family by family. The caller owns the slice.
func Probes() []Probe {
	return slices.Concat(identityProbes, filesProbes, networkProbes, processesProbes, namespacesProbes, kernelProbes, machineProbes)
}

// Find gives the probe of a name.
func Find(name string) (Probe, bool) {
	all := Probes()
	i := slices.IndexFunc(all, func(p Probe) bool { return p.Name == name })
	if i < 0 {
		return Probe{}, false
	}
	return all[i], true
}
