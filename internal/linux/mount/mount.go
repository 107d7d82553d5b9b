// Package mount wraps the new mount API (fsopen, open_tree, mount_setattr, move_mount) by file descriptor.
package mount

import (
	"errors"
	"os"
)

// Overlay describes an overlay mount.
type Overlay struct {
	Lower       []string // bottom first
	Upper, Work string   // both below UpperBase; empty: read-only
	UpperBase   string
	IDMap       *os.File // user namespace whose mapping shifts every layer, upper included; nil: none
	UserXattr   bool     // inside a user namespace
}

// Mount makes a detached overlay mount (redirect_dir, metacopy, index off). The caller closes it.
func (o Overlay) Mount() (*os.File, error) { return nil, errors.ErrUnsupported }
