package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/identity"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"
)

// layerMeta is layers/<id>/meta.json: what is known of a layer as a blob.
type layerMeta struct {
	Created time.Time
	DiffID  digest.Digest `json:",omitempty"`
	Blob    v1.Descriptor `json:",omitzero"`
}

// unsyncedFile beside a layer's files says in which boot it was written. After another boot such a layer
// is not trusted: a power cut may have cost it anything.
const unsyncedFile = "unsynced"

// LayerDir is the directory of a layer's own files (overlay whiteouts), usable as a lowerdir.
func (s *Store) LayerDir(id string) string { return s.root + "/layers/" + id + "/fs" }

// HasLayer reports whether the layer is there and whole.
func (s *Store) HasLayer(id string) bool {
	if !isHex(id) {
		return false
	}
	boot, err := readFile(s.root + "/layers/" + id + "/" + unsyncedFile)
	if err == nil {
		return string(boot) == bootID()
	}
	var st unix.Stat_t
	return errors.Is(err, os.ErrNotExist) && unix.Lstat(s.LayerDir(id), &st) == nil
}

// bootID changes with every boot.
var bootID = sync.OnceValue(func() string {
	data, err := readFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "unknown" // no /proc: nothing is trusted after a reboot, nor less during this one
	}
	return strings.TrimSpace(string(data))
})

// HasLayers reports whether all layers of the image are there and whole: ImageLayers would unpack nothing.
func (s *Store) HasLayers(img *Image) bool {
	for _, chain := range chainIDs(img.Config.RootFS.DiffIDs) {
		if _, ok := s.resolveLayer(chain); !ok {
			return false
		}
	}
	return true
}

// resolveLayer follows the link that a built layer has under its chain id.
func (s *Store) resolveLayer(chain digest.Digest) (id string, ok bool) {
	id = chain.Encoded()
	if target, err := os.Readlink(s.root + "/layers/" + id); err == nil {
		id = target
	}
	return id, s.HasLayer(id)
}

func (s *Store) readMeta(id string) (layerMeta, error) {
	var meta layerMeta
	err := readJSON(s.path("layers", id, "meta.json"), &meta)
	if errors.Is(err, os.ErrNotExist) {
		return meta, problemf(ErrNotFound, "layer %s is not in the store", id)
	}
	return meta, err
}

// ImageLayers returns the ids of the image's layers, bottom first, unpacking those that are missing.
// ErrCorrupt names the blob that is damaged.
func (s *Store) ImageLayers(ctx context.Context, img *Image) ([]string, error) {
	diffIDs := img.Config.RootFS.DiffIDs
	if len(diffIDs) != len(img.Manifest.Layers) {
		return nil, problemf(ErrCorrupt, "image %s has %d layers and %d diff ids", img.Name(), len(img.Manifest.Layers), len(diffIDs))
	}
	for _, d := range diffIDs {
		if _, err := s.blobPath(d); err != nil {
			return nil, fmt.Errorf("image %s: diff id: %w", img.Name(), err)
		}
	}
	chains := chainIDs(diffIDs)
	ids := make([]string, len(chains))
	missing := false
	for i, chain := range chains {
		id, ok := s.resolveLayer(chain)
		ids[i] = id
		missing = missing || !ok
	}
	if !missing {
		return ids, nil
	}
	ids, err := s.unpackImage(ctx, img, chains)
	if err != nil {
		return nil, fmt.Errorf("unpack %s: %w", img.Name(), err)
	}
	return ids, nil
}

// chainIDs leaves its argument alone, which identity.ChainIDs does not.
func chainIDs(diffIDs []digest.Digest) []digest.Digest {
	return identity.ChainIDs(slices.Clone(diffIDs))
}

// publishLayer moves base/layer, which has fs, to layers/<id>. What is there already and whole, stays.
func (s *Store) publishLayer(base, id string, meta layerMeta) error {
	from := base + "/layer"
	if err := s.writeJSON(from+"/meta.json", meta, false); err != nil {
		return err
	}
	if err := os.WriteFile(from+"/"+unsyncedFile, []byte(bootID()), 0o600); err != nil {
		return fmt.Errorf("write layer: %w", err)
	}
	to := s.path("layers", id)
	for range 3 {
		err := os.Rename(from, to)
		if err == nil || s.HasLayer(id) {
			return nil
		}
		if !errors.Is(err, os.ErrExist) && !errors.Is(err, unix.ENOTEMPTY) && !errors.Is(err, unix.ENOTDIR) {
			return fmt.Errorf("publish layer: %w", err)
		}
		if err := s.trash(to); err != nil { // of an earlier boot, or a link to nothing
			return err
		}
	}
	return fmt.Errorf("publish layer %s: it comes back whenever it is removed", id)
}

// NewLayer is a layer in the making: Dir is usable as overlay upper, Work as its workdir, both inside Base.
type NewLayer struct {
	Base, Dir, Work string

	s   *Store
	tmp *TempDir
}

// NewLayer makes an empty one below tmp.
func (s *Store) NewLayer(_ context.Context) (*NewLayer, error) {
	tmp, err := s.TempDir("layer")
	if err != nil {
		return nil, err
	}
	n := &NewLayer{Base: tmp.Path, Dir: tmp.Path + "/layer/fs", Work: tmp.Path + "/work", s: s, tmp: tmp}
	for _, dir := range []string{tmp.Path + "/layer", n.Dir, n.Work} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			n.Abort()
			return nil, fmt.Errorf("make layer: %w", err)
		}
	}
	if err := os.Chmod(n.Dir, 0o755); err != nil { //nolint:gosec // it becomes a container's root directory
		n.Abort()
		return nil, fmt.Errorf("make layer: %w", err)
	}
	return n, nil
}

// Commit publishes the layer and returns its id.
func (n *NewLayer) Commit(_ context.Context) (string, error) {
	defer n.Abort()
	id := randomHex(16)
	if err := n.s.publishLayer(n.Base, id, layerMeta{Created: n.s.now()}); err != nil {
		return "", err
	}
	return id, nil
}

// Abort removes it; a no-op after Commit.
func (n *NewLayer) Abort() {
	if err := n.tmp.Close(); err != nil {
		n.s.log.Warn("cannot remove unfinished layer", "error", err)
	}
}
