package rules

import (
	"path"
	"slices"
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
)

func engineSocket() Rule {
	return Rule{
		ID: "DH012", Name: "engine-socket", Severity: guard.Error, Check: checkEngineSocket,
		Title: "A container engine's socket: whoever has it is root on the host",
	}
}

func checkEngineSocket(s *guard.Subject, _ guard.Settings) []guard.Finding {
	var found []guard.Finding
	for _, g := range s.Grants {
		if g.Kind != guard.GrantMount && g.Kind != guard.GrantReadOnlyMount || !reachesEngine(g.Value) {
			continue
		}
		f := guard.Finding{
			Where:   g.Where,
			Message: "gets " + short(g.Value) + ", which commands the host's container engine",
			Detail:  "one request to it starts a privileged container with the host's / inside: that is root on the host",
			Hint:    "have what needs the engine ask a proxy that allows single requests, or do that work outside",
		}
		if strings.HasPrefix(path.Clean(g.Value), "/run/user/") {
			f.Detail = "one request to it starts a container with the files of the engine's owner inside"
		}
		if g.Kind == guard.GrantReadOnlyMount {
			f.Detail += "; read-only makes no difference, since a request is no write to the file system"
		}
		found = append(found, f)
	}
	return found
}

// reachesEngine reports whether a host's path is an engine's socket or a directory that holds one.
func reachesEngine(file string) bool {
	file = strings.TrimPrefix(path.Clean(strings.ReplaceAll(file, `\`, "/")), "/var")
	switch path.Base(file) {
	case "docker.sock", "docker.socket", "podman.sock", "containerd.sock", "crio.sock", "dockershim.sock",
		"cri-dockerd.sock", "buildkitd.sock", "docker_engine":
		return true
	}
	return slices.Contains([]string{
		"/run", "/run/docker", "/run/podman", "/run/containerd", "/run/crio", "/run/k3s", "/run/k3s/containerd",
		"/run/buildkit", "/run/user",
	}, file) || userRuntimeDir(file)
}

// userRuntimeDir reports whether the path is /run/user/UID, or podman's directory in it.
func userRuntimeDir(file string) bool {
	rest, ok := strings.CutPrefix(file, "/run/user/")
	uid, below, _ := strings.Cut(rest, "/")
	return ok && uid != "" && (below == "" || below == "podman")
}
