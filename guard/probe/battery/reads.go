package battery

import (
	"path"

	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/guard/probe"
)

func reads() []trial {
	return []trial{
		{"read-shadow", readShadow},
		{"read-root-file", readRootFile},
		{"service-account-token", serviceAccountToken},
	}
}

func readShadow(s *scene) probe.Result { return s.opening("/etc/shadow", unix.O_RDONLY) }

// readRootFile opens a file that is for root alone, or where there is none that can be seen, root's directory if that
// is for root alone.
func readRootFile(s *scene) probe.Result {
	var results []probe.Result
	for _, dir := range []string{"/etc", "/etc/ssh", "/etc/ssl/private", "/root", "/root/.ssh", "/var/lib", "/run/secrets"} {
		for _, entry := range list(dir) {
			name := path.Join(dir, entry)
			var st unix.Stat_t
			if unix.Lstat(name, &st) == nil && st.Uid == 0 && st.Mode&unix.S_IFMT == unix.S_IFREG && st.Mode&0o077 == 0 {
				return s.opening(name, unix.O_RDONLY)
			}
		}
		var st unix.Stat_t
		if unix.Lstat(dir, &st) == nil && st.Uid == 0 && st.Mode&0o007 == 0 && st.Mode&unix.S_IFMT == unix.S_IFDIR {
			results = append(results, s.opening(dir, unix.O_RDONLY|unix.O_DIRECTORY))
		}
	}
	return best(results, "no file is for root alone")
}

// serviceAccountToken opens what Kubernetes and Docker hand to a container as secrets.
func serviceAccountToken(s *scene) probe.Result {
	names := []string{
		"/var/run/secrets/kubernetes.io/serviceaccount/token",
		"/run/secrets/kubernetes.io/serviceaccount/token",
		"/var/run/secrets/eks.amazonaws.com/serviceaccount/token",
		"/var/run/secrets/azure/tokens/azure-identity-token",
	}
	return s.openings(names, unix.O_RDONLY, "no token is mounted")
}
