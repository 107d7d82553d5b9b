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

// acquire locks the directory at path. fs.ErrNotExist where there is none, or none any more.
func acquire(ctx context.Context, path string) (*lock, error) {
	ctx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		l, err := tryAcquire(path)
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
func tryAcquire(path string) (*lock, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "lock", Path: path, Err: err}
	}
	l := &lock{os.NewFile(uintptr(fd), path)}
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
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
		existed := errors.Is(err, fs.ErrExist)
		if err != nil && !existed {
			return nil, nil, fmt.Errorf("create container: %w", err)
		}
		l, err := tryAcquire(c.dir)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue // deleted between the two
		case errors.Is(err, ErrBusy):
			return nil, nil, fmt.Errorf("%w: %s", ErrExist, id)
		case err != nil:
			return nil, nil, fmt.Errorf("create container: %w", err)
		}
		err = c.read(id)
		if errors.Is(err, ErrNotExist) || err == nil && c.record.Phase != phaseCreating {
			l.release()
			if err != nil {
				continue
			}
			return nil, nil, fmt.Errorf("%w: %s", ErrExist, id)
		}
		if err == nil && existed {
			err = c.clear(ctx) // its creator has been killed
		}
		if err != nil {
			l.release()
			return nil, nil, fmt.Errorf("create container: %w", err)
		}
		return c, l, nil
	}
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
