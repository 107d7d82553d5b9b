package battery

import (
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/guard/probe"
)

// smallestMachine is EM_AARCH64.
const smallestMachine = 183

// smallestCode is mov x8, #93; mov x0, #0; svc #0: exit(0).
const smallestCode = "\xa8\x0b\x80\xd2\x00\x00\x80\xd2\x01\x00\x00\xd4"

func ioPorts(*scene) probe.Result { return absent("this architecture has no I/O ports") }

// This architecture has only the calls with a directory's descriptor.

func renames(from, to string) []func() error {
	return []func() error{
		func() error { return unix.Renameat(unix.AT_FDCWD, from, unix.AT_FDCWD, to) },
	}
}

func renamesNowhere() []func() error {
	return []func() error{
		func() error { return call(unix.SYS_RENAMEAT, 0, nowhere, 0, nowhere) },
	}
}

func links(from, to string) []func() error {
	return []func() error{
		func() error { return unix.Linkat(unix.AT_FDCWD, from, unix.AT_FDCWD, to, 0) },
	}
}

func linksNowhere() []func() error {
	return []func() error{
		func() error { return call(unix.SYS_LINKAT, 0, nowhere, 0, nowhere, 0) },
	}
}

func chmods(name string, mode uint32) []func() error {
	return []func() error{
		func() error { return unix.Fchmodat(unix.AT_FDCWD, name, mode, 0) },
	}
}

func chmodsNowhere() []func() error {
	return []func() error{
		func() error { return call(unix.SYS_FCHMODAT, 0, nowhere, 0) },
	}
}

func chowns(name string, uid int) []func() error {
	return []func() error{
		func() error { return unix.Fchownat(unix.AT_FDCWD, name, uid, -1, unix.AT_SYMLINK_NOFOLLOW) },
	}
}

func chownsNowhere() []func() error {
	return []func() error{
		func() error { return call(unix.SYS_FCHOWNAT, 0, nowhere, 0, 0, unix.AT_SYMLINK_NOFOLLOW) },
	}
}

func mknods(name string, mode uint32, device int) []func() error {
	return []func() error{
		func() error { return unix.Mknodat(unix.AT_FDCWD, name, mode, device) },
	}
}

func mknodsNowhere(mode uint32) []func() error {
	return []func() error{
		func() error { return call(unix.SYS_MKNODAT, 0, nowhere, uintptr(mode), 0) },
	}
}
