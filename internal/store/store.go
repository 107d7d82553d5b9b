// Package store keeps images, layers and containers on disk, safely for any number of processes.
package store

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"time"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/deckhand-engine/deckhand/ref"
)

// Errors callers test for with errors.Is.
var (
	ErrNotFound = errors.New("not found")
	ErrInUse    = errors.New("in use")
	ErrConflict = errors.New("name already in use")
	ErrCorrupt  = errors.New("corrupt")
)

// Options configure Open; the zero value works.
type Options struct {
	Rootless bool // running inside the rootless user namespace: ownership errors in single-id mode are noted, not fatal
	SingleID bool
	Log      *slog.Logger
}

// Store is one data root. Its methods may be called from several goroutines and processes.
type Store struct{ root string }

// Open makes the directories that are missing and clears what dead processes left in tmp.
func Open(root string, o Options) (*Store, error) { return &Store{root}, nil }

// Root is the data root's path.
func (s *Store) Root() string { return s.root }

// Lease keeps garbage collection out while new content is not yet referenced.
type Lease struct{}

// Lease takes the shared lock.
func (s *Store) Lease(ctx context.Context) (*Lease, error) { return &Lease{}, nil }

// Release gives the lock back; safe to call twice.
func (l *Lease) Release() {}

// TempDir is a directory below tmp, locked by this process and removed by whoever finds it unlocked.
type TempDir struct{ Path string }

// TempDir makes one.
func (s *Store) TempDir(prefix string) (*TempDir, error) { return nil, errors.ErrUnsupported }

// Close removes it.
func (t *TempDir) Close() error { return nil }

// PutBlob stores r. want.Digest and want.Size are verified where set; the result carries both, and want's media type.
func (s *Store) PutBlob(ctx context.Context, r io.Reader, want v1.Descriptor) (v1.Descriptor, error) {
	return v1.Descriptor{}, errors.ErrUnsupported
}

// OpenBlob opens a blob unverified (its readers verify); ErrNotFound.
func (s *Store) OpenBlob(d digest.Digest) (*os.File, error) { return nil, errors.ErrUnsupported }

// ReadBlob reads and verifies a small blob (manifest, config).
func (s *Store) ReadBlob(d digest.Digest) ([]byte, error) { return nil, errors.ErrUnsupported }

// HasBlob reports whether the blob is there, and its size.
func (s *Store) HasBlob(d digest.Digest) (int64, bool) { return 0, false }

// Image is a loaded image.
type Image struct {
	Ref      ref.Reference // zero for a dangling image
	Target   v1.Descriptor // the manifest
	ID       digest.Digest // digest of the config
	Manifest v1.Manifest
	Config   dockerspec.DockerOCIImage
	Tagged   time.Time // when the reference was written
}

// Tag points r at a manifest that is in the store (atomic). The image r named before stays, dangling.
func (s *Store) Tag(ctx context.Context, r ref.Reference, manifest v1.Descriptor) error {
	return errors.ErrUnsupported
}

// KeepUntagged records a manifest as a dangling image.
func (s *Store) KeepUntagged(ctx context.Context, manifest v1.Descriptor) error {
	return errors.ErrUnsupported
}

// Image finds by reference, then by id or unique id prefix, as docker does. ErrNotFound.
func (s *Store) Image(ctx context.Context, nameOrID string) (*Image, error) {
	return nil, errors.ErrUnsupported
}

// ImageByManifest loads the image of a manifest descriptor.
func (s *Store) ImageByManifest(ctx context.Context, d v1.Descriptor) (*Image, error) {
	return nil, errors.ErrUnsupported
}

// Images lists every reference and dangling image, newest first.
func (s *Store) Images(ctx context.Context) ([]*Image, error) { return nil, errors.ErrUnsupported }

// Removed says what RemoveImage did.
type Removed struct {
	Untagged []string        // familiar references
	Deleted  []digest.Digest // image ids
}

// RemoveImage untags nameOrID and, when that was the last reference, deletes the image
// (force: also with several tags or stopped containers, as docker rmi -f). ErrNotFound, ErrInUse.
func (s *Store) RemoveImage(ctx context.Context, nameOrID string, force bool) (Removed, error) {
	return Removed{}, errors.ErrUnsupported
}

// GC removes what nothing refers to. It does nothing while another process holds a lease.
func (s *Store) GC(ctx context.Context) error { return errors.ErrUnsupported }

// ImageLayers returns the ids of the image's layers, bottom first, unpacking those that are missing.
func (s *Store) ImageLayers(ctx context.Context, img *Image) ([]string, error) {
	return nil, errors.ErrUnsupported
}

// LayerDir is the directory of a layer's own files (overlay whiteouts), usable as a lowerdir.
func (s *Store) LayerDir(id string) string { return "" }

// HasLayer reports whether the layer is there and whole.
func (s *Store) HasLayer(id string) bool { return false }

// NewLayer is a layer in the making: Dir is usable as overlay upper, Work as its workdir, both inside Base.
type NewLayer struct{ Base, Dir, Work string }

// NewLayer makes an empty one below tmp.
func (s *Store) NewLayer(ctx context.Context) (*NewLayer, error) { return nil, errors.ErrUnsupported }

// Commit publishes the layer and returns its id.
func (n *NewLayer) Commit(ctx context.Context) (string, error) { return "", errors.ErrUnsupported }

// Abort removes it; a no-op after Commit.
func (n *NewLayer) Abort() {}

// PutImage exports each layer (bottom first; exported ones are not read again), completes
// config.RootFS.DiffIDs, writes config and manifest blobs and links the chain ids. It tags nothing.
func (s *Store) PutImage(ctx context.Context, config dockerspec.DockerOCIImage, layers []string) (*Image, error) {
	return nil, errors.ErrUnsupported
}

// Import makes a one-layer image of a root filesystem tar (plain, gzip, zstd, xz, bzip2).
func (s *Store) Import(ctx context.Context, r io.Reader, config dockerspec.DockerOCIImage) (*Image, error) {
	return nil, errors.ErrUnsupported
}

// Save writes a docker archive that is an OCI layout as well (as docker save does since 25).
func (s *Store) Save(ctx context.Context, w io.Writer, images []*Image) error {
	return errors.ErrUnsupported
}

// Load reads a docker archive or an OCI layout (tar, compressed or not) and tags what it names.
func (s *Store) Load(ctx context.Context, r io.Reader) ([]*Image, error) {
	return nil, errors.ErrUnsupported
}
