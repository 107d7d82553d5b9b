package layer

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// node is an entry and where it goes.
type node struct {
	hdr    *tar.Header
	name   string // cleaned
	parent int    // its directory
	base   string
}

func (n node) mode() uint32 { return uint32(n.hdr.Mode & 0o7777) }

// create makes what the entry describes; what is there already goes away first.
func (e *extractor) create(ctx context.Context, n node) error {
	if n.hdr.Typeflag == tar.TypeDir {
		return e.makeDir(n)
	}
	do := e.maker(ctx, n)
	if do == nil {
		return fmt.Errorf("%w: type %q is not known", ErrMalformed, n.hdr.Typeflag)
	}
	err := do()
	if errors.Is(err, unix.EEXIST) {
		if err := e.remove(n.parent, n.base); err != nil {
			return err
		}
		if n.parent, err = e.dirs.get(path.Dir(n.name)); err != nil { // remove closed it
			return err
		}
		do = e.maker(ctx, n)
		err = do()
	}
	return err
}

func (e *extractor) maker(ctx context.Context, n node) func() error {
	switch n.hdr.Typeflag {
	case tar.TypeReg, tar.TypeRegA, tar.TypeCont, tar.TypeGNUSparse: //nolint:staticcheck // TypeRegA: old archives have it
		return func() error { return e.makeFile(ctx, n) }
	case tar.TypeSymlink:
		return func() error { return e.makeSymlink(n) }
	case tar.TypeLink:
		return func() error { return e.makeLink(n) }
	case tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		return func() error { return e.makeDevice(n) }
	}
	return nil
}

func (e *extractor) makeDir(n node) error {
	err := unix.Mkdirat(n.parent, n.base, 0o700)
	if errors.Is(err, unix.EEXIST) {
		err = e.reuseDir(&n)
	}
	if err != nil {
		return err
	}
	return e.dirMetadata(n)
}

// reuseDir keeps a directory that is there and replaces anything else.
func (e *extractor) reuseDir(n *node) error {
	var st unix.Stat_t
	if err := unix.Fstatat(n.parent, n.base, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		return nil
	}
	if isWhiteout(&st) {
		return e.replaceWhiteout(n.parent, n.base)
	}
	if err := e.remove(n.parent, n.base); err != nil {
		return err
	}
	parent, err := e.dirs.get(path.Dir(n.name))
	if err != nil {
		return err
	}
	n.parent = parent
	return unix.Mkdirat(n.parent, n.base, 0o700)
}

func (e *extractor) dirMetadata(n node) error {
	delete(e.implicit, n.name)
	e.times = append(e.times, dirTime{n.name, modTime(n.hdr)})
	return e.metadata(n)
}

