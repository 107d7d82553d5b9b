package battery

import (
	"errors"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/guard/probe"
)

// byFile decides over files: the owner and mode, or the mount.
func byFile(flags int) decision {
	return decision{
		by:     probe.ByOwner,
		absent: []syscall.Errno{unix.ENOENT, unix.ENOTDIR, unix.ENXIO, unix.ENODEV},
		passed: []syscall.Errno{unix.ETXTBSY, unix.EBUSY}, // looked at when access was granted
		witness: func() error {
			return call(unix.SYS_OPENAT, uintptr(^uint32(99)), nowhere, uintptr(flags))
		},
	}
}

// open opens a file and closes it: nothing is read or written. What a runtime has masked is not there.
func open(name string, flags int) error {
	fd, err := unix.Open(name, flags|unix.O_CLOEXEC|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }() // nothing was written
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err == nil && st.Mode&unix.S_IFMT == unix.S_IFCHR && st.Rdev == unix.Mkdev(1, 3) {
		return errMasked
	}
	return nil
}

// errMasked is a file over which a runtime has mounted /dev/null.
var errMasked = errors.New("masked")

// opening is the result of opening a file.
func (s *scene) opening(name string, flags int) probe.Result {
	err := open(name, flags)
	if errors.Is(err, errMasked) {
		return probe.Result{Verdict: probe.Denied, By: probe.ByMasked, Detail: name}
	}
	r := s.settle(err, byFile(flags))
	r.Detail = name
	return r
}

// best is the worst news: allowed before denied before absent.
func best(results []probe.Result, otherwise string) probe.Result {
	for _, v := range []probe.Verdict{probe.Allowed, probe.Denied, probe.Failed, probe.Absent} {
		if i := slices.IndexFunc(results, func(r probe.Result) bool { return r.Verdict == v }); i >= 0 && v != probe.Absent {
			return results[i]
		}
	}
	return absent(otherwise)
}

// openings tries files one after the other, until one can be opened.
func (s *scene) openings(names []string, flags int, otherwise string) probe.Result {
	var results []probe.Result
	for _, name := range names {
		results = append(results, s.opening(name, flags))
		if results[len(results)-1].Verdict == probe.Allowed {
			break
		}
	}
	return best(results, otherwise)
}

// create makes a file without a name in a directory, or where the file system cannot, one that is removed at once.
func create(dir string) (fd int, err error) {
	fd, err = unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o700)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EISDIR) || errors.Is(err, unix.EINVAL) {
		name := ownName(dir)
		fd, err = unix.Open(name, unix.O_CREAT|unix.O_EXCL|unix.O_RDWR|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o700)
		if err == nil {
			_ = unix.Unlink(name) // who may make it may remove it
		}
	}
	return fd, err
}

// ownName is a name that nobody else uses.
func ownName(dir string) string {
	return path.Join(dir, ".deckhand-probe-"+strconv.Itoa(os.Getpid()))
}

// creating is the result of making a file in a directory.
func (s *scene) creating(dir string) probe.Result {
	r := s.settle(closing(create(dir)), byFile(unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC))
	r.Detail = dir
	return r
}

// creatings tries directories, and tells all in which a file could be made.
func (s *scene) creatings(dirs []string, otherwise string) probe.Result {
	var results []probe.Result
	var open []string
	for _, dir := range dirs {
		r := s.creating(dir)
		if r.Verdict == probe.Allowed {
			open = append(open, dir)
		}
		results = append(results, r)
	}
	r := best(results, otherwise)
	if len(open) > 0 {
		r.Detail = strings.Join(open, ", ")
	}
	return r
}

// placing is the result of opening a file for writing, or where it does not exist, of making one in its directory.
func (s *scene) placing(name string) probe.Result {
	r := s.opening(name, unix.O_WRONLY)
	if r.Verdict == probe.Absent {
		r = s.creating(path.Dir(name))
	}
	return r
}

// programDirs are the directories of PATH, and what it usually is where it is not set.
func programDirs() []string {
	value := os.Getenv("PATH")
	if value == "" {
		value = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	}
	var dirs []string
	for dir := range strings.SplitSeq(value, ":") {
		if dir != "" && !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// program finds a program in PATH; empty: there is none.
func program(name string) string {
	if strings.Contains(name, "/") {
		return name
	}
	for _, dir := range programDirs() {
		var st unix.Stat_t
		if p := path.Join(dir, name); unix.Stat(p, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFREG && st.Mode&0o111 != 0 {
			return p
		}
	}
	return ""
}

// writable gives the directories in which this process can make files.
func writable() []string {
	candidates := []string{"/tmp", "/dev/shm", "/var/tmp", ".", os.Getenv("HOME"), "/run", "/dev", "/var/lib", "/var/cache", "/var/log", "/etc", "/"}
	mounts, err := read("/proc/self/mountinfo")
	if err == nil {
		for line := range strings.Lines(mounts) {
			if f := strings.Fields(line); len(f) > 4 && !kernelOwn(f[4]) {
				candidates = append(candidates, f[4])
			}
		}
	}
	var dirs []string
	for _, dir := range candidates {
		if dir == "" || slices.Contains(dirs, dir) {
			continue
		}
		var st unix.Stat_t
		if unix.Stat(dir, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR && closing(create(dir)) == nil {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// kernelOwn reports whether a mount holds no files but the kernel's.
func kernelOwn(dir string) bool {
	return strings.HasPrefix(dir, "/proc") || strings.HasPrefix(dir, "/sys") || strings.HasPrefix(dir, "/dev/pts")
}

// ownFile is a file of this process: in memory, or if that is not allowed, in any directory.
func ownFile() (fd int, err error) {
	fd, err = unix.MemfdCreate("deckhand-probe", unix.MFD_CLOEXEC)
	if err == nil {
		return fd, nil
	}
	for _, dir := range writable() {
		if fd, err := create(dir); err == nil {
			return fd, nil
		}
	}
	return -1, err
}

// rootFile is a file of root's that is no mount: one of those that nearly every image has, or the root directory.
func rootFile() string {
	var top unix.Stat_t
	if unix.Lstat("/", &top) != nil {
		return "/"
	}
	for _, name := range []string{"/etc/passwd", "/etc/group", "/etc/issue", "/usr/lib/os-release", "/etc/os-release", "/etc/profile"} {
		var st unix.Stat_t
		if unix.Lstat(name, &st) == nil && st.Uid == 0 && st.Mode&unix.S_IFMT == unix.S_IFREG && st.Dev == top.Dev {
			return name
		}
	}
	return "/"
}
