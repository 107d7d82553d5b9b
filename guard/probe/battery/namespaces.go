package battery

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/guard/probe"
)

func namespaces() []trial {
	return []trial{
		{"mount", mount},
		{"new-mount-api", newMountAPI},
		{"remount-root", remountRoot},
		{"pivot-root", pivotRoot},
		{"chroot", chroot},
		{"mknod", mknod},
		{"unshare", unshare},
		{"user-namespace", userNamespace},
		{"clone3", clone3},
		{"setns", setns},
		{"open-by-handle", openByHandle},
		{"sethostname", setHostname},
	}
}

// mount mounts an empty tmpfs over a directory that nobody looks into, and takes it away.
func mount(s *scene) probe.Result {
	const flags = unix.MS_NOSUID | unix.MS_NODEV
	target := "/"
	for _, dir := range []string{"/mnt", "/media", "/srv", "/proc/tty", "/dev/shm"} {
		var st unix.Stat_t
		if unix.Stat(dir, &st) == nil {
			target = dir
			break
		}
	}
	err := unix.Mount("deckhand-probe", target, "tmpfs", flags, "size=4096")
	if err == nil {
		_ = unix.Unmount(target, unix.MNT_DETACH) // who may mount may unmount
	}
	return s.settle(err, decision{
		capabilities: []int{unix.CAP_SYS_ADMIN},
		witness:      func() error { return call(unix.SYS_MOUNT, nowhere, nowhere, nowhere, flags, 0) },
	})
}

// newMountAPI makes a tmpfs that is attached nowhere.
func newMountAPI(s *scene) probe.Result {
	d := decision{capabilities: []int{unix.CAP_SYS_ADMIN}, present: kernel(5, 2)}
	fd, err := unix.Fsopen("tmpfs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return s.settle(err, d)
	}
	defer func() { _ = unix.Close(fd) }() // the file system goes with it
	if err := unix.FsconfigCreate(fd); err != nil {
		return s.settle(err, d)
	}
	return s.settle(closing(unix.Fsmount(fd, unix.FSMOUNT_CLOEXEC, 0)), d)
}

// remountRoot makes the root writable, and what it was.
func remountRoot(s *scene) probe.Result {
	var st unix.Statfs_t
	if err := unix.Statfs("/", &st); err != nil {
		return s.settle(err, decision{by: probe.BySeccomp})
	}
	flags := uintptr(unix.MS_REMOUNT | unix.MS_BIND)
	for _, f := range []uintptr{unix.MS_NOSUID, unix.MS_NODEV, unix.MS_NOEXEC, unix.MS_NOATIME, unix.MS_NODIRATIME} {
		flags |= uintptr(st.Flags) & f //nolint:gosec // statfs has the same bits
	}
	const relatime = 0x1000 // ST_RELATIME
	if st.Flags&relatime != 0 {
		flags |= unix.MS_RELATIME
	}
	err := unix.Mount("", "/", "", flags, "")
	if err == nil && st.Flags&unix.MS_RDONLY != 0 {
		_ = unix.Mount("", "/", "", flags|unix.MS_RDONLY, "") // who may take it away may give it
	}
	return s.settle(err, decision{
		capabilities: []int{unix.CAP_SYS_ADMIN},
		absent:       []syscall.Errno{unix.EINVAL}, // the root is no mount
		witness:      func() error { return call(unix.SYS_MOUNT, nowhere, nowhere, nowhere, flags, 0) },
	})
}

// pivotRoot changes the root of a mount namespace of its own. Where it gets none it cannot succeed: the root is busy,
// which is looked at after privileges.
func pivotRoot(s *scene) probe.Result {
	d := decision{capabilities: []int{unix.CAP_SYS_ADMIN}, passed: []syscall.Errno{unix.EBUSY, unix.EINVAL}}
	if unix.Unshare(unix.CLONE_NEWNS) != nil {
		return s.settle(unix.PivotRoot("/", "/"), d)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return s.settle(err, d)
	}
	if err := unix.Mount("deckhand-probe", "/proc", "tmpfs", 0, "size=4096"); err != nil {
		return s.settle(unix.PivotRoot("/", "/"), d)
	}
	if err := unix.Chdir("/proc"); err != nil {
		return s.settle(err, d)
	}
	return s.settle(unix.PivotRoot(".", "."), d)
}

