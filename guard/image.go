package guard

import (
	"context"
	"io/fs"
	"strings"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/opencontainers/go-digest"
)

// Image is what is known of an image.
type Image struct {
	Name     string // as it was asked for
	From     string // where it was found: "the store", "registry docker.io", "archive app.tar"
	Manifest digest.Digest
	Config   dockerspec.DockerOCIImage
	Files    Files // nil where its layers are out of reach
	// Local says that the layers are on this machine, so that looking into them costs no transfer. Where it is
	// false, Files is asked for nothing but etc/passwd and etc/group, and only if a name must be resolved.
	Local bool
}

// Files looks into the merged layers of an image. Paths are absolute and clean.
type Files interface {
	// Read returns the content of the named regular files, symbolic links followed inside the image. What is
	// missing is left out; what is larger than 1 MiB is a *TooLargeError, with which the other files are returned.
	Read(ctx context.Context, paths ...string) (map[string][]byte, error)
	// Walk calls visit for every regular file, directory and symbolic link, in no particular order.
	Walk(ctx context.Context, visit func(File) error) error
}

// TooLargeError names the files that [Files] does not read.
type TooLargeError struct{ Paths []string }

// Error names the first.
func (e *TooLargeError) Error() string {
	return strings.Join(e.Paths[:min(1, len(e.Paths))], "") + " is larger than 1 MiB"
}

// File is a file, directory or symbolic link of an image.
type File struct {
	Path         string      // "/usr/bin/sudo"
	Mode         fs.FileMode // with type, setuid, setgid and sticky bits
	UID, GID     uint32
	Size         int64  // bytes
	Capabilities string // file capabilities ("cap_net_raw"); empty: none
	Link         string // where a symbolic link leads, as it is written
}

// Contents is what a look into an image's layers found, for the user it runs as.
type Contents struct {
	Setuid   []File   // programs that are setuid, setgid or have file capabilities
	Managers []string // package managers that can be run: "/usr/bin/apt-get"
	Tools    []string // tools an attacker would otherwise have to bring: "/usr/bin/nmap"
	Writable []File   // programs and code that the image's user may change
}

// IsImageAddress reports whether the argument says itself that it names an image or container, and where.
func IsImageAddress(arg string) bool {
	for _, scheme := range []string{"docker://", "docker-archive:", "oci:", "oci-archive:", "containers-storage:", "store:", "container:"} {
		if strings.HasPrefix(arg, scheme) {
			return true
		}
	}
	return false
}
