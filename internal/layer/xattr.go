package layer

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	paxXattr        = "SCHILY.xattr."
	capabilityXattr = "security.capability"
)

// portable reports whether an attribute belongs into a layer: file capabilities, ACLs, and users' own.
// Overlayfs' own (also in their user.* form) never do: they would change what other files mean.
func portable(key string) bool {
	switch key {
	case capabilityXattr, "system.posix_acl_access", "system.posix_acl_default":
		return true
	}
	return strings.HasPrefix(key, "user.") && !strings.HasPrefix(key, "user.overlay.")
}

// xattrs sets those of the header that are portable.
func (e *extractor) xattrs(hdr *tar.Header, set func(key string, value []byte) error) error {
	for record, value := range hdr.PAXRecords {
		key, ok := strings.CutPrefix(record, paxXattr)
		if !ok {
			continue
		}
		if !portable(key) {
			e.out.Xattrs++
			continue
		}
		err := set(key, portableValue(key, []byte(value)))
		if unsupportedXattr(err, key) {
			e.out.Xattrs++
			continue
		}
		if err != nil {
			return fmt.Errorf("set attribute %s: %w", key, err)
		}
	}
	return nil
}

// unsupportedXattr is true where the file system has no such attributes, or this kind of file may not have
// one (user.* on a symbolic link or device).
func unsupportedXattr(err error, key string) bool {
	return errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.EPERM) && strings.HasPrefix(key, "user.")
}

// The kernel's vfs_cap_data, linux/capability.h.
const (
	capRevisionMask  = 0xff000000
	capRevision2     = 0x02000000
	capRevision3     = 0x03000000
	capBytesRevision = 20 // of revision 2; revision 3 appends the root's id
)

// portableValue turns file capabilities that are bound to one user namespace's root (revision 3) into
// those of revision 2, which mean the same under any root.
func portableValue(key string, value []byte) []byte {
	if key != capabilityXattr || len(value) < capBytesRevision+4 {
		return value
	}
	magic := binary.LittleEndian.Uint32(value)
	if magic&capRevisionMask != capRevision3 {
		return value
	}
	v2 := bytes.Clone(value[:capBytesRevision])
	binary.LittleEndian.PutUint32(v2, magic&^uint32(capRevisionMask)|capRevision2)
	return v2
}

// readXattrs returns the attributes of path itself that keep reports, values as they are on disk.
func readXattrs(path string, keep func(string) bool) (map[string][]byte, error) {
	names, err := listXattrs(path)
	if err != nil || len(names) == 0 {
		return nil, err
	}
	values := make(map[string][]byte)
	for _, key := range names {
		if !keep(key) {
			continue
		}
		value, err := getXattr(path, key)
		if errors.Is(err, unix.ENODATA) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read attribute %s of %s: %w", key, path, err)
		}
		values[key] = value
	}
	return values, nil
}

func listXattrs(path string) ([]string, error) {
	buf := make([]byte, 512)
	for {
		n, err := unix.Llistxattr(path, buf)
		switch {
		case errors.Is(err, unix.ENOTSUP):
			return nil, nil
		case errors.Is(err, unix.ERANGE):
			buf = make([]byte, 64<<10) // the kernel's limit
			continue
		case err != nil:
			return nil, fmt.Errorf("list attributes of %s: %w", path, err)
		}
		return strings.FieldsFunc(string(buf[:n]), func(c rune) bool { return c == 0 }), nil
	}
}

func getXattr(path, key string) ([]byte, error) {
	buf := make([]byte, 128)
	for {
		n, err := unix.Lgetxattr(path, key, buf)
		if errors.Is(err, unix.ERANGE) {
			buf = make([]byte, 64<<10) // the kernel's limit
			continue
		}
		if err != nil {
			return nil, err
		}
		return buf[:n], nil
	}
}
