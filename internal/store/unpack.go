package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"runtime"
	"slices"
	"sync"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/layer"
)

// unpacking is one layer on its way from blob to directory.
type unpacking struct {
	chain digest.Digest
	blob  v1.Descriptor
	diff  digest.Digest
	tmp   *TempDir
	got   layer.Extracted
	err   error
	done  chan struct{}
}

// unpackImage unpacks the missing layers, several at once, and publishes them bottom first: directories a
// layer does not mention take their attributes from the layers below.
func (s *Store) unpackImage(ctx context.Context, img *Image, chains []digest.Digest) ([]string, error) {
	lease, err := s.Lease(ctx)
	if err != nil {
		return nil, err
	}
	defer lease.Release()
	// One process unpacks an image's base at a time; who comes second finds it done.
	lock, err := s.lock(ctx, "unpack-"+chains[0].Encoded(), unix.LOCK_EX)
	if err != nil {
		return nil, err
	}
	defer unlock(lock)
	ctx, cancel := context.WithCancel(ctx)
	work := s.startUnpacking(ctx, img, chains)
	defer func() {
		cancel()
		for _, u := range work {
			if u != nil {
				u.abandon()
			}
		}
	}()
	ids := make([]string, len(chains))
	for i, chain := range chains {
		if u := work[i]; u != nil {
			if err := s.finishUnpacking(ctx, u, ids[:i]); err != nil {
				return nil, err
			}
		}
		ids[i], _ = s.resolveLayer(chain)
	}
	return ids, nil
}

// startUnpacking begins with every missing layer; as many run at once as there are processors.
func (s *Store) startUnpacking(ctx context.Context, img *Image, chains []digest.Digest) []*unpacking {
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	work := make([]*unpacking, len(chains))
	for i, chain := range chains {
		if _, ok := s.resolveLayer(chain); ok {
			continue
		}
		u := &unpacking{
			chain: chain, blob: img.Manifest.Layers[i], diff: img.Config.RootFS.DiffIDs[i], done: make(chan struct{}),
		}
		work[i] = u
		go func() {
			defer close(u.done)
			slots <- struct{}{}
			defer func() { <-slots }()
			u.err = s.unpackBlob(ctx, u, i == 0)
		}()
	}
	return work
}

// abandon waits for the goroutine and removes what was not published.
func (u *unpacking) abandon() {
	<-u.done
	if u.tmp != nil {
		_ = u.tmp.Close() // if it stays, the next Open removes it
	}
}

