package store

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strconv"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/deckhand-engine/deckhand/internal/layer"
	"github.com/deckhand-engine/deckhand/ref"
)

// maxArchiveEntries bounds the files in a docker archive or OCI layout: one a blob, four a layer in old ones.
const maxArchiveEntries = 100_000

// Load reads a docker archive or an OCI layout (tar, compressed or not), unpacks the images' layers and
// tags what the archive names; images without a name are kept untagged. Digests and diff ids are verified.
// After an error nothing is tagged.
func (s *Store) Load(ctx context.Context, r io.Reader) ([]*Image, error) {
	images, err := s.loadArchive(ctx, r)
	if err != nil {
		// What was stored before the error is of no use to anybody.
		return nil, errors.Join(fmt.Errorf("load: %w", err), s.GC(context.WithoutCancel(ctx)))
	}
	return images, nil
}

func (s *Store) loadArchive(ctx context.Context, r io.Reader) ([]*Image, error) {
	lease, err := s.Lease(ctx)
	if err != nil {
		return nil, err
	}
	defer lease.Release()
	tmp, err := s.TempDir("load")
	if err != nil {
		return nil, err
	}
	defer func() { _ = tmp.Close() }() // if it stays, the next Open removes it
	a := &archive{s: s, tmp: tmp.Path, files: make(map[string]archiveFile), links: make(map[string]string)}
	if err := a.read(ctx, r); err != nil {
		return nil, err
	}
	named, err := a.images()
	if err != nil {
		return nil, err
	}
	return s.tagLoaded(ctx, named)
}

// namedImage is an image of an archive and what the archive calls it.
type namedImage struct {
	manifest v1.Descriptor
	refs     []ref.Reference
}

// tagLoaded unpacks all images before it tags the first.
func (s *Store) tagLoaded(ctx context.Context, named []namedImage) ([]*Image, error) {
	loaded := make([]*Image, len(named))
	for i, n := range named {
		img, err := s.ImageByManifest(ctx, n.manifest)
		if err != nil {
			return nil, err
		}
		if _, err := s.ImageLayers(ctx, img); err != nil {
			return nil, err
		}
		loaded[i] = img
	}
	var images []*Image
	for i, n := range named {
		if len(n.refs) == 0 {
			if err := s.KeepUntagged(ctx, n.manifest); err != nil {
				return nil, err
			}
			images = append(images, loaded[i])
		}
		for _, r := range n.refs {
			if err := s.Tag(ctx, r, n.manifest); err != nil {
				return nil, err
			}
			img := *loaded[i]
			img.Ref, img.Tagged = r, s.now()
			images = append(images, &img)
		}
	}
	return images, nil
}

// archive is a docker archive or OCI layout while it is read: its files by their names, in tmp or, if
// they were known, in the store.
type archive struct {
	s     *Store
	tmp   string
	files map[string]archiveFile
	links map[string]string // symbolic and hard links, targets as cleaned names
}

type archiveFile struct {
	digest digest.Digest
	size   int64
	path   string // where it is now
	head   []byte // its first bytes
}

func (a *archive) read(ctx context.Context, r io.Reader) error {
	plain, _, err := layer.Decompress(ctx, contextReader{ctx, r})
	if err != nil {
		return err
	}
	defer func() { _ = plain.Close() }() // errors came from Read
	tr := tar.NewReader(plain)
	for entries := 1; ; entries++ {
		hdr, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return layer.ArchiveError(err)
		}
		if entries > maxArchiveEntries {
			return fmt.Errorf("%w of %d entries", layer.ErrTooLarge, maxArchiveEntries)
		}
		if err := a.entry(hdr, tr); err != nil {
			return fmt.Errorf("archive entry %q: %w", hdr.Name, err)
		}
	}
	if len(a.files) == 0 {
		return fmt.Errorf("%w: it has no files", layer.ErrNotTar)
	}
	return nil
}

func (a *archive) entry(hdr *tar.Header, r io.Reader) error {
	name, err := layer.CleanName(hdr.Name)
	if err != nil {
		return err
	}
	target := hdr.Linkname
	switch hdr.Typeflag {
	case tar.TypeReg:
		return a.file(name, hdr.Size, r)
	case tar.TypeSymlink:
		target = path.Join(path.Dir(name), target) //nolint:gosec // checked below, and never opened
	case tar.TypeLink:
	case tar.TypeDir, tar.TypeXGlobalHeader:
		return nil
	default:
		return fmt.Errorf("%w: an image archive has no entries of type %q", layer.ErrMalformed, hdr.Typeflag)
	}
	if target, err = layer.CleanName(target); err != nil {
		return fmt.Errorf("link to %q: %w", hdr.Linkname, err)
	}
	a.links[name] = target
	return nil
}

// file stores one file's content below tmp, under a name of ours.
func (a *archive) file(name string, size int64, r io.Reader) error {
	want := digest.Digest("")
	if encoded, ok := strings.CutPrefix(name, blobDir+"/"); ok && isSHA256(encoded) {
		want = digest.NewDigestFromEncoded(digest.SHA256, encoded)
		if have, ok := a.s.HasBlob(want); ok && have == size {
			return a.known(name, want, size)
		}
	}
	w, err := newBlobFile(a.s, a.tmp+"/"+strconv.Itoa(len(a.files)))
	if err != nil {
		return err
	}
	defer func() { _ = w.f.Close() }() // synced below
	sink := newAsyncWriter(w)
	_, err = io.CopyBuffer(struct{ io.Writer }{sink}, r, make([]byte, asyncBufferBytes))
	if err != nil {
		err = layer.ArchiveError(err)
	}
	if err = errors.Join(err, sink.close()); err != nil {
		return err
	}
	f := archiveFile{digest: w.digest(), size: w.size, path: w.f.Name(), head: make([]byte, 6)}
	if want != "" && f.digest != want {
		return problemf(ErrCorrupt, "the archive is damaged: the content's digest is %s", f.digest)
	}
	n, _ := w.f.ReadAt(f.head, 0) // a file may be shorter
	f.head = f.head[:n]
	a.files[name] = f
	if err := w.f.Sync(); err != nil {
		return fmt.Errorf("store blob: %w", err)
	}
	return nil
}

// known uses the blob the store has.
func (a *archive) known(name string, d digest.Digest, size int64) error {
	f, err := a.s.OpenBlob(d)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read
	head := make([]byte, 6)
	n, _ := f.ReadAt(head, 0) // a file may be shorter
	a.files[name] = archiveFile{digest: d, size: size, path: f.Name(), head: head[:n]}
	return nil
}

func newBlobFile(s *Store, name string) (*blobWriter, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make temporary file: %w", err)
	}
	return blobWriterTo(s, f), nil
}

// find follows links inside the archive.
func (a *archive) find(name string) (archiveFile, error) {
	clean, err := layer.CleanName(name)
	if err != nil {
		return archiveFile{}, fmt.Errorf("%q: %w", name, err)
	}
	for range 16 {
		if f, ok := a.files[clean]; ok {
			return f, nil
		}
		target, ok := a.links[clean]
		if !ok {
			break
		}
		clean = target
	}
	return archiveFile{}, problemf(ErrCorrupt, "the archive is incomplete: it has no %s", name)
}

// adopt makes a file of the archive a blob of the store.
func (a *archive) adopt(f archiveFile) error {
	if size, ok := a.s.HasBlob(f.digest); ok && size == f.size {
		return nil
	}
	to, err := a.s.blobPath(f.digest)
	if err != nil {
		return err
	}
	if err := os.Rename(f.path, to); err != nil {
		return fmt.Errorf("store blob: %w", err)
	}
	return nil
}
