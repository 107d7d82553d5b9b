package build

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// record is the result of a step as it is kept in cache/build/<key>. Whatever is wrong with a record makes it
// a miss: it may be truncated by a power loss, or its layers may have been pruned.
type record struct {
	Layers  []string   // every layer the record refers to: garbage collection keeps them
	Outputs [][]string // the layers of each output, bottom first
	Created time.Time  // when the step ran
}

// cache keeps results of steps and digests of content below one store.
type cache struct {
	dir, content, mounts, locks string
	tmp                         func() (string, error) // on the same filesystem: records are renamed into place
	hasLayer                    func(id string) bool
}

// newCache makes the directories that are missing.
func newCache(root string, tmp func() (string, error), hasLayer func(string) bool) (*cache, error) {
	c := &cache{
		dir: filepath.Join(root, "cache", "build"), content: filepath.Join(root, "cache", "content"),
		mounts: filepath.Join(root, "cache", "mounts"), locks: filepath.Join(root, "locks"),
		tmp: tmp, hasLayer: hasLayer,
	}
	for _, d := range []string{c.dir, c.content, c.mounts, c.locks} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, fmt.Errorf("make cache directory: %w", err)
		}
	}
	return c, nil
}

// get returns the record under key, or nil: missing, unreadable, or one of its layers is gone.
func (c *cache) get(key string) *record {
	dt, err := os.ReadFile(filepath.Join(c.dir, key))
	if err != nil {
		return nil
	}
	var r record
	if json.Unmarshal(dt, &r) != nil || len(r.Outputs) == 0 || r.Created.IsZero() {
		return nil
	}
	seen := map[string]bool{}
	for _, id := range r.Layers {
		seen[id] = true
	}
	for _, out := range r.Outputs {
		for _, id := range out {
			if !seen[id] || !c.hasLayer(id) {
				return nil
			}
		}
	}
	return &r
}

// put publishes a record atomically. It is not synced: after a power loss it is a miss.
func (c *cache) put(key string, r record) error {
	seen := map[string]bool{}
	r.Layers = []string{}
	for _, out := range r.Outputs {
		for _, id := range out {
			if !seen[id] {
				seen[id] = true
				r.Layers = append(r.Layers, id)
			}
		}
	}
	dt, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode cache record: %w", err)
	}
	return c.publish(filepath.Join(c.dir, key), dt)
}

// publish writes a file below the cache by renaming a complete one.
func (c *cache) publish(path string, dt []byte) error {
	tmp, err := c.tmp()
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(tmp, "record-")
	if err != nil {
		return fmt.Errorf("write cache record: %w", err)
	}
	_, err = f.Write(dt)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // the error that matters is the first one
		return fmt.Errorf("write cache record: %w", err)
	}
	return nil
}

// memo reads what was worked out before about layers, which never change; false: nothing was.
func (c *cache) memo(key string, v any) bool {
	dt, err := os.ReadFile(filepath.Join(c.content, key))
	return err == nil && json.Unmarshal(dt, v) == nil
}

// setMemo remembers it.
func (c *cache) setMemo(key string, v any) error {
	dt, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode memo: %w", err)
	}
	return c.publish(filepath.Join(c.content, key), dt)
}

// errLocked is returned by tryLock.
var errLocked = errors.New("locked")

// fileLock is a flock held until unlock or the death of the process.
type fileLock struct{ f *os.File }

// lock waits for the lock called name, shared or exclusive; waiting is called once if another holds it.
func (c *cache) lock(ctx context.Context, name string, how int, waiting func()) (*fileLock, error) {
	pause := time.Millisecond
	for {
		l, err := c.tryLock(name, how)
		if !errors.Is(err, errLocked) {
			return l, err
		}
		if waiting != nil {
			waiting()
			waiting = nil
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(pause):
		}
		pause = min(2*pause, 50*time.Millisecond)
	}
}

// tryLock takes the lock or returns errLocked. The file stays when the lock is given back: removing it would
// let two holders lock two files of one name.
func (c *cache) tryLock(name string, how int) (*fileLock, error) {
	f, err := os.OpenFile(filepath.Join(c.locks, name), os.O_CREATE|os.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	for {
		err = unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
		switch {
		case err == nil:
			return &fileLock{f}, nil
		case errors.Is(err, unix.EINTR):
			continue
		}
		_ = f.Close() // nothing was written
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, errLocked
		}
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
}

// unlock gives the lock back.
func (l *fileLock) unlock() { _ = l.f.Close() } // closing is what unlocks; nothing was written
