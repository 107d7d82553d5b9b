// Package idrange hands out ranges of 65,536 host ids, one a running container.
//
// Nothing on disk is ever owned by these ids: layers and volumes are shifted by idmapped mounts. So a
// range belongs to a container only while it runs, and the next may get it at once. A range is an
// exclusive flock on a file in /run/deckhand/ids, which the kernel drops with its holder. The files
// stay for the next holder, a few dozen of them; Sweep removes those nobody has locked.
//
// The ranges are 0x30000000 + n*65536, n < 8192, far above what useradd gives to people and services.
// A line "deckhand:FIRST:COUNT" in both /etc/subuid and /etc/subgid, with the same figures, chooses
// others.
package idrange

import (
	"bufio"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Size is the number of ids in a range.
const Size = 65536

// ErrExhausted says that as many containers run as there are ranges.
var ErrExhausted = errors.New("every range of host ids is taken")

// Range is held until Release or the process's death.
type Range struct {
	HostBase uint32
	lock     *os.File
}

// pool is a set of ranges and the directory of their lock files.
type pool struct {
	dir   string
	first uint32
	count uint32
}

const (
	defaultDir   = "/run/deckhand/ids"
	defaultFirst = 0x30000000
	defaultCount = 8192
	subidUser    = "deckhand"
	preferred    = 64 // where the search starts
)

// Acquire takes a range no live process of this machine holds; id seeds the choice.
func Acquire(id string) (*Range, error) {
	p, err := defaultPool()
	if err != nil {
		return nil, err
	}
	return p.acquire(id)
}

// Sweep removes the lock files that nobody holds.
func Sweep() error { return (&pool{dir: defaultDir}).sweep() }

func defaultPool() (*pool, error) {
	p := &pool{dir: defaultDir, first: defaultFirst, count: defaultCount}
	first, count, err := readSubid("/etc/subuid")
	if err != nil || count == 0 {
		return p, err
	}
	gidFirst, gidCount, err := readSubid("/etc/subgid")
	if err != nil {
		return nil, err
	}
	if first != gidFirst || count != gidCount {
		return nil, fmt.Errorf("the ranges of %q in /etc/subuid and /etc/subgid differ", subidUser)
	}
	if count < Size {
		return nil, fmt.Errorf("the range of %q in /etc/subuid has %d ids, a container needs %d", subidUser, count, Size)
	}
	p.first, p.count = first, count/Size
	return p, nil
}

// readSubid finds the range of subidUser in a subuid(5) file; count 0 where there is none.
func readSubid(path string) (first, count uint32, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, fmt.Errorf("read subordinate ids: %w", err)
	}
	defer func() { _ = f.Close() }() // read only
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if first, count, ok := parseSubid(lines.Text()); ok {
			return first, count, nil
		}
	}
	if err := lines.Err(); err != nil {
		return 0, 0, fmt.Errorf("read subordinate ids: %w", err)
	}
	return 0, 0, nil
}

// parseSubid reads a line "deckhand:first:count"; others, and ranges past 32 bits, are not ok.
func parseSubid(line string) (first, count uint32, ok bool) {
	fields := strings.Split(line, ":")
	if len(fields) != 3 || fields[0] != subidUser {
		return 0, 0, false
	}
	a, errA := strconv.ParseUint(fields[1], 10, 32)
	n, errN := strconv.ParseUint(strings.TrimSpace(fields[2]), 10, 32)
	if errA != nil || errN != nil || a == 0 || a+n > 1<<32-1 {
		return 0, 0, false
	}
	return uint32(a), uint32(n), true
}

func (p *pool) acquire(id string) (*Range, error) {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id))     // hashes do not fail
	start := h.Sum32() % preferred // few files, so that most are there already
	for i := range p.count {
		n := (start + i) % p.count
		lock, err := p.lock(n)
		if err != nil {
			return nil, fmt.Errorf("take a range of host ids: %w", err)
		}
		if lock != nil {
			return &Range{HostBase: p.first + n*Size, lock: lock}, nil
		}
	}
	return nil, fmt.Errorf("take a range of host ids: %w", ErrExhausted)
}

// path is the file of range n.
func (p *pool) path(n uint32) string { return filepath.Join(p.dir, strconv.Itoa(int(n))) }

// lock takes the file of range n; nil where somebody has it.
func (p *pool) lock(n uint32) (*os.File, error) {
	path := p.path(n)
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
		if errors.Is(err, fs.ErrNotExist) {
			if err = os.MkdirAll(p.dir, 0o700); err == nil {
				continue
			}
		}
		if err != nil {
			return nil, err
		}
		taken, err := tryLock(f, path)
		if taken {
			return f, nil
		}
		_ = f.Close() // empty
		if !errors.Is(err, errReplaced) {
			return nil, err
		}
	}
}

// errReplaced: the file was removed between open and lock, and locks nothing.
var errReplaced = errors.New("lock file was replaced")

// tryLock locks f unless somebody else has, and makes sure that path still is that file.
func tryLock(f *os.File, path string) (bool, error) {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return false, nil
	}
	if err != nil {
		return false, &fs.PathError{Op: "lock", Path: path, Err: err}
	}
	var held, named unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &held); err != nil {
		return false, &fs.PathError{Op: "stat", Path: path, Err: err}
	}
	if err := unix.Lstat(path, &named); err != nil || held.Ino != named.Ino || held.Dev != named.Dev {
		return false, errReplaced
	}
	return true, nil
}

// sweep removes files that nobody has locked.
func (p *pool) sweep() error {
	entries, err := os.ReadDir(p.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("sweep host id locks: %w", err)
	}
	for _, e := range entries {
		path := filepath.Join(p.dir, e.Name())
		f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOFOLLOW, 0)
		if err != nil {
			continue // somebody else was faster
		}
		if taken, _ := tryLock(f, path); taken {
			_ = os.Remove(path) // removed while locked: nobody can hold it
		}
		_ = f.Close() // empty
	}
	return nil
}

// Release gives it back. A nil Range is no range.
func (r *Range) Release() {
	if r == nil || r.lock == nil {
		return
	}
	_ = r.lock.Close() // empty
	r.lock = nil
}
