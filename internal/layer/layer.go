// Package layer reads and writes OCI layer tars: it unpacks one into a directory that overlayfs can use as a
// lower layer, and packs such a directory (or an overlay's upper) into a tar.
//
// It knows nothing of stores, images or digests. Its invariant: whatever a tar says, nothing outside the
// directory given is read, written or linked to.
package layer

import (
	"errors"
)

// Names of the image-spec's whiteouts, https://github.com/opencontainers/image-spec/blob/main/layer.md.
const (
	whiteoutPrefix = ".wh."
	whiteoutMeta   = ".wh..wh."
	whiteoutOpaque = ".wh..wh..opq"
)

// Limits that hold when Options names none.
const (
	DefaultMaxEntries = 10_000_000
	DefaultMaxBytes   = 256 << 30
)

// Errors callers test for with errors.Is.
var (
	ErrEscapes   = errors.New("leads outside the archive's root")
	ErrTooLarge  = errors.New("archive exceeds the limit")
	ErrTruncated = errors.New("archive is truncated")
	ErrNotTar    = errors.New("not a tar archive")
	ErrMalformed = errors.New("malformed archive")
)

// Options say how to unpack; the zero value unpacks as real root, with overlay whiteouts.
type Options struct {
	UserXattr      bool  // mark opaque directories with user.overlay.*, as overlay's userxattr option wants
	TolerateOwner  bool  // count ids that cannot be set instead of failing (a user namespace with a single id)
	Bottom         bool  // there is no layer below: whiteouts mean nothing and are dropped
	PlainWhiteouts bool  // .wh. names are ordinary files (an archive that is no layer)
	MaxEntries     int64 // 0: DefaultMaxEntries
	MaxBytes       int64 // 0: DefaultMaxBytes; counts the uncompressed archive and the files' logical sizes
}

func (o Options) maxEntries() int64 {
	if o.MaxEntries > 0 {
		return o.MaxEntries
	}
	return DefaultMaxEntries
}

func (o Options) maxBytes() int64 {
	if o.MaxBytes > 0 {
		return o.MaxBytes
	}
	return DefaultMaxBytes
}

// opaqueXattr is the attribute that hides what lower layers have in a directory.
func opaqueXattr(user bool) string {
	if user {
		return "user.overlay.opaque"
	}
	return "trusted.overlay.opaque"
}

// Extracted says what Extract did.
type Extracted struct {
	Entries int64 // in the archive
	Bytes   int64 // sum of the files' sizes
	// Implicit names directories the archive has files in but no entry for, parents first ("." is the root).
	// InheritDirs gives them the lower layers' owner, mode, times and attributes.
	Implicit []string
	Owners   int // entries whose owner could not be set (TolerateOwner)
	Devices  int // device nodes left out: this process may not make them, or they look like a whiteout
	Xattrs   int // extended attributes left out: not portable, or not supported by the file system
}
