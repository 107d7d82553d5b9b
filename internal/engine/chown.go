package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/linux/idrange"
	"github.com/deckhand-engine/deckhand/internal/store"
)

// Chown gives files that belong to root to a user.
type Chown struct {
	UID   uint32
	GID   int64 // -1: groups stay as they are
	All   bool  // not only what belongs to root
	Apply bool  // false: only look
}

// RunningError is a container that runs and has the files that were to be changed.
type RunningError struct{ Container *store.Container }

// Error names the container.
func (e *RunningError) Error() string {
	return fmt.Sprintf("container %s is running and has it", e.Container.Name)
}

// Unwrap is store.ErrInUse.
func (e *RunningError) Unwrap() error { return store.ErrInUse }

// SymlinkError is a directory that was named by way of a symbolic link.
type SymlinkError struct{ Dir, Real string }

// Error names both.
func (e *SymlinkError) Error() string {
	return fmt.Sprintf("the way to %s leads through a symbolic link; it is %s", e.Dir, e.Real)
}

// ChownVolume changes the owners in a volume that no running container has; a *RunningError otherwise,
// store.ErrNotFound. Containers that want to start wait until it is done.
func (e *Engine) ChownVolume(ctx context.Context, name string, c Chown) (*Chowned, error) {
	if err := e.checkOwner(c); err != nil {
		return nil, err
	}
	if _, err := e.Store.Volume(name); err != nil {
		return nil, err
	}
	lock, err := e.Store.LockVolume(ctx, name)
	if err != nil {
		return nil, err
	}
	defer lock.Unlock()
	users, err := e.VolumeUsers()
	if err != nil {
		return nil, err
	}
	if err := e.noneRuns(ctx, users[name]); err != nil {
		return nil, err
	}
	dir := e.Store.VolumeDir(name)
	if err := fillingOf(dir).move(); err != nil { // of somebody who was killed
		return nil, err
	}
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: dir, Err: err}
	}
	return chownTree(ctx, fd, c)
}

// ChownDirectory changes the owners in a directory of the host that no running container has mounted, nor a
// directory above or below; a *RunningError otherwise. The path is absolute and holds no symbolic link; a
// *SymlinkError otherwise.
func (e *Engine) ChownDirectory(ctx context.Context, dir string, c Chown) (*Chowned, error) {
	if err := e.checkOwner(c); err != nil {
		return nil, err
	}
	all, err := e.Store.Containers()
	if err != nil {
		return nil, err
	}
	var users []*store.Container
	for _, rec := range all {
		cfg, err := ConfigOf(rec)
		if err != nil {
			return nil, err
		}
		if cfg.bindsNear(dir) {
			users = append(users, rec)
		}
	}
	if err := e.noneRuns(ctx, users); err != nil {
		return nil, err
	}
	fd, err := openReal(dir)
	if err != nil {
		return nil, err
	}
	return chownTree(ctx, fd, c)
}

// bindsNear reports whether a mount shows files of dir.
func (c *Config) bindsNear(dir string) bool {
	for _, m := range c.Spec.Mounts {
		if m.Type != "bind" {
			continue
		}
		source := m.Source
		if p, err := realPath(source); err == nil {
			source = p
		}
		if Below(source, dir) || Below(dir, source) {
			return true
		}
	}
	return false
}

// Below reports whether the absolute path p is dir or below it.
func Below(p, dir string) bool {
	return p == dir || strings.HasPrefix(p, strings.TrimSuffix(dir, "/")+"/")
}

// realPath is where p leads.
func realPath(p string) (string, error) {
	fd, err := unix.Open(p, unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", &os.PathError{Op: "open", Path: p, Err: err}
	}
	defer func() { _ = unix.Close(fd) }() // nothing was written
	return os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
}

// checkOwner refuses ids that no container has.
func (e *Engine) checkOwner(c Chown) error {
	count := uint32(idrange.Size)
	if e.Rootless {
		n, err := mappedIDs()
		if err != nil {
			return err
		}
		count = n
	}
	if c.UID >= count {
		return &UnmappedError{ID: c.UID, Count: count}
	}
	if c.GID >= int64(count) {
		return &UnmappedError{ID: uint32(min(c.GID, 1<<32-1)), Count: count} //nolint:gosec // bounded
	}
	return nil
}

