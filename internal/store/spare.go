package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// The directory of a container that left nothing behind is kept for the next one, since making files is
// what a short-lived container's start spends most of its time on: dearest of all on ext4 without a
// journal, which will not use a deleted file's inode again for minutes and passes over each of them.

// maxSpares bounds how many directories are kept.
const maxSpares = 8

// spareAge is how long a spare rests: the kernel takes a moment to let go of the overlay mount on it.
const spareAge = 20 * time.Millisecond

// spareDir holds them, by the time they were retired.
const spareDir = "spare"

// RecycleContainer is RemoveContainer for a container whose processes have all ended: its directory serves
// the next one if nothing was written to it. The caller holds the lock.
func (s *Store) RecycleContainer(id string) error {
	c, err := s.readContainer(id)
	if err != nil {
		return err
	}
	if err := s.hideContainer(id, c); err != nil {
		return fmt.Errorf("remove container: %w", err)
	}
	if !s.retire(id) {
		return s.dropContainer(id)
	}
	return removeFile(s.path("live", id))
}

// retire makes a hidden container's directory a spare. Where it cannot be one it is left as it is, but for
// what overlayfs left in the work directory.
func (s *Store) retire(id string) bool {
	spares, err := readNames(s.path(spareDir))
	if errors.Is(err, os.ErrNotExist) {
		err = os.Mkdir(s.path(spareDir), 0o700)
	}
	dir := s.ContainerDir(id)
	if err != nil || len(spares) >= maxSpares || !reusable(dir) {
		return false
	}
	name := strconv.FormatInt(s.now().UnixNano(), 10) + "-" + id[:12]
	return os.Rename(dir, s.path(spareDir, name)) == nil
}

// takeSpare moves the oldest spare to dir. The caller holds the lock of containers.
func (s *Store) takeSpare(dir string) bool {
	spares, err := readNames(s.path(spareDir))
	if err != nil || len(spares) == 0 {
		return false
	}
	oldest := slices.Min(spares)
	nanos, _ := strconv.ParseInt(oldest[:max(0, len(oldest)-len("-123456789012"))], 10, 64) // else: old enough
	if age := s.now().UnixNano() - nanos; age < spareAge.Nanoseconds() {
		return false
	}
	return os.Rename(s.path(spareDir, oldest), dir) == nil
}

// reusable clears a container's directory and reports whether nothing in it tells of the container. What
// the container could reach is the upper directory and three files that were mounted on its /etc.
func reusable(dir string) bool {
	names, err := readNames(dir)
	if err != nil {
		return false
	}
	for _, name := range names {
		p := filepath.Join(dir, name)
		ok := false
		switch name {
		case "lock", "container.new", "state.json.new":
			ok = true
		case "state.json":
			ok = os.Rename(p, p+".new") == nil // to be overwritten
		case "hosts", "hostname", "resolv.conf":
			ok = pristine(p, unix.S_IFREG|0o644)
		case "upper":
			ok = pristine(p, unix.S_IFDIR|0o755) && isEmpty(p)
		case "work":
			ok = emptyDir(p) == nil
		}
		if !ok {
			return false
		}
	}
	return true
}

// pristine reports whether the file is root's, of this type and mode, with one name (a directory: no
// subdirectory), and without extended attributes or flags.
func pristine(path string, mode uint32) bool {
	f, err := open(path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }() // only looked at
	fd := int(f.Fd())
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode != mode || st.Uid != 0 || st.Gid != 0 {
		return false
	}
	if n, err := unix.Flistxattr(fd, nil); n != 0 || err != nil && !errors.Is(err, unix.ENOTSUP) {
		return false
	}
	const extents, index = 0x80000, 0x1000 // how ext4 stores it, not what somebody set
	flags, err := unix.IoctlGetUint32(fd, unix.FS_IOC_GETFLAGS)
	return err != nil || flags&^(extents|index) == 0
}

func isEmpty(dir string) bool {
	names, err := readNames(dir)
	return err == nil && len(names) == 0
}

// emptyDir removes what is in a directory.
func emptyDir(dir string) error {
	names, err := readNames(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}