func (s *Store) finishUnpacking(ctx context.Context, u *unpacking, below []string) error {
	select {
	case <-u.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	if u.err != nil {
		return u.err
	}
	var lower []string
	for _, id := range slices.Backward(below) {
		lower = append(lower, s.LayerDir(id))
	}
	if err := layer.InheritDirs(u.tmp.Path+"/layer/fs", u.got.Implicit, lower, s.layerOptions()); err != nil {
		return err
	}
	s.noteSkipped(u.blob.Digest, u.got)
	return s.publishLayer(u.tmp.Path, u.chain.Encoded(), layerMeta{Created: s.now(), DiffID: u.diff, Blob: u.blob})
}

func (s *Store) noteSkipped(d digest.Digest, got layer.Extracted) {
	if got.Owners+got.Devices+got.Xattrs > 0 {
		s.log.Info("layer unpacked without what this user or file system cannot have", "layer", shortID(d),
			"owners", got.Owners, "devices", got.Devices, "attributes", got.Xattrs)
	}
}

func (s *Store) unpackBlob(ctx context.Context, u *unpacking, bottom bool) error {
	f, err := s.OpenBlob(u.blob.Digest)
	if errors.Is(err, ErrNotFound) {
		return problemf(ErrCorrupt, "%v; get it again with `deckhand pull` or `deckhand load`", err)
	}
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // only read
	if u.tmp, err = s.newLayerDir(); err != nil {
		return err
	}
	o := s.layerOptions()
	o.Bottom = bottom
	whole, content := sha256.New(), sha256.New()
	x := &extraction{dir: u.tmp.Path + "/layer/fs", opts: o, whole: whole, content: content}
	err = x.run(ctx, f)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	diffID := sumOf(content)
	if x.compression == layer.Plain {
		diffID = sumOf(whole)
	}
	u.got = x.got
	return s.judgeUnpacked(u, sumOf(whole), diffID, err)
}

// judgeUnpacked tells a damaged blob from a wrong image. A damaged blob explains any other error.
func (s *Store) judgeUnpacked(u *unpacking, blob, diffID digest.Digest, err error) error {
	switch {
	case err != nil && !archiveAtFault(err):
		return fmt.Errorf("layer %s: %w", u.blob.Digest, err)
	case blob != u.blob.Digest:
		return s.corruptBlob(u.blob.Digest)
	case err != nil:
		return fmt.Errorf("layer %s: %w", u.blob.Digest, err)
	case diffID != u.diff:
		return problemf(ErrCorrupt, "layer %s unpacks to %s, but the image's config says %s", u.blob.Digest, diffID, u.diff)
	}
	return nil
}

func archiveAtFault(err error) bool {
	return errors.Is(err, layer.ErrTruncated) || errors.Is(err, layer.ErrMalformed) || errors.Is(err, layer.ErrNotTar) ||
		errors.Is(err, layer.ErrEscapes) || errors.Is(err, layer.ErrTooLarge)
}

// newLayerDir is a temporary directory with layer/fs in it.
func (s *Store) newLayerDir() (*TempDir, error) {
	tmp, err := s.TempDir("unpack")
	if err != nil {
		return nil, err
	}
	err = os.Mkdir(tmp.Path+"/layer", 0o700)
	if err == nil {
		err = os.Mkdir(tmp.Path+"/layer/fs", 0o755) //nolint:gosec // it becomes a container's root directory
	}
	if err == nil {
		err = os.Chmod(tmp.Path+"/layer/fs", 0o755) //nolint:gosec // whatever the umask
	}
	if err != nil {
		_ = tmp.Close() // nothing in it
		return nil, fmt.Errorf("make layer: %w", err)
	}
	return tmp, nil
}

// extraction unpacks an archive in one pass: read, decompress, write files, and meanwhile hash or keep.
type extraction struct {
	dir     string
	opts    layer.Options
	whole   io.Writer // gets the archive as it is
	content io.Writer // gets what is inside, if the archive is compressed

	compression layer.Compression
	got         layer.Extracted
}

// run unpacks r. If the archive is at fault it still reads r to its end: whoever hashes it can tell why.
func (x *extraction) run(ctx context.Context, r io.Reader) error {
	sink := newAsyncWriter(x.whole)
	tee := io.TeeReader(contextReader{ctx, r}, sink)
	err := x.decompressed(ctx, tee)
	if err == nil || archiveAtFault(err) {
		_, drainErr := io.CopyBuffer(struct{ io.Writer }{io.Discard}, tee, make([]byte, asyncBufferBytes))
		err = errors.Join(err, drainErr)
	}
	return errors.Join(err, sink.close())
}

func (x *extraction) decompressed(ctx context.Context, r io.Reader) error {
	plain, compression, err := layer.Decompress(ctx, r)
	x.compression = compression
	if err != nil {
		return err
	}
	defer func() { _ = plain.Close() }() // errors came from Read
	if compression == layer.Plain {
		x.got, err = layer.Extract(ctx, x.dir, plain, x.opts)
		return err
	}
	sink := newAsyncWriter(x.content)
	x.got, err = layer.Extract(ctx, x.dir, io.TeeReader(plain, sink), x.opts)
	return errors.Join(err, sink.close())
}

func sumOf(h hash.Hash) digest.Digest {
	return digest.NewDigestFromEncoded(digest.SHA256, hex.EncodeToString(h.Sum(nil)))
}

// asyncWriter writes in a goroutine of its own, so that hashing overlaps with what its writer does.
type asyncWriter struct {
	work chan []byte
	pool sync.Pool
	done chan struct{}
	buf  []byte
	err  error // valid when done is closed
}

const asyncBufferBytes = 256 << 10

func newAsyncWriter(w io.Writer) *asyncWriter {
	a := &asyncWriter{work: make(chan []byte, 8), done: make(chan struct{})}
	a.pool.New = func() any { b := make([]byte, 0, asyncBufferBytes); return &b }
	go func() {
		defer close(a.done)
		for p := range a.work {
			if a.err == nil {
				_, a.err = w.Write(p)
			}
			p = p[:0]
			a.pool.Put(&p)
		}
	}()
	return a
}

// Write implements io.Writer. An error of the real writer shows up at the next call, or at close.
func (a *asyncWriter) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if a.buf == nil {
			a.buf = a.take()
		}
		k := min(len(p), cap(a.buf)-len(a.buf))
		a.buf = append(a.buf, p[:k]...)
		p = p[k:]
		if len(a.buf) == cap(a.buf) {
			a.work <- a.buf
			a.buf = nil
		}
	}
	return n, nil
}

func (a *asyncWriter) take() []byte {
	if b, ok := a.pool.Get().(*[]byte); ok {
		return *b
	}
	return make([]byte, 0, asyncBufferBytes)
}

// close waits for the last write.
func (a *asyncWriter) close() error {
	if len(a.buf) > 0 {
		a.work <- a.buf
	}
	close(a.work)
	<-a.done
	return a.err
}
