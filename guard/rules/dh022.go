package rules

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
)

// firstUnprivilegedPort is where the kernel's default of net.ipv4.ip_unprivileged_port_start lies.
const firstUnprivilegedPort = 1024

func privilegedPort() Rule {
	return Rule{
		ID: "DH022", Name: "privileged-port", Severity: guard.Warning, Check: checkPrivilegedPort,
		Title: "A port below 1024 for a user who may not listen there",
	}
}

func checkPrivilegedPort(s *guard.Subject, _ guard.Settings) []guard.Finding {
	severity, why := portRisk(s)
	if severity == guard.Off || s.User.Missing != "" || !s.User.NotRoot() || bindsAnyway(s) {
		return nil
	}
	start := portStart(s)
	var ports []string
	var where guard.Location
	for _, p := range s.Ports {
		if text := strconv.Itoa(p.Number); p.Number > 0 && p.Number < start && !slices.Contains(ports, text) {
			if ports = append(ports, text); len(ports) == 1 {
				where = p.Where
			}
		}
	}
	if len(ports) == 0 {
		return nil
	}
	return []guard.Finding{{
		Severity: severity, Where: where,
		Message: fmt.Sprintf("listens on %s as uid %s: %s", list(ports), s.User.UID, why),
		Hint:    "listen on a port from 1024 up and publish it as the low one, or set the sysctl net.ipv4.ip_unprivileged_port_start=0",
	}}
}

// portRisk says how likely a low port is refused where the subject runs. Docker and deckhand allow every port in
// a container's own network; Kubernetes before containerd 2.0, podman, and the host's network do not.
func portRisk(s *guard.Subject) (guard.Severity, string) {
	switch s.Kind {
	case guard.KindDockerfile, guard.KindImage:
		return guard.Info, "docker and deckhand allow that, podman, many Kubernetes nodes and the host's network do not"
	case guard.KindKubernetes:
		if hostNetwork(s) {
			return guard.Warning, "the host's network allows that to root only"
		}
		return guard.Warning, "nodes allow that to root only, unless their runtime is set up otherwise"
	case guard.KindQuadlet:
		return guard.Warning, "podman allows that to root only"
	default: // of docker and deckhand, or on the host
		if hostNetwork(s) {
			return guard.Warning, "the host's network allows that to root only"
		}
	}
	return guard.Off, ""
}

func hostNetwork(s *guard.Subject) bool {
	return slices.ContainsFunc(s.Grants, func(g guard.Grant) bool { return g.Kind == guard.GrantNamespace && g.Value == "network" })
}

// bindsAnyway reports whether the subject was given the one capability that it needs.
func bindsAnyway(s *guard.Subject) bool {
	return slices.ContainsFunc(s.Grants, func(g guard.Grant) bool {
		return g.Kind == guard.GrantPrivileged || g.Kind == guard.GrantCapability && (g.Value == "NET_BIND_SERVICE" || g.Value == "ALL")
	})
}

// portStart is the first port that everybody may listen on.
func portStart(s *guard.Subject) int {
	for _, g := range s.GrantsOf(guard.GrantSysctl) {
		name, value, _ := strings.Cut(g.Value, "=")
		if n, err := strconv.Atoi(strings.TrimSpace(value)); err == nil && strings.TrimSpace(name) == "net.ipv4.ip_unprivileged_port_start" {
			return n
		}
	}
	return firstUnprivilegedPort
}
