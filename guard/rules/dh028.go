package rules

import (
	"path"
	"slices"
	"strings"

	"github.com/deckhand-engine/deckhand/guard"
)

func hostPath() Rule {
	return Rule{
		ID: "DH028", Name: "host-path", Severity: guard.Error, Check: checkHostPath,
		Title: "A directory of the host that decides about it is mounted",
	}
}

func checkHostPath(s *guard.Subject, _ guard.Settings) []guard.Finding {
	var found []guard.Finding
	for _, g := range s.Grants {
		write := g.Kind == guard.GrantMount
		if !write && g.Kind != guard.GrantReadOnlyMount || reachesEngine(g.Value) { // DH012's
			continue
		}
		severity, use := pathRisk(path.Clean(g.Value), write)
		if severity == guard.Off {
			continue
		}
		how := "gets the host's " + short(g.Value)
		if !write {
			how += ", read-only"
		}
		found = append(found, guard.Finding{
			Severity: severity, Where: g.Where,
			Message: how + ": " + use,
			Hint:    "mount the one file or directory that is needed, read-only where reading is enough",
		})
	}
	return found
}

// pathRisk says how bad it is that a container gets a path of the host, and why.
func pathRisk(p string, write bool) (guard.Severity, string) {
	switch {
	case harmless(p):
		if write {
			return guard.Warning, "it only needs to be read"
		}
		return guard.Off, ""
	case !write && (p == "/etc/passwd" || p == "/etc/group" || p == "/etc/hosts"): // no secrets
		return guard.Off, ""
	case belowAny(p, "/usr", "/bin", "/sbin", "/lib", "/lib64", "/opt/cni"):
		if write {
			return guard.Error, "programs that the host's root runs can be replaced"
		}
		return guard.Off, ""
	}
	use := sensitive(p)
	switch {
	case use == "":
		return guard.Off, ""
	case write:
		return guard.Error, use
	}
	return guard.Warning, use
}

// sensitivePaths are what lies in directories that decide about the host.
func sensitivePaths() []struct{ dir, use string } {
	return []struct{ dir, use string }{
		{"/etc", "accounts, services and keys of the host"},
		{"/var/lib/docker", "files of all containers, their secrets included"},
		{"/var/lib/containers", "files of all containers, their secrets included"},
		{"/var/lib/containerd", "files of all containers, their secrets included"},
		{"/var/lib/rancher", "files of all containers, their secrets included"},
		{"/var/lib/kubelet", "tokens and secrets of the cluster"},
		{"/var/lib/etcd", "tokens and secrets of the cluster"},
		{"/proc", "processes and settings of the host's kernel"},
		{"/sys", "processes and settings of the host's kernel"},
		{"/boot", "the kernel that the host starts next"},
		{"/root", "keys and settings of people who log in"},
	}
}

// sensitive says what lies in a path that decides about the host; empty: nothing known.
func sensitive(p string) string {
	for _, known := range sensitivePaths() {
		if belowAny(p, known.dir) {
			return known.use
		}
	}
	switch p {
	case "/", "/var", "/var/lib":
		return "it holds everything that makes the host what it is"
	case "/dev", "/dev/mem", "/dev/kmem":
		return "disks and memory of the host"
	case "/home", "~", "$HOME", "${HOME}":
		return "keys and settings of people who log in"
	}
	switch {
	case path.Dir(p) == "/home":
		return "keys and settings of people who log in"
	case hasCredentials(p):
		return "keys that open other systems"
	}
	return ""
}

// hasCredentials reports whether a path is, or lies in, a place where programs keep keys of a person.
func hasCredentials(p string) bool {
	return slices.ContainsFunc(strings.Split(p, "/"), func(element string) bool {
		switch element {
		case ".ssh", ".aws", ".azure", ".kube", ".docker", ".gnupg", ".netrc", ".git-credentials", "gcloud":
			return true
		}
		return false
	})
}

// harmless reports whether everybody may read a path, and it is mounted often so that the container knows it.
func harmless(p string) bool {
	if belowAny(p, "/etc/ssl/certs", "/etc/pki/ca-trust", "/etc/pki/tls/certs", "/etc/ca-certificates") {
		return true
	}
	switch p {
	case "/etc/localtime", "/etc/timezone", "/etc/machine-id", "/etc/os-release", "/etc/hostname", "/etc/resolv.conf":
		return true
	}
	return false
}

func belowAny(p string, dirs ...string) bool {
	return slices.ContainsFunc(dirs, func(dir string) bool { return p == dir || strings.HasPrefix(p, dir+"/") })
}
