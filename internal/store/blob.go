package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"strings"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"
)

const blobDir = "blobs/sha256"

// maxDocumentBytes is the largest manifest, index or config that is read into memory.
const maxDocumentBytes = 32 << 20

// writeBackBytes is how much of a blob is written before the kernel is told to start writing it back, so
// that the fsync at its end finds little left.
const writeBackBytes = 8 << 20

// blobPath checks d, which may come from anywhere, before it becomes a file name.
func (s *Store) blobPath(d digest.Digest) (string, error) {
	encoded, ok := strings.CutPrefix(string(d), "sha256:")
	if !ok || !isSHA256(encoded) {
		return "", fmt.Errorf("digest %q: only sha256 with 64 lower-case hex digits is supported", d)
	}
	return s.root + "/" + blobDir + "/" + encoded, nil
}

func isSHA256(s string) bool { return len(s) == 64 && isHex(s) }

func isHex(s string) bool {
	return strings.Trim(s, "0123456789abcdef") == "" && s != ""
}

// blobWriter writes a blob below tmp and hashes it. Until commit nobody sees it.
type blobWriter struct {
	s       *Store
	f       *os.File
	hash    hash.Hash
	size    int64
	started int64 // write-back was started up to here
}

func (s *Store) newBlob() (*blobWriter, error) {
	f, err := s.tempFile("blob")
	if err != nil {
		return nil, err
	}
	return blobWriterTo(s, f), nil
}

func blobWriterTo(s *Store, f *os.File) *blobWriter {
	return &blobWriter{s: s, f: f, hash: sha256.New()}
}

// Write implements io.Writer.
func (w *blobWriter) Write(p []byte) (int, error) {
	n, err := w.f.Write(p)
	_, _ = w.hash.Write(p[:n]) // never fails
	w.size += int64(n)
	if w.size-w.started >= writeBackBytes {
		// Advice only: an error will come back from fsync.
		_ = unix.SyncFileRange(int(w.f.Fd()), w.started, w.size-w.started, unix.SYNC_FILE_RANGE_WRITE)
		w.started = w.size
	}
	if err != nil {
		return n, fmt.Errorf("write blob: %w", err)
	}
	return n, nil
}

func (w *blobWriter) digest() digest.Digest { return sumOf(w.hash) }

// commit verifies and publishes the blob. Whether it fails or not, nothing is left in tmp.
func (w *blobWriter) commit(want v1.Descriptor) (v1.Descriptor, error) {
	got := want
	got.Digest, got.Size = w.digest(), w.size
	if want.Digest != "" && want.Digest != got.Digest {
		w.abort()
		return v1.Descriptor{}, problemf(ErrCorrupt, "blob %s arrived with digest %s (%d bytes)", want.Digest, got.Digest, got.Size)
	}
	if want.Size > 0 && want.Size != got.Size {
		w.abort()
		return v1.Descriptor{}, problemf(ErrCorrupt, "blob %s has %d bytes, not %d", got.Digest, got.Size, want.Size)
	}
	if size, ok := w.s.HasBlob(got.Digest); ok && size == got.Size {
		w.abort()
		return got, nil
	}
	return got, w.publish(got.Digest)
}

func (w *blobWriter) publish(d digest.Digest) error {
	path, err := w.s.blobPath(d)
	if err == nil {
		err = w.f.Sync()
	}
	if err == nil {
		err = os.Rename(w.f.Name(), path)
	}
	if err != nil {
		w.abort()
		return fmt.Errorf("store blob: %w", err)
	}
	if err := w.f.Close(); err != nil {
		return fmt.Errorf("store blob: %w", err)
	}
	return nil
}

func (w *blobWriter) abort() { discard(w.f) }

// PutBlob stores r. want.Digest and want.Size are verified where set; the result carries both, and want's media type.
func (s *Store) PutBlob(ctx context.Context, r io.Reader, want v1.Descriptor) (v1.Descriptor, error) {
	w, err := s.newBlob()
	if err != nil {
		return v1.Descriptor{}, err
	}
	if want.Size > 0 {
		r = io.LimitReader(r, want.Size+1) // one more shows that there is more
	}
	if _, err := io.CopyBuffer(struct{ io.Writer }{w}, contextReader{ctx, r}, make([]byte, 256<<10)); err != nil {
		w.abort()
		return v1.Descriptor{}, fmt.Errorf("store blob: %w", err)
	}
	return w.commit(want)
}

// putBytes stores a small document, unless it is there.
func (s *Store) putBytes(mediaType string, data []byte) (v1.Descriptor, error) {
	d := v1.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}
	if size, ok := s.HasBlob(d.Digest); ok && size == d.Size {
		return d, nil
	}
	w, err := s.newBlob()
	if err != nil {
		return v1.Descriptor{}, err
	}
	if _, err := w.Write(data); err != nil {
		w.abort()
		return v1.Descriptor{}, err
	}
	return w.commit(d)
}

// OpenBlob opens a blob unverified (its readers verify); ErrNotFound.
func (s *Store) OpenBlob(d digest.Digest) (*os.File, error) {
	path, err := s.blobPath(d)
	if err != nil {
		return nil, err
	}
	f, err := open(path, os.O_RDONLY, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, problemf(ErrNotFound, "blob %s is not in the store", d)
	}
	if err != nil {
		return nil, fmt.Errorf("open blob: %w", err)
	}
	return f, nil
}

// ReadBlob reads and verifies a small blob (manifest, config); ErrNotFound, ErrCorrupt.
func (s *Store) ReadBlob(d digest.Digest) ([]byte, error) {
	f, err := s.OpenBlob(d)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read
	var buf bytes.Buffer
	if st, err := f.Stat(); err == nil && st.Size() < maxDocumentBytes {
		buf.Grow(int(st.Size()) + bytes.MinRead)
	}
	if _, err := buf.ReadFrom(io.LimitReader(f, maxDocumentBytes)); err != nil {
		return nil, fmt.Errorf("read blob: %w", err)
	}
	if digest.FromBytes(buf.Bytes()) != d {
		return nil, s.corruptBlob(d)
	}
	return buf.Bytes(), nil
}

// corruptBlob sets a damaged blob aside, so that the next pull or load brings a good one.
func (s *Store) corruptBlob(d digest.Digest) error {
	path, err := s.blobPath(d)
	if err != nil {
		return err
	}
	aside := path + ".corrupt"
	if err := os.Rename(path, aside); err != nil {
		aside = path
	}
	return problemf(ErrCorrupt, "%s does not have the content its name says (disk error, or somebody wrote to it); "+
		"get it again with `deckhand pull` or `deckhand load`", aside)
}

// HasBlob reports whether the blob is there, and its size.
func (s *Store) HasBlob(d digest.Digest) (int64, bool) {
	path, err := s.blobPath(d)
	if err != nil {
		return 0, false
	}
	st, err := os.Stat(path)
	if err != nil || !st.Mode().IsRegular() {
		return 0, false
	}
	return st.Size(), true
}

// contextReader ends when its context does.
type contextReader struct {
	ctx context.Context //nolint:containedctx // a reader for one call; io.Reader has no other way
	r   io.Reader
}

// Read implements io.Reader.
func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
