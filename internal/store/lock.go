package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// lockPoll is how often a lock that another process holds is tried again. flock itself cannot be
// interrupted by a context.
const lockPoll = 2 * time.Millisecond

// errBusy says that somebody else holds a lock.
var errBusy = errors.New("locked by another process")

// flock takes or tries a lock; it ends with the last descriptor of f, however the process dies.
func flock(f *os.File, how int) error {
	for {
		err := unix.Flock(int(f.Fd()), how)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EWOULDBLOCK):
			return errBusy
		case err != nil:
			return fmt.Errorf("lock %s: %w", f.Name(), err)
		}
		return nil
	}
}

// openLock opens a file below locks.
func (s *Store) openLock(name string) (*os.File, error) {
	f, err := open(s.path("locks", name), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	return f, nil
}

// lock waits for the lock name; how is LOCK_SH or LOCK_EX. Closing the file gives it back.
func (s *Store) lock(ctx context.Context, name string, how int) (*os.File, error) {
	f, err := s.openLock(name)
	if err != nil {
		return nil, err
	}
	if err := waitLock(ctx, f, how); err != nil {
		_ = f.Close() // not locked
		return nil, err
	}
	return f, nil
}

// lockNow waits for the exclusive lock name, which is never held for more than a moment: for what must not
// be given up halfway.
func (s *Store) lockNow(name string) (*os.File, error) {
	f, err := s.openLock(name)
	if err != nil {
		return nil, err
	}
	if err := flock(f, unix.LOCK_EX); err != nil {
		_ = f.Close() // not locked
		return nil, err
	}
	return f, nil
}

func waitLock(ctx context.Context, f *os.File, how int) error {
	for {
		err := flock(f, how|unix.LOCK_NB)
		if !errors.Is(err, errBusy) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for lock %s: %w", f.Name(), ctx.Err())
		case <-time.After(lockPoll):
		}
	}
}

// unlock closes a locked file.
func unlock(f *os.File) { _ = f.Close() } // nothing was written

// Lease keeps garbage collection out while new content is not yet referenced.
type Lease struct {
	f    *os.File
	once sync.Once
}

const gcLock = "gc"

// Lease takes the shared lock. It waits while a garbage collection runs.
func (s *Store) Lease(ctx context.Context) (*Lease, error) {
	f, err := s.lock(ctx, gcLock, unix.LOCK_SH)
	if err != nil {
		return nil, fmt.Errorf("take lease: %w", err)
	}
	return &Lease{f: f}, nil
}

// Release gives the lock back; safe to call twice.
func (l *Lease) Release() { l.once.Do(func() { unlock(l.f) }) }