// makeFile writes through one descriptor, so that nothing but the new file can be meant.
func (e *extractor) makeFile(ctx context.Context, n node) error {
	fd, err := unix.Openat(n.parent, n.base, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	err = e.fill(ctx, fd, n)
	if err == nil {
		err = e.fileMetadata(fd, n)
	}
	if closeErr := unix.Close(fd); err == nil && closeErr != nil {
		err = fmt.Errorf("close: %w", closeErr)
	}
	return err
}

// fill copies the content. Runs of zeros in a sparse file become holes again.
func (e *extractor) fill(ctx context.Context, fd int, n node) error {
	sparse := isSparse(n.hdr)
	for left := n.hdr.Size; left > 0; {
		if err := ctx.Err(); err != nil {
			return err
		}
		chunk := e.buf[:min(left, int64(len(e.buf)))]
		if _, err := io.ReadFull(e.tr, chunk); err != nil {
			return contentError(err)
		}
		left -= int64(len(chunk))
		if sparse && isZero(chunk) {
			if _, err := unix.Seek(fd, int64(len(chunk)), io.SeekCurrent); err != nil {
				return fmt.Errorf("seek: %w", err)
			}
			continue
		}
		if err := writeAll(fd, chunk); err != nil {
			return err
		}
	}
	if sparse {
		if err := unix.Ftruncate(fd, n.hdr.Size); err != nil {
			return fmt.Errorf("set size: %w", err)
		}
	}
	return nil
}

func contentError(err error) error {
	if errors.Is(err, io.EOF) {
		return ErrTruncated
	}
	return ArchiveError(err)
}

func isSparse(hdr *tar.Header) bool {
	if hdr.Typeflag == tar.TypeGNUSparse {
		return true
	}
	for key := range hdr.PAXRecords {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return false
}

func isZero(p []byte) bool {
	return p[0] == 0 && bytes.Equal(p[:len(p)-1], p[1:])
}

func writeAll(fd int, p []byte) error {
	for len(p) > 0 {
		n, err := unix.Write(fd, p)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("write: %w", err)
		}
		p = p[n:]
	}
	return nil
}

func (e *extractor) makeSymlink(n node) error {
	if n.hdr.Linkname == "" {
		return fmt.Errorf("%w: symbolic link to nowhere", ErrMalformed)
	}
	if err := unix.Symlinkat(n.hdr.Linkname, n.parent, n.base); err != nil {
		return err
	}
	return e.metadata(n)
}

// makeLink links to an entry of this archive; a symbolic link is linked to, not followed.
func (e *extractor) makeLink(n node) error {
	target, err := CleanName(n.hdr.Linkname)
	if err != nil {
		return fmt.Errorf("hard link to %q: %w", n.hdr.Linkname, err)
	}
	if target == n.name {
		return nil
	}
	fd, err := openIn(e.dirs.root, path.Dir(target), unix.O_PATH|unix.O_DIRECTORY)
	if err == nil {
		err = unix.Linkat(fd, path.Base(target), n.parent, n.base, 0)
		_ = unix.Close(fd) // a path descriptor: nothing to lose
	}
	switch {
	case errors.Is(err, unix.EEXIST):
		return err
	case errors.Is(err, unix.ENOENT):
		return fmt.Errorf("%w: hard link to %q, which the archive does not have before it", ErrMalformed, n.hdr.Linkname)
	case err != nil:
		return fmt.Errorf("hard link to %q: %w", n.hdr.Linkname, err)
	}
	return nil
}

func (e *extractor) makeDevice(n node) error {
	format := map[byte]uint32{tar.TypeChar: unix.S_IFCHR, tar.TypeBlock: unix.S_IFBLK, tar.TypeFifo: unix.S_IFIFO}[n.hdr.Typeflag]
	major, minor := n.hdr.Devmajor, n.hdr.Devminor
	if major < 0 || major > math.MaxUint32 || minor < 0 || minor > math.MaxUint32 {
		return fmt.Errorf("%w: device number %d:%d", ErrMalformed, major, minor)
	}
	if format == unix.S_IFIFO {
		major, minor = 0, 0
	}
	if format == unix.S_IFCHR && major == 0 && minor == 0 {
		e.out.Devices++ // overlayfs would take it for a whiteout
		return nil
	}
	dev := unix.Mkdev(uint32(major), uint32(minor))
	err := unix.Mknodat(n.parent, n.base, format|0o600, int(dev)) //nolint:gosec // the bits count, not the sign
	if errors.Is(err, unix.EPERM) && format != unix.S_IFIFO {
		e.out.Devices++ // in a user namespace nobody may make one, and no container needs it
		return nil
	}
	if err != nil {
		return err
	}
	return e.metadata(n)
}

// remove deletes what an earlier entry of the same archive made.
func (e *extractor) remove(parent int, base string) error {
	err := unix.Unlinkat(parent, base, 0)
	if errors.Is(err, unix.EISDIR) {
		err = removeTree(parent, base)
	}
	e.dirs.forget()
	if err != nil {
		return fmt.Errorf("replace: %w", err)
	}
	return nil
}
