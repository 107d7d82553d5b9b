package runtime

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// highFd is where descriptors go that must survive a fork: below it, the shuffling of the child's
// files could overwrite them (golang.org/issue/61751).
const highFd = 100

// sealedExe is a view of our own executable that nobody can write to, whatever his rights: a
// container's process would otherwise reach the host's file through /proc/<pid>/exe of the process
// that becomes it (CVE-2019-5736).
type sealedExe struct {
	fd    int
	mount int // the overlay's descriptor, -1 without one: closing it unmounts, which takes its time
}

// openSealed opens the view: an overlay without an upper layer, where
// overlays cannot be had the file as it is if it is out of the container's reach anyway, or a sealed
// copy in memory.
func openSealed() (*sealedExe, error) {
	s := &sealedExe{mount: -1}
	err := s.openOverlay()
	if err != nil {
		s.fd, err = foreignExe()
	}
	if err != nil {
		s.fd, err = memoryExe()
	}
	if err != nil {
		return nil, fmt.Errorf("seal the executable: %w", err)
	}
	low := s.fd
	s.fd, err = unix.FcntlInt(uintptr(low), unix.F_DUPFD_CLOEXEC, highFd)
	closeFd(low)
	if err != nil {
		s.close()
		return nil, fmt.Errorf("duplicate a descriptor: %w", err)
	}
	return s, nil
}

func (s *sealedExe) close() {
	for _, fd := range [...]int{s.fd, s.mount} {
		if fd >= 0 {
			closeFd(fd)
		}
	}
}

// openOverlay opens the executable in a read-only overlay of its directory. The second layer, which
// overlayfs insists on, is a directory that is never above or below it, and without mounts below it:
// in an ordinary user's mount namespace these are locked, and their parent cannot be a layer.
func (s *sealedExe) openOverlay() error {
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return err
	}
	dir, name := filepath.Split(exe)
	if strings.HasSuffix(name, " (deleted)") || strings.HasPrefix(dir, "/sys/") {
		return unix.ENOENT
	}
	if s.mount, err = readOnlyOverlay(dir, "/sys/module"); err != nil {
		return err
	}
	s.fd, err = unix.Openat(s.mount, name, unix.O_PATH|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	if err := sameExe(s.fd); err != nil {
		closeFd(s.fd)
		return err
	}
	return nil
}

func readOnlyOverlay(upper, lower string) (int, error) {
	fs, err := unix.Fsopen("overlay", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, err
	}
	defer closeFd(fs)
	for _, o := range [...][2]string{{"lowerdir+", upper}, {"lowerdir+", lower}, {"xino", "off"}} {
		if err := unix.FsconfigSetString(fs, o[0], o[1]); err != nil {
			return -1, err
		}
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, err
	}
	return unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_RDONLY|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOSUID)
}

// foreignExe opens the executable itself, where we are an ordinary user and it is the real root's: our
// containers have no other ids than our own and our subordinate ones, and may not write to it.
func foreignExe() (int, error) {
	fd, err := unix.Open("/proc/self/exe", unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		closeFd(fd)
		return -1, err
	}
	if os.Geteuid() == 0 || st.Uid != 0 || st.Gid != 0 && st.Mode&0o020 != 0 || st.Mode&0o002 != 0 {
		closeFd(fd)
		return -1, unix.EPERM
	}
	return fd, nil
}

// sameExe makes sure that fd is the file we run, not one that took its name since, and that it can be
// executed by somebody else, as the user namespace's root is.
func sameExe(fd int) error {
	var ours, found unix.Stat_t
	if err := unix.Stat("/proc/self/exe", &ours); err != nil {
		return err
	}
	if err := unix.Fstat(fd, &found); err != nil {
		return err
	}
	if ours.Ino != found.Ino || ours.Size != found.Size || ours.Mtim != found.Mtim {
		return unix.ESTALE
	}
	if found.Mode&0o001 == 0 {
		return unix.EACCES
	}
	return nil
}

// memoryExe copies the executable to a memfd and seals it.
func memoryExe() (int, error) {
	src, err := os.Open("/proc/self/exe")
	if err != nil {
		return -1, err
	}
	defer func() { _ = src.Close() }() // read only
	fd, err := unix.MemfdCreate("deckhand", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_EXEC)
	if err != nil {
		fd, err = unix.MemfdCreate("deckhand", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING) // before Linux 6.3
	}
	if err != nil {
		return -1, err
	}
	mem := os.NewFile(uintptr(fd), "deckhand")
	defer func() { _ = mem.Close() }() // a duplicate is returned
	if _, err := src.WriteTo(mem); err != nil {
		return -1, err
	}
	if err := unix.Fchmod(fd, 0o555); err != nil {
		return -1, err
	}
	seals := unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		return -1, err
	}
	// A descriptor open for writing would keep the kernel from executing the file.
	return unix.Open("/proc/self/fd/"+strconv.Itoa(fd), unix.O_RDONLY|unix.O_CLOEXEC, 0)
}

func closeFd(fd int) { _ = unix.Close(fd) } // only for descriptors that hold no unwritten data
