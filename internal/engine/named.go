package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/store"
)

// NamedVolume is a volume that outlives containers and is mounted at Path.
type NamedVolume struct {
	Name     string `json:"name"`
	Path     string `json:"path"`
	ReadOnly bool   `json:"readOnly,omitempty"`
	NoCopy   bool   `json:"noCopy,omitempty"` // not filled with what the image has at Path
}

// volume is where it is mounted from. It is made when the container has been accepted.
func (n NamedVolume) volume(s *store.Store) Volume {
	return Volume{Path: n.Path, Dir: s.VolumeDir(n.Name), named: &n}
}

// options are the mount's.
func (n NamedVolume) options() []string {
	o := []string{"rbind", "rprivate", "idmap"}
	if n.ReadOnly {
		o = append(o, "ro")
	}
	return o
}

// prepare makes a named volume where it is missing, and fills it at its first use.
func (e *Engine) prepare(ctx context.Context, v Volume, root *os.File, idBase int) error {
	if v.named == nil {
		return v.fill(root, idBase)
	}
	if err := e.Store.CreateVolume(&store.Volume{Name: v.named.Name}); err != nil {
		return err
	}
	lock, err := e.Store.LockVolume(ctx, v.named.Name)
	if err != nil {
		return err
	}
	defer lock.Unlock()
	return fillingOf(v.Dir).fill(v, root, idBase)
}

// filling is the first filling of a volume that other containers may be using. The copy is made beside the
// volume and gets its name when it is whole; then its entries move in, one by one, over nothing that is there.
// Whoever is killed on the way is followed by another who goes on at the same place.
type filling struct {
	data  string // the volume's files
	whole string // a whole copy, not all of which has moved
}

// fillingOf is the filling of the named volume whose files are in dir.
func fillingOf(dir string) filling {
	return filling{data: dir, whole: filepath.Join(filepath.Dir(dir), "_new")}
}

func (f filling) fill(v Volume, root *os.File, idBase int) error {
	if err := f.move(); err != nil || v.named.NoCopy {
		return err
	}
	if done, err := notEmpty(f.data); err != nil || done {
		return err
	}
	part := f.whole + partSuffix
	copied, err := v.copyAside(part, root, idBase)
	if err != nil || !copied {
		return err
	}
	if err := syncTree(part); err != nil {
		return err
	}
	if err := os.Rename(part, f.whole); err != nil {
		return err
	}
	return f.move()
}

// syncTree has the copy on the disk before it counts as whole.
func syncTree(dir string) error {
	if some, err := notEmpty(dir); err != nil || !some {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }() // only synced
	if err := unix.Syncfs(int(d.Fd())); err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	return nil
}

// move moves what is left of a whole copy into the volume.
func (f filling) move() error {
	d, err := os.Open(f.whole)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	names, err := d.Readdirnames(-1)
	if err = errors.Join(err, d.Close()); err != nil {
		return err
	}
	var attributes unix.Stat_t // before the moves change the times
	if err := unix.Lstat(f.whole, &attributes); err != nil {
		return err
	}
	for _, name := range names {
		from, to := filepath.Join(f.whole, name), filepath.Join(f.data, name)
		err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
		if errors.Is(err, unix.EEXIST) {
			err = os.RemoveAll(from) // a container was quicker: what it wrote stays
		}
		if err != nil {
			return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
		}
	}
	if err := f.own(&attributes); err != nil {
		return err
	}
	return os.Remove(f.whole)
}

// own gives the volume the owner and mode of the image's directory, unless somebody has chosen others.
func (f filling) own(st *unix.Stat_t) error {
	var have unix.Stat_t
	if err := unix.Lstat(f.data, &have); err != nil {
		return err
	}
	if have.Uid != 0 || have.Gid != 0 || have.Mode&0o7777 != 0o755 {
		return nil
	}
	return (&treeCopy{}).attributes(f.whole, f.data, st)
}
