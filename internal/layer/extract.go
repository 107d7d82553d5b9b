package layer

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// copyBufferBytes is the size of the writes that fill files.
const copyBufferBytes = 256 << 10

// Extract unpacks the uncompressed layer tar r into dir, which exists. It reads r to its end, past the
// archive's end marker, so that whoever hashes r has seen all of it.
//
// Errors name the entry. ErrEscapes, ErrTooLarge, ErrTruncated, ErrNotTar and ErrMalformed blame the
// archive. After an error dir holds a part of the layer and is to be thrown away.
func Extract(ctx context.Context, dir string, r io.Reader, o Options) (Extracted, error) {
	dirs, err := openRoot(dir)
	if err != nil {
		return Extracted{}, err
	}
	defer dirs.close()
	counted := &limitReader{r: r, left: o.maxBytes()}
	e := &extractor{
		opts: o, dirs: dirs, tr: tar.NewReader(counted),
		implicit: map[string]struct{}{".": {}}, buf: make([]byte, copyBufferBytes),
	}
	if err := e.run(ctx); err != nil {
		return e.out, err
	}
	if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, counted, e.buf); err != nil {
		return e.out, ArchiveError(err)
	}
	return e.out, e.finish()
}

type extractor struct {
	opts     Options
	dirs     *dirCache
	tr       *tar.Reader
	out      Extracted
	implicit map[string]struct{}
	times    []dirTime
	buf      []byte
}

// dirTime is a directory's modification time, set last because filling a directory changes it.
type dirTime struct {
	name string
	time unix.Timespec
}

func (e *extractor) run(ctx context.Context) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		hdr, err := e.tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return ArchiveError(err)
		}
		if err := e.count(hdr); err != nil {
			return entryError(hdr, err)
		}
		if hdr.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		if err := e.entry(ctx, hdr); err != nil {
			return entryError(hdr, err)
		}
	}
}

func entryError(hdr *tar.Header, err error) error {
	return fmt.Errorf("archive entry %q: %w", hdr.Name, err)
}

// ArchiveError turns what a tar reader says into this package's errors.
func ArchiveError(err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return ErrTruncated
	case errors.Is(err, tar.ErrHeader):
		return fmt.Errorf("%w: bad header", ErrNotTar)
	}
	return fmt.Errorf("read archive: %w", err)
}

func (e *extractor) count(hdr *tar.Header) error {
	e.out.Entries++
	e.out.Bytes += hdr.Size
	switch {
	case e.out.Entries > e.opts.maxEntries():
		return fmt.Errorf("%w of %d entries", ErrTooLarge, e.opts.maxEntries())
	case hdr.Size < 0 || e.out.Bytes < 0 || e.out.Bytes > e.opts.maxBytes():
		return fmt.Errorf("%w of %d bytes", ErrTooLarge, e.opts.maxBytes())
	}
	return nil
}

func (e *extractor) entry(ctx context.Context, hdr *tar.Header) error {
	name, err := CleanName(hdr.Name)
	if err != nil {
		return err
	}
	if name == "." {
		if hdr.Typeflag != tar.TypeDir {
			return fmt.Errorf("%w: the root is no directory", ErrMalformed)
		}
		return e.dirMetadata(node{hdr: hdr, name: name, parent: e.dirs.root, base: "."})
	}
	base := path.Base(name)
	parent, err := e.parent(path.Dir(name))
	if err != nil {
		return err
	}
	if !e.opts.PlainWhiteouts && strings.HasPrefix(base, whiteoutPrefix) {
		return e.whiteout(parent, base)
	}
	return e.create(ctx, node{hdr: hdr, name: name, parent: parent, base: base})
}

// parent opens an entry's directory and makes it, with its own parents, if the archive did not.
func (e *extractor) parent(name string) (int, error) {
	fd, err := e.dirs.get(name)
	switch {
	case err == nil:
		return fd, nil
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR):
		if err := e.makeImplicit(name); err != nil {
			return -1, err
		}
		fd, err = e.dirs.get(name)
	}
	if err != nil {
		return -1, fmt.Errorf("its directory %q: %w", name, err)
	}
	return fd, nil
}

// makeImplicit makes a directory the archive has no entry for (yet).
func (e *extractor) makeImplicit(name string) error {
	above, err := e.parent(path.Dir(name))
	if err != nil {
		return err
	}
	base := path.Base(name)
	err = unix.Mkdirat(above, base, 0o755)
	if errors.Is(err, unix.EEXIST) && isWhiteoutAt(above, base) {
		err = e.replaceWhiteout(above, base)
	}
	if err != nil {
		return fmt.Errorf("make its directory %q: %w", name, err)
	}
	if err := unix.Fchmodat(above, base, 0o755, 0); err != nil {
		return fmt.Errorf("make its directory %q: %w", name, err)
	}
	e.implicit[name] = struct{}{}
	return nil
}

// finish sets what must come last and sums up.
func (e *extractor) finish() error {
	for _, d := range e.times {
		fd, err := e.dirs.get(path.Dir(d.name))
		if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
			continue // a later entry replaced it
		}
		if err != nil {
			return fmt.Errorf("open directory of %q: %w", d.name, err)
		}
		err = setTime(fd, path.Base(d.name), d.time)
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("set times of %q: %w", d.name, err)
		}
	}
	for name := range e.implicit {
		e.out.Implicit = append(e.out.Implicit, name)
	}
	slices.Sort(e.out.Implicit)
	return nil
}

// limitReader fails with ErrTooLarge once more than left bytes were read.
type limitReader struct {
	r    io.Reader
	left int64
}

func (l *limitReader) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, fmt.Errorf("%w: uncompressed size", ErrTooLarge)
	}
	return n, err
}
