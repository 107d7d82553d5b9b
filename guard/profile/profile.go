// Package profile is what a container is proven to need, and no more: the file `deckhand harden` writes and
// `deckhand run --profile` obeys.
//
// A Profile is complete by itself: what it does not name is not given. It holds what an image cannot carry; what
// an image can (USER, ENV, files and their owners) is in the hardened Dockerfile.
package profile

// FileName is the profile's name in the directory that harden writes.
const FileName = "profile.json"

// Version is the format's.
const Version = 1

// Profile is what to run an image with. The root is always read-only, no_new_privs always set, and capabilities
// other than those named are always dropped.
type Profile struct {
	Version      int               `json:"version"`
	Image        string            `json:"image,omitempty"`       // reference it was proven for
	ImageID      string            `json:"imageId,omitempty"`     // digest of that image's config
	User         string            `json:"user"`                  // "9000:9000"
	Capabilities []string          `json:"capabilities"`          // kept, "CAP_NET_RAW"; empty: none
	Tmpfs        []Tmpfs           `json:"tmpfs,omitempty"`       // empty directories in memory
	Volumes      []Volume          `json:"volumes,omitempty"`     // directories that outlive a restart
	Sysctls      map[string]string `json:"sysctls,omitempty"`     // "net.ipv4.ip_unprivileged_port_start": "80"
	Ports        []string          `json:"ports,omitempty"`       // what it listens on: "6379/tcp"
	Seccomp      string            `json:"seccomp,omitempty"`     // file beside the profile, in Docker's format; empty: the default
	ReadWrite    bool              `json:"readWrite,omitempty"`   // the root cannot be read-only
	Escalates    bool              `json:"escalates,omitempty"`   // no_new_privs cannot be set
	Irreducible  []string          `json:"irreducible,omitempty"` // why something above is more than uid, no capability, read-only
}

// Tmpfs is a directory in memory, owned by the profile's user, mode 0755 unless said otherwise.
type Tmpfs struct {
	Path string `json:"path"`
	Mode string `json:"mode,omitempty"` // octal, "1777"
}

// Volume is a directory that starts with what the image has there, its owners included, and is kept.
type Volume struct {
	Path string `json:"path"`
	Name string `json:"name,omitempty"` // proposed for a named volume: "redis-data"
	// Content says that the image has files there, which a volume of an engine that copies none would lack.
	Content bool `json:"content,omitempty"`
}
