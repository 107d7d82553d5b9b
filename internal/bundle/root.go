package bundle

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Root is the directory that containers are in.
type Root struct {
	Dir string
	Now func() time.Time // the clock
	// Warn is told what does not change what is done; may be nil.
	Warn func(error)
}

// DefaultDir is the root of the caller: /run/deckhand/oci for the machine's root, and otherwise, or
// where that is not his to write to, a directory below XDG_RUNTIME_DIR.
func DefaultDir(rootless bool) string {
	const machine = "/run/deckhand/oci"
	if !rootless {
		return machine
	}
	if dir := os.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		return filepath.Join(dir, "deckhand/oci")
	}
	return filepath.Join(os.TempDir(), "deckhand-"+strconv.Itoa(os.Geteuid()), "oci")
}

// warn passes an error on that ends nothing.
func (r *Root) warn(err error) {
	if err != nil && r.Warn != nil {
		r.Warn(err)
	}
}

// warnOf is warn of what is no error, only left out.
func (r *Root) warnOf(message string) { r.warn(errors.New(message)) }

// Open finds a container. ErrNotExist where there is none.
func (r *Root) Open(id string) (*Container, error) {
	if err := checkID(id); err != nil {
		return nil, err
	}
	c := &Container{root: r, dir: filepath.Join(r.Dir, id)}
	if err := c.read(id); err != nil {
		return nil, err
	}
	return c, nil
}

// List gives every container in the order of their names. One that disappears meanwhile is left out.
func (r *Root) List() ([]*Container, error) {
	entries, err := os.ReadDir(r.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	var all []*Container
	for _, e := range entries {
		if !e.IsDir() || checkID(e.Name()) != nil {
			continue
		}
		c, err := r.Open(e.Name())
		if errors.Is(err, ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

// lock is a container's directory, locked.
type lock struct{ dir *os.File }

func (l *lock) release() { _ = l.dir.Close() } // a directory only read from

// lockPatience is how long a change waits for another one. Hooks may take that long.
const lockPatience = 10 * time.Second

// claimPatience is how long a new container waits for the lock of its directory: who has it for longer
// is making a container of that name.
const claimPatience = time.Second

// acquire locks the directory at path. fs.ErrNotExist where there is none, or none any more; ErrBusy
// where somebody else has the lock for as long as patience lasts.
func acquire(ctx context.Context, path string, patience time.Duration) (*lock, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		l, err := tryAcquire(path, unix.LOCK_EX)
		if !errors.Is(err, ErrBusy) {
			return l, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(wait):
		}
	}
}

// tryAcquire is ErrBusy where somebody else has the lock.
func tryAcquire(path string, how int) (*lock, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "lock", Path: path, Err: err}
	}
	l := &lock{os.NewFile(uintptr(fd), path)}
	if err := unix.Flock(fd, how|unix.LOCK_NB); err != nil {
		l.release()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, ErrBusy
		}
		return nil, &fs.PathError{Op: "lock", Path: path, Err: err}
	}
	// Who had it before may have removed the directory, and another may be there by now.
	var held, there unix.Stat_t
	if err := unix.Fstat(fd, &held); err != nil || unix.Lstat(path, &there) != nil || held.Ino != there.Ino {
		l.release()
		if there.Ino != 0 {
			return nil, ErrBusy // to try again
		}
		return nil, &fs.PathError{Op: "lock", Path: path, Err: fs.ErrNotExist}
	}
	return l, nil
}

// claim makes a container's directory, locked. What a killed process has left under the id is cleared
// away; ErrExist where a container has it.
func (r *Root) claim(ctx context.Context, id string) (*Container, *lock, error) {
	if err := checkID(id); err != nil {
		return nil, nil, err
	}
	c := &Container{root: r, dir: filepath.Join(r.Dir, id)}
	for {
		err := makeDir(c.dir)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, nil, fmt.Errorf("make container: %w", err)
		}
		l, err := c.seize(ctx, id, err == nil)
		if err == nil {
			return c, l, nil
		}
		if !gone(err) {
			return nil, nil, err
		}
	}
}

// seize locks a directory that is no container's. fs.ErrNotExist says that it is no more: it was
// somebody's who was killed, or somebody else took it for such.
func (c *Container) seize(ctx context.Context, id string, made bool) (*lock, error) {
	l, err := acquire(ctx, c.dir, claimPatience)
	if errors.Is(err, ErrBusy) {
		return nil, fmt.Errorf("%w: %s", ErrExist, id)
	}
	if err != nil {
		return nil, err
	}
	err = c.read(id)
	switch {
	case err != nil:
	case c.record.Phase != phaseCreating:
		err = fmt.Errorf("%w: %s", ErrExist, id)
	case made:
		return l, nil
	default:
		if err = c.clear(ctx); err == nil {
			err = fs.ErrNotExist
		}
	}
	l.release()
	return nil, err
}

// makeDir makes a container's directory, and the root where it is missing.
func makeDir(path string) error {
	err := os.Mkdir(path, 0o700)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(filepath.Dir(path), 0o700); err == nil {
			err = os.Mkdir(path, 0o700)
		}
	}
	return err
}
