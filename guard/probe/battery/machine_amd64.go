package battery

import (
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/guard/probe"
)

// smallestMachine is EM_X86_64.
const smallestMachine = 62

// smallestCode is mov $60, %eax; xor %edi, %edi; syscall: exit(0).
const smallestCode = "\xb8\x3c\x00\x00\x00\x31\xff\x0f\x05"

// ioPorts gives this process all I/O ports, and gives them back. None is used.
func ioPorts(s *scene) probe.Result {
	err := call(unix.SYS_IOPL, 3)
	if err == nil {
		_ = call(unix.SYS_IOPL, 0) // the process ends anyway
	}
	return s.settle(err, decision{
		capabilities: []int{unix.CAP_SYS_RAWIO},
		initial:      true,
		optional:     true,
		witness:      func() error { return call(unix.SYS_IOPL, 4) },
	})
}

// The calls that this architecture has besides those with a directory's descriptor: a filter may know only one of them.

func renames(from, to string) []func() error {
	return []func() error{
		func() error { return unix.Renameat(unix.AT_FDCWD, from, unix.AT_FDCWD, to) },
		func() error { return unix.Rename(from, to) },
	}
}

func renamesNowhere() []func() error {
	return []func() error{
		func() error { return call(unix.SYS_RENAMEAT, 0, nowhere, 0, nowhere) },
		func() error { return call(unix.SYS_RENAME, nowhere, nowhere) },
	}
}

func links(from, to string) []func() error {
	return []func() error{
		func() error { return unix.Linkat(unix.AT_FDCWD, from, unix.AT_FDCWD, to, 0) },
		func() error { return unix.Link(from, to) },
	}
}

func linksNowhere() []func() error {
	return []func() error{
		func() error { return call(unix.SYS_LINKAT, 0, nowhere, 0, nowhere, 0) },
		func() error { return call(unix.SYS_LINK, nowhere, nowhere) },
	}
}

func chmods(name string, mode uint32) []func() error {
	return []func() error{
		func() error { return unix.Fchmodat(unix.AT_FDCWD, name, mode, 0) },
		func() error { return unix.Chmod(name, mode) },
	}
}

func chmodsNowhere() []func() error {
	return []func() error{
		func() error { return call(unix.SYS_FCHMODAT, 0, nowhere, 0) },
		func() error { return call(unix.SYS_CHMOD, nowhere, 0) },
	}
}

func chowns(name string, uid int) []func() error {
	return []func() error{
		func() error { return unix.Fchownat(unix.AT_FDCWD, name, uid, -1, unix.AT_SYMLINK_NOFOLLOW) },
		func() error { return unix.Lchown(name, uid, -1) },
		func() error { return unix.Chown(name, uid, -1) },
	}
}

func chownsNowhere() []func() error {
	return []func() error{
		func() error { return call(unix.SYS_FCHOWNAT, 0, nowhere, 0, 0, unix.AT_SYMLINK_NOFOLLOW) },
		func() error { return call(unix.SYS_LCHOWN, nowhere, 0, 0) },
		func() error { return call(unix.SYS_CHOWN, nowhere, 0, 0) },
	}
}

func mknods(name string, mode uint32, device int) []func() error {
	return []func() error{
		func() error { return unix.Mknodat(unix.AT_FDCWD, name, mode, device) },
		func() error { return unix.Mknod(name, mode, device) },
	}
}

func mknodsNowhere(mode uint32) []func() error {
	return []func() error{
		func() error { return call(unix.SYS_MKNODAT, 0, nowhere, uintptr(mode), 0) },
		func() error { return call(unix.SYS_MKNOD, nowhere, uintptr(mode), 0) },
	}
}
