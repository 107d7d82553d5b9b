package build

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/linux/mount"
	"github.com/deckhand-engine/deckhand/internal/store"
)

// snapshot is a filesystem that does not change: layers from bottom to top, none for scratch, or a build
// context.
type snapshot struct {
	Layers []string
	tree   *tree // of a build context; nil otherwise
}

// stage makes the mounts a build needs: in this process's own mount namespace, at directories below one
// temporary directory.
type stage struct {
	store     *store.Store
	tmp       func() (string, error)
	userXattr bool

	mu sync.Mutex
	n  int
}

// newDir makes an empty directory below the stage.
func (s *stage) newDir(prefix string) (string, error) {
	tmp, err := s.tmp()
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	s.n++
	d := filepath.Join(tmp, prefix+strconv.Itoa(s.n))
	s.mu.Unlock()
	if err := os.Mkdir(d, 0o755); err != nil { //nolint:gosec // a root, or mounted in one: every user reads it
		return "", fmt.Errorf("make directory: %w", err)
	}
	return d, nil
}

// dirs are the directories of layers, bottom first.
func (s *stage) dirs(layers []string) []string {
	out := make([]string, len(layers))
	for i, id := range layers {
		out[i] = s.store.LayerDir(id)
	}
	return out
}

// mount attaches an overlay at a new directory; undo takes it away.
func (s *stage) mount(o mount.Overlay) (dir string, undo func() error, err error) {
	o.UserXattr = s.userXattr
	f, err := o.Mount()
	if err != nil {
		return "", nil, fmt.Errorf("mount layers: %w", err)
	}
	defer func() { _ = f.Close() }() // the mount stays attached
	// an image may hold device nodes and setuid files: this process, real root, must not trip over them
	attr := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NOEXEC}
	if err := unix.MountSetattr(int(f.Fd()), "", unix.AT_EMPTY_PATH, &attr); err != nil {
		return "", nil, fmt.Errorf("mount layers: %w", err)
	}
	if dir, err = s.newDir("mnt-"); err != nil {
		return "", nil, err
	}
	if err := unix.MoveMount(int(f.Fd()), "", unix.AT_FDCWD, dir, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return "", nil, fmt.Errorf("attach mount: %w", err)
	}
	return dir, func() error { return unmount(dir) }, nil
}

// unmount detaches and removes the mount point. A container of another step that was just starting may hold
// a copy of the mount for an instant: then it goes with that.
func unmount(dir string) error {
	if err := unix.Unmount(dir, 0); err != nil {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			return fmt.Errorf("unmount: %w", err)
		}
	}
	if err := os.Remove(dir); err != nil {
		return fmt.Errorf("remove mount point: %w", err)
	}
	return nil
}

// view makes a snapshot readable as a tree until release.
func (s *stage) view(sn *snapshot) (t *tree, release func(), err error) {
	if sn.tree != nil {
		return sn.tree, func() {}, nil
	}
	empty, err := s.newDir("empty-")
	if err != nil {
		return nil, nil, err
	}
	if len(sn.Layers) == 0 {
		return &tree{dir: empty}, func() { _ = os.Remove(empty) }, nil // goes with the stage at the latest
	}
	// overlay wants two lower directories where there is no upper one
	dir, undo, err := s.mount(mount.Overlay{Lower: append([]string{empty}, s.dirs(sn.Layers)...)})
	if err != nil {
		return nil, nil, err
	}
	release = sync.OnceFunc(func() {
		_ = undo() // the mount dies with the process at the latest
		_ = os.Remove(empty)
	})
	return &tree{dir: dir}, release, nil
}

// active is a writable filesystem on top of a snapshot.
type active struct {
	base  *snapshot
	layer *store.NewLayer
	root  string // where it is mounted
	undo  func() error
}

// newLayer makes the layer that goes on top of base. The attributes of its directory become those of the root,
// so they are taken from the layer below.
func (s *stage) newLayer(ctx context.Context, base *snapshot) (*active, error) {
	l, err := s.store.NewLayer(ctx)
	if err != nil {
		return nil, fmt.Errorf("make layer: %w", err)
	}
	a := &active{base: base, layer: l, root: l.Dir, undo: func() error { return nil }}
	if n := len(base.Layers); n > 0 {
		fi, err := os.Lstat(s.store.LayerDir(base.Layers[n-1]))
		if err == nil {
			err = chmodLike(l.Dir, fi, false)
		}
		if err != nil {
			l.Abort()
			return nil, fmt.Errorf("make layer: %w", err)
		}
	}
	return a, nil
}

// newActive mounts one for file operations. On scratch it is a plain directory: an overlay would mark new
// directories opaque, and they would hide what COPY --link puts them on.
func (s *stage) newActive(ctx context.Context, base *snapshot) (*active, error) {
	if base.tree != nil {
		return nil, errLocalRoot
	}
	a, err := s.newLayer(ctx, base)
	if err != nil || len(base.Layers) == 0 {
		return a, err
	}
	l := a.layer
	a.root, a.undo, err = s.mount(mount.Overlay{
		Lower: s.dirs(base.Layers), Upper: l.Dir, Work: l.Work, UpperBase: l.Base, Volatile: true,
	})
	if err != nil {
		l.Abort()
		return nil, err
	}
	return a, nil
}

// commit unmounts and publishes the layer.
func (a *active) commit(ctx context.Context) (*snapshot, error) {
	if err := a.unmount(); err != nil {
		a.layer.Abort()
		return nil, err
	}
	id, err := a.layer.Commit(ctx)
	if err != nil {
		a.layer.Abort()
		return nil, fmt.Errorf("commit layer: %w", err)
	}
	return &snapshot{Layers: append(slices.Clone(a.base.Layers), id)}, nil
}

// abort removes it.
func (a *active) abort() {
	if err := a.unmount(); err == nil {
		a.layer.Abort()
	}
}

func (a *active) unmount() error {
	undo := a.undo
	a.undo = func() error { return nil }
	return undo()
}

// errLocalRoot is a build context where only an image or a stage makes sense.
var errLocalRoot = errors.New("a build context cannot be the root of a step")

// merged is the snapshot of COPY --link: one set of layers on top of another.
func merged(parts []*snapshot) (*snapshot, error) {
	out := &snapshot{}
	for _, p := range parts {
		if p.tree != nil {
			return nil, errLocalRoot
		}
		out.Layers = append(out.Layers, p.Layers...)
	}
	return out, nil
}
