package engine

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/linux/idrange"
)

// Volume is a directory, mounted at Path, that starts with the content and ownership the image has there: of
// the container's own, or a named one.
type Volume struct {
	Path string // in the container
	Dir  string // on the host; filled when empty

	named *NamedVolume // nil: anonymous
}

// mount is the volume's mount.
func (v Volume) mount() specs.Mount {
	n := v.named
	if n == nil {
		n = &NamedVolume{}
	}
	return specs.Mount{Destination: v.Path, Type: "bind", Source: v.Dir, Options: n.options()}
}

// fill gives an anonymous volume what root has at v.Path: all of it or, killed on the way, nothing. Ids are
// stored as the container sees them: idBase is taken off.
func (v Volume) fill(root *os.File, idBase int) error {
	if done, err := notEmpty(v.Dir); err != nil || done {
		return err
	}
	part := v.Dir + partSuffix
	copied, err := v.copyAside(part, root, idBase)
	if err != nil || !copied {
		return err
	}
	if err := unix.Rename(part, v.Dir); err != nil {
		return &os.LinkError{Op: "rename", Old: part, New: v.Dir, Err: err}
	}
	return nil
}

// partSuffix marks a copy that is being made.
const partSuffix = ".part"

// copyAside copies what root has at v.Path to the new directory part. It reports whether there is such a
// directory in root.
func (v Volume) copyAside(part string, root *os.File, idBase int) (bool, error) {
	if err := os.RemoveAll(part); err != nil { // of somebody who was killed
		return false, err
	}
	from, err := openIn(root, v.Path)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer func() { _ = unix.Close(from) }() // only read
	err = os.Mkdir(part, 0o700)
	if err == nil {
		err = copyTree(from, part, idBase)
	}
	if err != nil {
		return false, errors.Join(err, os.RemoveAll(part))
	}
	return true, nil
}

func notEmpty(dir string) (bool, error) {
	f, err := os.Open(dir)
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }()
	_, err = f.Readdirnames(1)
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	return err == nil, err
}

// openIn opens a directory below root without leaving it.
func openIn(root *os.File, p string) (int, error) {
	return unix.Openat2(int(root.Fd()), strings.TrimPrefix(path.Clean("/"+p), "/")+"/.", &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
	})
}

// copyTree copies the directory open at from to the existing directory to. The source is a container's
// root before anything runs in it; names are walked by file descriptor all the same.
func copyTree(from int, to string, idBase int) error {
	c := &treeCopy{idBase: idBase, links: map[uint64]string{}}
	return c.directory(from, to)
}

// treeCopy is one copy: links remembers where an inode with several names went.
type treeCopy struct {
	idBase int
	links  map[uint64]string
}

// nobody is the id of files whose owner the container has no id for.
const nobody = 65534

// unshift is the container's id for one that its root's files show.
func (c *treeCopy) unshift(id uint32) int {
	if n := int(id) - c.idBase; c.idBase == 0 || n >= 0 && n < idrange.Size {
		return n
	}
	return nobody
}

func (c *treeCopy) directory(from int, to string) error {
	dup, err := unix.FcntlInt(uintptr(from), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return err
	}
	d := os.NewFile(uintptr(dup), to)
	defer func() { _ = d.Close() }()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := c.entry(from, name, filepath.Join(to, name)); err != nil {
			return fmt.Errorf("copy %s: %w", name, err)
		}
	}
	var st unix.Stat_t
	if err := unix.Fstat(from, &st); err != nil {
		return err
	}
	return c.attributes(inside(from, "."), to, &st)
}

// inside is a name for an entry of an open directory.
func inside(dir int, name string) string { return fmt.Sprintf("/proc/self/fd/%d/%s", dir, name) }

func (c *treeCopy) entry(dir int, name, to string) error {
	var st unix.Stat_t
	if err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	if first, ok := c.links[st.Ino]; ok && st.Nlink > 1 && st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return os.Link(first, to)
	}
	c.links[st.Ino] = to
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return c.subdirectory(dir, name, to)
	case unix.S_IFREG:
		if err := copyFile(dir, name, to); err != nil {
			return err
		}
	case unix.S_IFLNK:
		return c.symlink(dir, name, to, &st)
	default:
		if err := unix.Mknod(to, st.Mode, int(st.Rdev)); err != nil { //nolint:gosec // the kernel's own number
			return err
		}
	}
	return c.attributes(inside(dir, name), to, &st)
}

func (c *treeCopy) subdirectory(dir int, name, to string) error {
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.Mkdir(to, 0o700); err != nil {
		return err
	}
	return c.directory(fd, to)
}

func (c *treeCopy) symlink(dir int, name, to string, st *unix.Stat_t) error {
	buf := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(dir, name, buf)
	if err != nil {
		return err
	}
	if err := os.Symlink(string(buf[:n]), to); err != nil {
		return err
	}
	return os.Lchown(to, c.unshift(st.Uid), c.unshift(st.Gid))
}

// attributes sets owner, mode, extended attributes and times, in this order: chown clears set-id bits and
// capabilities, and everything the times.
func (c *treeCopy) attributes(from, to string, st *unix.Stat_t) error {
	if err := os.Lchown(to, c.unshift(st.Uid), c.unshift(st.Gid)); err != nil {
		return err
	}
	if err := unix.Chmod(to, st.Mode&0o7777); err != nil {
		return &fs.PathError{Op: "chmod", Path: to, Err: err}
	}
	if err := c.xattrs(from, to); err != nil {
		return err
	}
	return unix.UtimesNanoAt(unix.AT_FDCWD, to, []unix.Timespec{st.Atim, st.Mtim}, unix.AT_SYMLINK_NOFOLLOW)
}

func copyFile(dir int, name, to string) error {
	fd, err := unix.Openat(dir, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	from := os.NewFile(uintptr(fd), name)
	defer func() { _ = from.Close() }()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, from)
	return errors.Join(err, out.Close())
}
