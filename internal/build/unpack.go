package build

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	fscopy "github.com/tonistiigi/fsutil/copy"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/layer"
)

// The flags with which a file of an image or a build context is opened: no link is followed, no pipe blocks.
const openFlags = unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOFOLLOW | unix.O_CLOEXEC

func isNotDir(err error) bool { return errors.Is(err, syscall.ENOTDIR) }

// unpack extracts rel into dest if it is an archive: tar, plain or compressed by gzip, bzip2, xz or zstd. No
// name and no link of the archive leads out of dest.
func (c *copyAction) unpack(ctx context.Context, rel, dest string) (bool, error) {
	f, err := openRegular(c.t.host(rel))
	if err != nil {
		return false, nil // a directory, a link: no archive
	}
	defer func() { _ = f.Close() }() // it was only read
	is, err := isArchive(ctx, f)
	if err != nil || !is {
		return false, err
	}
	abs, err := inRoot(c.root, dest)
	if err != nil {
		return false, err
	}
	if _, err := fscopy.MkdirAll(abs, 0o755, c.own, timeOf(c.Timestamp)); err != nil {
		return false, fmt.Errorf("make directory %s: %w", dest, err)
	}
	if err := c.extract(ctx, f, abs); err != nil {
		return true, fmt.Errorf("unpack %s: %w", rel, err)
	}
	return true, nil
}

func (c *copyAction) extract(ctx context.Context, f *os.File, dir string) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("read archive: %w", err)
	}
	plain, _, err := layer.Decompress(ctx, f)
	if err != nil {
		return err
	}
	defer func() { _ = plain.Close() }() // Extract reads to the end and has the errors
	r := io.Reader(plain)
	if c.Owner != nil {
		u, err := c.own(nil)
		if err != nil {
			return err
		}
		pr := giveTo(plain, u.UID, u.GID)
		defer func() { _ = pr.Close() }() // ends the copying
		r = pr
	}
	_, err = layer.Extract(ctx, dir, r, layer.Options{PlainWhiteouts: true, TolerateOwner: c.tolerate})
	return err
}

// isArchive reports whether f begins with a tar header once decompressed.
func isArchive(ctx context.Context, f *os.File) (bool, error) {
	head := make([]byte, 512)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return false, fmt.Errorf("read: %w", err)
	}
	if layer.Sniff(head[:n]) == layer.Plain {
		return n == len(head) && hasTarHeader(head), nil
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return false, fmt.Errorf("read archive: %w", err)
	}
	plain, c, err := layer.Decompress(ctx, f)
	if err != nil {
		if c == layer.Xz { // the program is missing
			return false, err
		}
		return false, nil
	}
	defer func() { _ = plain.Close() }() // only its beginning matters
	if _, err := io.ReadFull(plain, head); err != nil {
		return false, nil // too short, or only the magic of a compressed file
	}
	return hasTarHeader(head), nil
}

// hasTarHeader reports whether a block is a tar header: its checksum is right.
func hasTarHeader(block []byte) bool {
	var unsigned, signed, want int64
	for i, b := range block {
		if i >= 148 && i < 156 {
			b = ' '
		}
		unsigned += int64(b)
		signed += int64(int8(b)) // old tars summed signed bytes
	}
	digits := 0
	for _, b := range block[148:156] {
		switch {
		case b >= '0' && b <= '7':
			want = want<<3 | int64(b-'0')
			digits++
		case b != ' ' && b != 0:
			return false
		}
	}
	return digits > 0 && (want == unsigned || want == signed) && unsigned > 8*' '
}

// giveTo passes a tar on with every entry owned by uid and gid.
func giveTo(r io.Reader, uid, gid int) *io.PipeReader {
	pr, pw := io.Pipe()
	go func() { pw.CloseWithError(copyTar(pw, r, uid, gid)) }()
	return pr
}

func copyTar(w io.Writer, r io.Reader, uid, gid int) error {
	tr, tw := tar.NewReader(r), tar.NewWriter(w)
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return tw.Close()
		}
		if err != nil {
			return err
		}
		h.Uid, h.Gid, h.Uname, h.Gname, h.Format = uid, gid, "", "", tar.FormatPAX
		if h.Typeflag == tar.TypeGNUSparse {
			h.Typeflag = tar.TypeReg // read out in full
		}
		if err := tw.WriteHeader(h); err != nil {
			return err
		}
		if _, err := io.Copy(tw, tr); err != nil { //nolint:gosec // whoever reads has the limits
			return err
		}
	}
}
