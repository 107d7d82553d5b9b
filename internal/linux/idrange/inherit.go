package idrange

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// ErrNotHeld says that a process does not hold a range (any more).
var ErrNotHeld = errors.New("the process does not hold the range")

// Inherit shares the range with the process that acquired it: nobody else gets it before both have released it. It
// needs the right to trace that process.
func Inherit(holder int, hostBase uint32) (*Range, error) {
	p, err := defaultPool()
	if err != nil {
		return nil, err
	}
	return p.inherit(holder, hostBase)
}

// inherit duplicates the holder's descriptor: the lock is that of the open file, not of the process.
func (p *pool) inherit(holder int, hostBase uint32) (*Range, error) {
	if hostBase < p.first || (hostBase-p.first)%Size != 0 {
		return nil, fmt.Errorf("host id %d begins no range", hostBase)
	}
	path := p.path((hostBase - p.first) / Size)
	fd, err := unix.PidfdOpen(holder, 0)
	if err != nil {
		return nil, fmt.Errorf("open process %d: %w", holder, err)
	}
	defer func() { _ = unix.Close(fd) }() // a pidfd
	n, err := descriptorOf(holder, path)
	if err != nil {
		return nil, err
	}
	lock, err := unix.PidfdGetfd(fd, n, 0)
	if err != nil {
		return nil, fmt.Errorf("take a descriptor of process %d: %w", holder, err)
	}
	f := os.NewFile(uintptr(lock), path)
	var held, named unix.Stat_t // the pid, or the descriptor, may have become another's
	if unix.Fstat(lock, &held) != nil || unix.Lstat(path, &named) != nil || held.Ino != named.Ino || held.Dev != named.Dev {
		_ = f.Close() // not what it was to be
		return nil, ErrNotHeld
	}
	return &Range{HostBase: hostBase, lock: f}, nil
}

// descriptorOf finds a process's descriptor of a file.
func descriptorOf(pid int, path string) (int, error) {
	dir := filepath.Join("/proc", strconv.Itoa(pid), "fd")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, fmt.Errorf("find the range of process %d: %w", pid, err)
	}
	for _, e := range entries {
		if to, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil && to == path {
			return strconv.Atoi(e.Name())
		}
	}
	return 0, ErrNotHeld
}
