package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	capabilityXattr = "security.capability"
	accessACLXattr  = "system.posix_acl_access"
	defaultACLXattr = "system.posix_acl_default"
)

// copiedXattr reports whether an extended attribute belongs to the file rather than to where it lies.
func copiedXattr(name string) bool {
	switch name {
	case capabilityXattr, accessACLXattr, defaultACLXattr:
		return true
	}
	return strings.HasPrefix(name, "user.") && !strings.HasPrefix(name, "user.overlay.")
}

// xattrs copies the extended attributes of from. Ids in them are stored as the container sees them.
func (c *treeCopy) xattrs(from, to string) error {
	names, err := xattrNames(from)
	if err != nil {
		return err
	}
	for _, name := range names {
		if !copiedXattr(name) {
			continue
		}
		value, err := xattr(from, name)
		if errors.Is(err, unix.ENODATA) {
			continue
		}
		if err != nil {
			return err
		}
		err = unix.Lsetxattr(to, name, unshiftXattr(name, value, uint32(c.idBase)), 0) //nolint:gosec // an id
		if err != nil && !errors.Is(err, unix.ENOTSUP) {
			return &fs.PathError{Op: "set " + name, Path: to, Err: err}
		}
	}
	return nil
}

func xattrNames(path string) ([]string, error) {
	buf, err := grow(func(b []byte) (int, error) { return unix.Llistxattr(path, b) })
	if errors.Is(err, unix.ENOTSUP) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list extended attributes: %w", err)
	}
	return strings.FieldsFunc(string(buf), func(r rune) bool { return r == 0 }), nil
}

func xattr(path, name string) ([]byte, error) {
	value, err := grow(func(b []byte) (int, error) { return unix.Lgetxattr(path, name, b) })
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", name, err)
	}
	return value, nil
}

// grow reads with a buffer that is large enough.
func grow(read func([]byte) (int, error)) ([]byte, error) {
	n, err := read(nil)
	for err == nil && n > 0 {
		buf := make([]byte, n)
		n, err = read(buf)
		if err == nil {
			return buf[:n], nil
		}
		if errors.Is(err, unix.ERANGE) { // it has grown
			n, err = read(nil)
		}
	}
	return nil, err
}

// Of linux/capability.h and linux/posix_acl_xattr.h.
const (
	capRevisionMask = 0xff000000
	capRevision2    = 0x02000000
	capRevision3    = 0x03000000
	capBytes2       = 20
	capBytes3       = 24 // the same, and the user namespace's root

	aclHeaderBytes = 4
	aclEntryBytes  = 8
	aclUser        = 0x02
	aclGroup       = 0x08
)

// unshiftXattr takes base off the ids in an attribute's value.
func unshiftXattr(name string, value []byte, base uint32) []byte {
	switch name {
	case capabilityXattr:
		return unshiftCapability(value, base)
	case accessACLXattr, defaultACLXattr:
		return unshiftACL(value, base)
	}
	return value
}

// unshiftCapability makes of a capability of the namespace whose root is base one of the container's root.
func unshiftCapability(value []byte, base uint32) []byte {
	if len(value) != capBytes3 {
		return value
	}
	magic := binary.LittleEndian.Uint32(value)
	if magic&capRevisionMask != capRevision3 || binary.LittleEndian.Uint32(value[capBytes2:]) != base {
		return value
	}
	out := append([]byte{}, value[:capBytes2]...)
	binary.LittleEndian.PutUint32(out, magic&^capRevisionMask|capRevision2)
	return out
}

func unshiftACL(value []byte, base uint32) []byte {
	out := append([]byte{}, value...)
	for i := aclHeaderBytes; i+aclEntryBytes <= len(out); i += aclEntryBytes {
		if tag := binary.LittleEndian.Uint16(out[i:]); tag == aclUser || tag == aclGroup {
			id := out[i+4 : i+aclEntryBytes]
			binary.LittleEndian.PutUint32(id, binary.LittleEndian.Uint32(id)-base)
		}
	}
	return out
}