// chroot changes the root of this process to what it is.
func chroot(s *scene) probe.Result {
	return s.settle(unix.Chroot("/"), decision{
		capabilities: []int{unix.CAP_SYS_CHROOT},
		witness:      func() error { return call(unix.SYS_CHROOT, nowhere) },
	})
}

// mknod makes a second /dev/null, and removes it.
func mknod(s *scene) probe.Result {
	const mode = unix.S_IFCHR | 0o600
	dirs := writable()
	if len(dirs) == 0 {
		dirs = []string{"/dev"}
	}
	name := ownName(dirs[0])
	err := easiest(mknods(name, mode, int(unix.Mkdev(1, 3)))) //nolint:gosec // small
	if err == nil {
		_ = unix.Unlink(name) // who may make it may remove it
	}
	return s.settle(err, decision{
		capabilities: []int{unix.CAP_MKNOD},
		initial:      true,
		by:           probe.ByOwner,
		witness:      func() error { return easiest(mknodsNowhere(mode)) },
	})
}

// unshare gives this process mounts and a host name of its own.
func unshare(s *scene) probe.Result {
	const flags = unix.CLONE_NEWNS | unix.CLONE_NEWUTS
	return s.settle(unix.Unshare(flags), decision{
		capabilities: []int{unix.CAP_SYS_ADMIN},
		witness:      func() error { return unix.Unshare(flags | 1) }, // no such flag
	})
}

// userNamespace starts a process in a user namespace of its own, where it has all capabilities. It does not get
// beyond its start: its program does not exist.
func userNamespace(s *scene) probe.Result {
	_, err := syscall.ForkExec("/.deckhand-probe-none", []string{"none"}, &syscall.ProcAttr{
		Sys: &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER},
	})
	return s.settle(err, decision{
		by:     probe.ByKernel, // a limit, or a security module
		passed: []syscall.Errno{unix.ENOENT, unix.ENOTDIR, unix.EACCES},
		witness: func() error { // the two exclude each other
			return call(unix.SYS_CLONE, unix.CLONE_NEWUSER|unix.CLONE_FS|uintptr(unix.SIGCHLD))
		},
	})
}

// clone3 asks for the same in a way that filters cannot look into.
func clone3(s *scene) probe.Result {
	args := [8]uint64{0: unix.CLONE_NEWUSER, 4: uint64(unix.SIGCHLD)} // flags, exit signal
	_ = pin(s, &args)
	err := cloneAndExit(&args)
	return s.settle(err, decision{
		by:      probe.ByKernel,
		present: kernel(5, 3),
		witness: func() error { return call(unix.SYS_CLONE3, nowhere, 0) }, // no such size
	})
}

// setns enters the namespace that it is in.
func setns(s *scene) probe.Result {
	fd, err := unix.Open("/proc/self/ns/uts", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return s.settle(err, byFile(unix.O_RDONLY))
	}
	defer func() { _ = unix.Close(fd) }() // only named
	return s.settle(unix.Setns(fd, unix.CLONE_NEWUTS), decision{
		capabilities: []int{unix.CAP_SYS_ADMIN},
		witness:      func() error { return unix.Setns(-1, unix.CLONE_NEWUTS) },
	})
}

// openByHandle opens a file by the number it has in its file system, which may be the machine's own.
func openByHandle(s *scene) probe.Result {
	d := decision{capabilities: []int{unix.CAP_DAC_READ_SEARCH}, initial: true, absent: []syscall.Errno{unix.EOPNOTSUPP, unix.ESTALE}}
	refusal := absent("no file system here gives handles")
	for _, name := range []string{"/etc/hosts", "/etc/resolv.conf", "/etc/hostname", "/", "/dev/shm", "/tmp", "/dev"} {
		handle, _, err := unix.NameToHandleAt(unix.AT_FDCWD, name, 0)
		if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS) {
			refusal = s.settle(err, decision{by: probe.BySeccomp, present: kernel(2, 6)})
		}
		if err != nil {
			continue
		}
		fd, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			continue
		}
		err = closing(unix.OpenByHandleAt(fd, handle, unix.O_RDONLY|unix.O_CLOEXEC))
		_ = unix.Close(fd) // only named
		r := s.settle(err, d)
		r.Detail = name
		return r
	}
	return refusal
}

// setHostname sets the name that the host has.
func setHostname(s *scene) probe.Result {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return s.settle(err, decision{by: probe.BySeccomp})
	}
	return s.settle(unix.Sethostname([]byte(unix.ByteSliceToString(u.Nodename[:]))), decision{capabilities: []int{unix.CAP_SYS_ADMIN}})
}
