// Package repair is the vocabulary of what makes a service run without root, and how a Dockerfile says it.
package repair

import (
	"strings"

	"github.com/deckhand-engine/deckhand/guard/observe"
)

// Mark begins the comments of what is added to a Dockerfile.
const Mark = "# deckhand: "

// Kind is a kind of repair.
type Kind string

// The kinds, about in the order in which they are preferred.
const (
	Tmpfs      Kind = "tmpfs"      // an empty directory in memory at Path
	Volume     Kind = "volume"     // a kept directory at Path, with the image's content
	Chown      Kind = "chown"      // Path (Recursive: all below it) belongs to the user; made where it is missing
	Mode       Kind = "mode"       // others may read (directories: enter) Path: chmod o+rX
	Environ    Kind = "env"        // ENV Value, "HOME=/var/lib/app"
	Workdir    Kind = "workdir"    // WORKDIR Path: files that are named relative to it lie there
	Passwd     Kind = "passwd"     // a line of /etc/passwd (and group) for the user; Value is the name, Path the home
	Port       Kind = "port"       // sysctl Value, "net.ipv4.ip_unprivileged_port_start=80"
	StripCaps  Kind = "strip-caps" // the file capabilities of Path are taken away
	Entrypoint Kind = "entrypoint" // ENTRYPOINT (and CMD) become Argv: what the start-up script ran once it had given up root
	Config     Kind = "config"     // the line Old of the file Path becomes Value (empty: it goes); a last resort
	Capability Kind = "capability" // Value, "CAP_NET_RAW": it cannot be done without
	Root       Kind = "root"       // it must be uid 0, with the capabilities named beside
	ReadWrite  Kind = "read-write" // the root cannot be read-only
)

// Repair is one change.
type Repair struct {
	Kind      Kind           `json:"kind"`
	Path      string         `json:"path,omitempty"`
	Value     string         `json:"value,omitempty"`
	Old       string         `json:"old,omitempty"`
	Argv      []string       `json:"argv,omitempty"`
	Recursive bool           `json:"recursive,omitempty"`
	Missing   bool           `json:"missing,omitempty"` // the image has no Path yet; of a Passwd, no /etc/passwd
	Owned     bool           `json:"owned,omitempty"`   // of a Volume: the image's directory belongs to the user already
	Mode      string         `json:"mode,omitempty"`    // octal, of a Tmpfs
	For       []observe.Call `json:"for,omitempty"`     // the refusals it answers
	Why       string         `json:"why"`               // one clause for a comment: "redis-server writes temp-12.rdb here (openat, EACCES)"
}

// String is the repair in a few words for a line of progress: "tmpfs /run", "chown /var/lib/redis".
func (r Repair) String() string {
	switch r.Kind {
	case Chown, Volume:
		if r.Recursive {
			return string(r.Kind) + " -R " + r.Path
		}
	case Environ, Capability:
		return string(r.Kind) + " " + r.Value
	case Passwd:
		return "passwd line " + r.Value
	case Port:
		return "sysctl " + r.Value
	case Entrypoint:
		return "entrypoint " + strings.Join(r.Argv, " ")
	case Config:
		if r.Value == "" {
			return "config " + r.Path + " without " + strings.TrimSpace(r.Old)
		}
		return "config " + r.Path + " with " + strings.TrimSpace(r.Value)
	case Root:
		return "uid 0"
	case ReadWrite:
		return "writable root"
	default:
	}
	return string(r.Kind) + " " + r.Path
}
