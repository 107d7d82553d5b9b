package layer

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// isWhiteout recognises overlayfs' mark for a deleted name: a character device 0:0.
func isWhiteout(st *unix.Stat_t) bool {
	return st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == 0
}

func isWhiteoutAt(dir int, base string) bool {
	var st unix.Stat_t
	return unix.Fstatat(dir, base, &st, unix.AT_SYMLINK_NOFOLLOW) == nil && isWhiteout(&st)
}

// whiteout converts an image-spec whiteout to overlayfs' form.
func (e *extractor) whiteout(parent int, base string) error {
	if e.opts.Bottom {
		return nil
	}
	if base == whiteoutOpaque {
		return e.setOpaque(parent, ".")
	}
	if strings.HasPrefix(base, whiteoutMeta) {
		return nil // aufs' own bookkeeping
	}
	name := strings.TrimPrefix(base, whiteoutPrefix)
	if name == "" || name == "." || name == ".." {
		return fmt.Errorf("%w: whiteout of nothing", ErrMalformed)
	}
	err := unix.Mknodat(parent, name, unix.S_IFCHR, 0)
	if errors.Is(err, unix.EEXIST) {
		return e.whiteoutExisting(parent, name)
	}
	if err != nil {
		return fmt.Errorf("make whiteout: %w", err)
	}
	return nil
}

// whiteoutExisting handles a whiteout beside an entry of the same name in the same layer: it is about the
// layers below only. A file hides them anyway; a directory has to be told.
func (e *extractor) whiteoutExisting(parent int, name string) error {
	var st unix.Stat_t
	if err := unix.Fstatat(parent, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return fmt.Errorf("make whiteout: %w", err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return nil
	}
	return e.setOpaque(parent, name)
}

// replaceWhiteout makes a directory where the layer deleted something: what was there stays hidden.
func (e *extractor) replaceWhiteout(parent int, base string) error {
	if err := unix.Unlinkat(parent, base, 0); err != nil {
		return err
	}
	if err := unix.Mkdirat(parent, base, 0o755); err != nil {
		return err
	}
	return e.setOpaque(parent, base)
}

func (e *extractor) setOpaque(parent int, base string) error {
	err := unix.Lsetxattr(procPath(parent, base), opaqueXattr(e.opts.UserXattr), []byte("y"), 0)
	if err != nil {
		return fmt.Errorf("mark directory opaque: %w", err)
	}
	return nil
}