// noneRuns is a *RunningError if one of the containers runs or is being started.
func (e *Engine) noneRuns(ctx context.Context, users []*store.Container) error {
	for _, c := range users {
		for i := 0; e.Store.Watched(c.ID); i++ {
			st, err := e.Store.State(c.ID)
			if err == nil && st.Status == StatusRunning || i == openRetries {
				return &RunningError{c}
			}
			select { // somebody may only be looking whether it runs
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(pollInterval):
			}
		}
	}
	return nil
}

// chownTree walks the tree below the directory open at fd, which it closes; twice: an inode with several names
// may be changed if all of them are in the tree.
func chownTree(ctx context.Context, fd int, c Chown) (*Chowned, error) {
	defer func() { _ = unix.Close(fd) }() // nothing is written through it
	links := &linkCount{names: map[inode]uint64{}}
	if err := walkTree(ctx, fd, links); err != nil {
		return nil, err
	}
	w := &chowner{Chown: c, names: links.names, seen: map[inode]bool{}, report: &Chowned{}}
	return w.report, walkTree(ctx, fd, w)
}

// openReal opens a directory whose path holds no symbolic link.
func openReal(dir string) (int, error) {
	fd, err := unix.Openat2(unix.AT_FDCWD, dir, &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_NO_SYMLINKS,
	})
	if errors.Is(err, unix.ELOOP) {
		real, err := realPath(dir)
		if err != nil {
			return -1, err
		}
		return -1, &SymlinkError{Dir: dir, Real: real}
	}
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: dir, Err: err}
	}
	return fd, nil
}

// inode tells files apart.
type inode struct{ dev, ino uint64 }

func inodeOf(st *unix.Stat_t) inode { return inode{st.Dev, st.Ino} }

// linkCount counts the names of inodes that have several.
type linkCount struct{ names map[inode]uint64 }

func (l *linkCount) visit(_ int, _ string, st *unix.Stat_t) error {
	if severalNames(st) {
		l.names[inodeOf(st)]++
	}
	return nil
}

func (l *linkCount) trouble(string, error) {}

func severalNames(st *unix.Stat_t) bool {
	return st.Mode&unix.S_IFMT != unix.S_IFDIR && st.Nlink > 1
}

// visitor is shown everything in a tree, by descriptors that were opened without following anything.
type visitor interface {
	// visit is shown a file, open with O_PATH or, a directory, to be read; name begins with / at the top.
	visit(fd int, name string, st *unix.Stat_t) error
	// trouble is told what could not be looked at; errMounted is what is mounted there.
	trouble(name string, err error)
}

// errMounted is another file system in a tree, which is not entered.
var errMounted = errors.New("another mount")

// walkTree shows v what is below the directory open at fd, and the directory itself first.
func walkTree(ctx context.Context, fd int, v visitor) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if err := v.visit(fd, "/", &st); err != nil {
		return err
	}
	return walkDir(ctx, fd, "/", v)
}

func walkDir(ctx context.Context, dir int, name string, v visitor) error {
	names, err := sortedNames(dir)
	if err != nil {
		v.trouble(name, err)
		return nil
	}
	for _, n := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := walkEntry(ctx, dir, path.Join(name, n), v); err != nil {
			return err
		}
	}
	return nil
}

// beneath opens an entry of a directory and nothing else, whoever swaps it meanwhile.
func beneath(dir int, name string, flags uint64) (int, error) {
	for {
		fd, err := unix.Openat2(dir, name, &unix.OpenHow{
			Flags:   flags | unix.O_CLOEXEC | unix.O_NOFOLLOW,
			Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_XDEV | unix.RESOLVE_NO_MAGICLINKS,
		})
		switch {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN):
			continue
		case errors.Is(err, unix.EXDEV):
			return -1, errMounted
		}
		return fd, err
	}
}

func walkEntry(ctx context.Context, dir int, name string, v visitor) error {
	fd, err := beneath(dir, filepath.Base(name), unix.O_PATH)
	if errors.Is(err, unix.ENOENT) {
		return nil // removed meanwhile
	}
	if err != nil {
		v.trouble(name, err)
		return nil
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFDIR {
		if err == nil {
			err = v.visit(fd, name, &st)
		}
		return errors.Join(err, unix.Close(fd))
	}
	sub, err := beneath(fd, ".", unix.O_RDONLY|unix.O_DIRECTORY)
	_ = unix.Close(fd) // nothing was written
	if err != nil {
		v.trouble(name, err)
		return nil
	}
	defer func() { _ = unix.Close(sub) }() // likewise
	if err := v.visit(sub, name, &st); err != nil {
		return err
	}
	return walkDir(ctx, sub, name, v)
}
