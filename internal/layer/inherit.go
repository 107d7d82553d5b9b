package layer

import (
	"errors"
	"fmt"
	"path"
	"slices"

	"golang.org/x/sys/unix"
)

// InheritDirs gives the implicit directories of the layer in dir (Extracted.Implicit) the owner, mode,
// times and attributes they have in the layers below, topmost first; with none below, plain root's.
func InheritDirs(dir string, implicit, lower []string, o Options) error {
	if len(implicit) == 0 {
		return nil
	}
	target, err := openRoot(dir)
	if err != nil {
		return err
	}
	defer target.close()
	// Deepest first: setting a directory's times must come after those below it are done.
	for _, name := range slices.Backward(implicit) {
		if err := inheritDir(target, name, lower, o); err != nil {
			return fmt.Errorf("inherit directory %q: %w", name, err)
		}
	}
	return nil
}

func inheritDir(target *dirCache, name string, lower []string, o Options) error {
	parent, err := target.get(path.Dir(name))
	if err != nil {
		return err
	}
	e := extractor{opts: o}
	base := path.Base(name)
	for _, layer := range lower {
		found, err := e.inheritFrom(parent, base, layer, name)
		if found || err != nil {
			return err
		}
	}
	return setTime(parent, base, unix.Timespec{})
}

// inheritFrom reports found if the search ends here: the layer has the directory, or hides those below.
func (e *extractor) inheritFrom(parent int, base, layer, name string) (found bool, err error) {
	root, err := unix.Open(layer, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false, fmt.Errorf("open %s: %w", layer, err)
	}
	defer func() { _ = unix.Close(root) }() // a path descriptor: nothing to lose
	fd, err := openIn(root, name, unix.O_PATH|unix.O_NOFOLLOW)
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	if errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return true, setTime(parent, base, unix.Timespec{})
	}
	if err != nil {
		return false, err
	}
	defer func() { _ = unix.Close(fd) }() // a path descriptor: nothing to lose
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return false, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return true, setTime(parent, base, unix.Timespec{})
	}
	return true, e.copyMetadata(parent, base, fd, &st)
}

func (e *extractor) copyMetadata(parent int, base string, from int, st *unix.Stat_t) error {
	err := unix.Fchownat(parent, base, int(st.Uid), int(st.Gid), unix.AT_SYMLINK_NOFOLLOW)
	if err != nil && !e.opts.TolerateOwner {
		return fmt.Errorf("set owner %d:%d: %w", st.Uid, st.Gid, err)
	}
	values, err := readXattrs(procPath(from, "."), portable)
	if err != nil {
		return err
	}
	for key, value := range values {
		if err := unix.Lsetxattr(procPath(parent, base), key, value, 0); err != nil {
			return fmt.Errorf("set attribute %s: %w", key, err)
		}
	}
	if err := unix.Fchmodat(parent, base, st.Mode&0o7777, 0); err != nil {
		return fmt.Errorf("set mode: %w", err)
	}
	return setTime(parent, base, unix.Timespec{Sec: st.Mtim.Sec, Nsec: st.Mtim.Nsec})
}
