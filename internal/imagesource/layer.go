package imagesource

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/opencontainers/go-digest"

	archive "github.com/deckhand-engine/deckhand/internal/layer"
)

// maxLayerBytes bounds a layer when it is unpacked: an archive of a kilobyte can hold a terabyte of zeros.
const maxLayerBytes = 64 << 30

// emptyLayer is the diff id of a tar without entries, which some builders write for instructions that change no file.
const emptyLayer = digest.Digest("sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef")

// layer is one layer of an image.
type layer struct {
	name   string        // for messages: "layer sha256:…"
	diffID digest.Digest // of the tar; empty: not known
	// open is the tar, compressed or not. Read reports at its end whether it is what its digest says, where it has one.
	open func(ctx context.Context) (io.ReadCloser, error)
	// check compares the tar with diffID, for layers that have no other digest.
	check bool
}

// scan calls visit for every entry of the layer's tar. It reads to the end whatever happens: only then it is known
// whether the layer is the one it should be.
func (l *layer) scan(ctx context.Context, visit func(*tar.Header, io.Reader) error) error {
	if l.diffID == emptyLayer {
		return nil
	}
	body, err := l.open(ctx)
	if err != nil {
		return fmt.Errorf("open %s: %w", l.name, err)
	}
	defer func() { _ = body.Close() }() // only read
	err = l.read(ctx, body, visit)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	// A damaged layer explains any other error.
	if _, damage := io.Copy(io.Discard, withContext(ctx, body)); damage != nil {
		err = damage
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", l.name, err)
	}
	return nil
}

func (l *layer) read(ctx context.Context, body io.Reader, visit func(*tar.Header, io.Reader) error) error {
	buffered := bufio.NewReaderSize(withContext(ctx, body), 64<<10)
	head, err := buffered.Peek(6)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	switch c := archive.Sniff(head); c {
	case archive.Plain, archive.Gzip, archive.Zstd:
	case archive.Bzip2, archive.Xz:
		return fmt.Errorf("it is compressed with %s, which no image layer is", c)
	}
	plain, _, err := archive.Decompress(ctx, buffered)
	if err != nil {
		return err
	}
	defer func() { _ = plain.Close() }() // errors came from Read
	limited := &io.LimitedReader{R: plain, N: maxLayerBytes}
	var content io.Reader = limited
	var verifier digest.Verifier
	if l.check {
		verifier = l.diffID.Verifier()
		content = io.TeeReader(limited, verifier)
	}
	err = entries(content, visit)
	if _, drained := io.Copy(io.Discard, content); err == nil {
		err = drained
	}
	switch {
	case limited.N <= 0:
		return fmt.Errorf("%w of %d bytes", archive.ErrTooLarge, int64(maxLayerBytes))
	case verifier != nil && !verifier.Verified():
		return fmt.Errorf("its content is not that of %s, as the image's config says", l.diffID)
	}
	return err
}

func entries(r io.Reader, visit func(*tar.Header, io.Reader) error) error {
	tr := tar.NewReader(r)
	for {
		hdr, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return archive.ArchiveError(err)
		}
		if hdr.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		if err := visit(hdr, tr); err != nil {
			return fmt.Errorf("entry %q: %w", hdr.Name, err)
		}
	}
}

// entry is an entry of a layer's tar, understood.
type entry struct {
	name string // clean and relative
	kind kind
	link string // of a symbolic link as written, of a hard link clean

	whiteout bool // name is deleted from the layers below
	opaque   bool // the layers below have nothing in name
}

// The image-spec's whiteouts: .wh.NAME deletes NAME, .wh..wh..opq is about its directory, other .wh..wh. names are
// bookkeeping of aufs.
const (
	whiteoutPrefix = ".wh."
	whiteoutMeta   = ".wh..wh."
	whiteoutOpaque = ".wh..wh..opq"
)

// understand is the entry of a header; ok is false for what means nothing.
func understand(hdr *tar.Header) (e entry, ok bool, err error) {
	name, err := archive.CleanName(hdr.Name)
	if err != nil {
		return e, false, err
	}
	if parent, base := split(name); strings.HasPrefix(base, whiteoutPrefix) {
		return understandWhiteout(parent, base)
	}
	e = entry{name: name, kind: special}
	switch hdr.Typeflag {
	case tar.TypeDir:
		e.kind = dir
	case tar.TypeReg, tar.TypeGNUSparse, tar.TypeCont:
		e.kind = regular
	case tar.TypeSymlink:
		e.kind, e.link = symlink, hdr.Linkname
	case tar.TypeLink:
		e.kind = hardlink
		e.link, err = archive.CleanName(hdr.Linkname)
	}
	if name == "." && e.kind != dir {
		return e, false, fmt.Errorf("%w: the root is no directory", archive.ErrMalformed)
	}
	return e, true, err
}

func understandWhiteout(parent, base string) (e entry, ok bool, err error) {
	if base == whiteoutOpaque {
		return entry{name: parent, opaque: true}, true, nil
	}
	if strings.HasPrefix(base, whiteoutMeta) {
		return e, false, nil
	}
	base = strings.TrimPrefix(base, whiteoutPrefix)
	if base == "" || base == "." || base == ".." {
		return e, false, fmt.Errorf("%w: whiteout of nothing", archive.ErrMalformed)
	}
	return entry{name: join(parent, base), whiteout: true}, true, nil
}

func split(name string) (parent, base string) {
	i := strings.LastIndexByte(name, '/')
	if i < 0 {
		return ".", name
	}
	return name[:i], name[i+1:]
}

func join(parent, base string) string {
	if parent == "." {
		return base
	}
	return parent + "/" + base
}

// enter puts the entry into the tree.
func (e entry) enter(t *tree, at uint16) (visible, seen bool, err error) {
	switch {
	case e.opaque:
		return false, false, t.conceal(at, e.name)
	case e.whiteout:
		return false, false, t.remove(at, e.name)
	}
	return t.add(at, e.name, e.kind, e.link)
}

// contextReader ends when its context does.
type contextReader struct {
	ctx context.Context //nolint:containedctx // a reader for one call; io.Reader has no other way
	r   io.Reader
}

func withContext(ctx context.Context, r io.Reader) io.Reader { return contextReader{ctx, r} }

// Read implements io.Reader.
func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// verified reports at the end of r whether it was what the digest says.
type verified struct {
	io.ReadCloser
	want     digest.Digest
	verifier digest.Verifier
}

func verify(r io.ReadCloser, want digest.Digest) (io.ReadCloser, error) {
	if err := want.Validate(); err != nil {
		return nil, errors.Join(fmt.Errorf("digest %q: %w", want, err), r.Close())
	}
	return &verified{r, want, want.Verifier()}, nil
}

// Read implements io.Reader.
func (v *verified) Read(p []byte) (int, error) {
	n, err := v.ReadCloser.Read(p)
	_, _ = v.verifier.Write(p[:n]) // never fails
	if errors.Is(err, io.EOF) && !v.verifier.Verified() {
		return n, fmt.Errorf("it is damaged: its content is not what %s names", v.want)
	}
	return n, err
}
