// Package raw has the system calls a container's first process makes, on plain file descriptors.
//
// It depends on nothing but package syscall. Go initialises packages in the order of their import
// paths once their imports are done, so code that needs no more than this package runs before the
// init functions of every larger dependency of the program; golang.org/x/sys/unix would wait for
// half of the standard library. That is worth half a millisecond at each start of a container.
// Everything else uses golang.org/x/sys/unix.
package raw

import (
	"syscall"
	"unsafe"
)

// System call numbers above 423 are the same on every architecture.
const (
	sysOpenTree     = 428
	sysMoveMount    = 429
	sysFsopen       = 430
	sysFsconfig     = 431
	sysFsmount      = 432
	sysFspick       = 433
	sysCloseRange   = 436
	sysOpenat2      = 437
	sysFaccessat2   = 439
	sysMountSetattr = 442
)

// Flags of the system calls below, named as in the kernel's headers.
const (
	AT_FDCWD            = -0x64
	AT_EMPTY_PATH       = 0x1000
	AT_SYMLINK_NOFOLLOW = 0x100
	AT_EACCESS          = 0x200
	AT_RECURSIVE        = 0x8000

	O_PATH = 0x200000

	OPEN_TREE_CLONE = 1

	RESOLVE_NO_MAGICLINKS = 0x02
	RESOLVE_NO_SYMLINKS   = 0x04
	RESOLVE_IN_ROOT       = 0x10

	MOUNT_ATTR_RDONLY = 0x01
	MOUNT_ATTR_NOSUID = 0x02
	MOUNT_ATTR_NODEV  = 0x04
	MOUNT_ATTR_NOEXEC = 0x08
	MOUNT_ATTR_IDMAP  = 0x100000

	fsopenCloexec = 1

	fsconfigSetFlag     = 0
	fsconfigSetString   = 1
	fsconfigCreate      = 6
	fsconfigReconfigure = 7

	fspickCloexec   = 1
	fspickEmptyPath = 8

	moveMountFromEmpty = 0x04
	moveMountToEmpty   = 0x40

	closeRangeCloexec = 4
)

// MountAttr is the kernel's struct mount_attr.
type MountAttr struct {
	Set, Clear, Propagation, UsernsFd uint64
}

// Fsopen starts the configuration of a new filesystem (fsopen(2)).
func Fsopen(fstype string) (int, error) {
	p, err := syscall.BytePtrFromString(fstype)
	if err != nil {
		return -1, err
	}
	return fd(syscall.Syscall(sysFsopen, uintptr(unsafe.Pointer(p)), fsopenCloexec, 0))
}

// FsconfigFlag sets a valueless option.
func FsconfigFlag(fs int, key string) error {
	k, err := syscall.BytePtrFromString(key)
	if err != nil {
		return err
	}
	return fsconfig(fs, fsconfigSetFlag, k, nil)
}

// FsconfigString sets an option to a string.
func FsconfigString(fs int, key, value string) error {
	k, err := syscall.BytePtrFromString(key)
	if err != nil {
		return err
	}
	v, err := syscall.BytePtrFromString(value)
	if err != nil {
		return err
	}
	return fsconfig(fs, fsconfigSetString, k, v)
}

// FsconfigCreate makes the filesystem.
func FsconfigCreate(fs int) error { return fsconfig(fs, fsconfigCreate, nil, nil) }

// Fspick takes the filesystem whose root fd is, to change its configuration (fspick(2)).
func Fspick(dir int) (int, error) {
	return fd(syscall.Syscall(sysFspick, uintptr(dir), uintptr(unsafe.Pointer(new(byte))), fspickCloexec|fspickEmptyPath))
}

// FsconfigReconfigure puts a configuration into force.
func FsconfigReconfigure(fs int) error { return fsconfig(fs, fsconfigReconfigure, nil, nil) }

func fsconfig(fs int, cmd uintptr, key, value *byte) error {
	_, _, e := syscall.Syscall6(sysFsconfig, uintptr(fs), cmd, uintptr(unsafe.Pointer(key)), uintptr(unsafe.Pointer(value)), 0, 0)
	return errno(e)
}

// Fsmount makes a detached mount of a configured filesystem; attrs are MOUNT_ATTR_*.
func Fsmount(fs int, attrs uint64) (int, error) {
	return fd(syscall.Syscall(sysFsmount, uintptr(fs), fsopenCloexec, uintptr(attrs)))
}

// OpenTree opens a mount or, with OPEN_TREE_CLONE, makes a detached copy of it (open_tree(2)). The
// descriptor is close-on-exec.
func OpenTree(dir int, path string, flags int) (int, error) {
	p, err := syscall.BytePtrFromString(path)
	if err != nil {
		return -1, err
	}
	return fd(syscall.Syscall(sysOpenTree, uintptr(dir), uintptr(unsafe.Pointer(p)), uintptr(flags|syscall.O_CLOEXEC)))
}

// MoveMount attaches the mount that is from at the directory or file that is to (move_mount(2)).
func MoveMount(from, to int) error {
	empty := new(byte)
	_, _, e := syscall.Syscall6(sysMoveMount, uintptr(from), uintptr(unsafe.Pointer(empty)), uintptr(to), uintptr(unsafe.Pointer(empty)),
		moveMountFromEmpty|moveMountToEmpty, 0)
	return errno(e)
}

// MountSetattr changes the mount at dir; flags may have AT_RECURSIVE (mount_setattr(2)).
func MountSetattr(dir, flags int, a *MountAttr) error {
	empty := new(byte)
	_, _, e := syscall.Syscall6(sysMountSetattr, uintptr(dir), uintptr(unsafe.Pointer(empty)), uintptr(flags|AT_EMPTY_PATH),
		uintptr(unsafe.Pointer(a)), unsafe.Sizeof(*a), 0)
	return errno(e)
}

type openHow struct{ flags, mode, resolve uint64 }

// Openat2 opens path below dir (openat2(2)), close-on-exec. It is retried where the kernel could not
// decide because of a concurrent rename.
func Openat2(dir int, path string, flags int, mode uint32, resolve uint64) (int, error) {
	p, err := syscall.BytePtrFromString(path)
	if err != nil {
		return -1, err
	}
	how := openHow{flags: uint64(flags | syscall.O_CLOEXEC), mode: uint64(mode), resolve: resolve}
	for range 64 {
		r, _, e := syscall.Syscall6(sysOpenat2, uintptr(dir), uintptr(unsafe.Pointer(p)), uintptr(unsafe.Pointer(&how)), unsafe.Sizeof(how), 0, 0)
		if e != syscall.EAGAIN && e != syscall.EINTR {
			return fd(r, 0, e)
		}
	}
	return -1, syscall.EAGAIN
}

// CloseRangeCloexec marks every descriptor from first on close-on-exec.
func CloseRangeCloexec(first int) error {
	_, _, e := syscall.Syscall(sysCloseRange, uintptr(first), uintptr(^uint32(0)), closeRangeCloexec)
	return errno(e)
}

// ClearCloseOnExec has fd survive execve.
func ClearCloseOnExec(fd int) error {
	_, _, e := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_SETFD, 0)
	return errno(e)
}

// DupAbove duplicates fd to the lowest free number that is least or above, close-on-exec.
func DupAbove(fd, least int) (int, error) {
	r, _, e := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_DUPFD_CLOEXEC, uintptr(least))
	if e != 0 {
		return -1, e
	}
	return int(r), nil
}

// Access checks path with the effective ids (faccessat2(2)); mode 1 is execute.
func Access(path string, mode uint32) error {
	p, err := syscall.BytePtrFromString(path)
	if err != nil {
		return err
	}
	at := AT_FDCWD
	_, _, e := syscall.Syscall6(sysFaccessat2, uintptr(at), uintptr(unsafe.Pointer(p)), uintptr(mode), AT_EACCESS, 0, 0)
	return errno(e)
}

func fd(r, _ uintptr, e syscall.Errno) (int, error) {
	if e != 0 {
		return -1, e
	}
	return int(r), nil
}

func errno(e syscall.Errno) error {
	if e != 0 {
		return e
	}
	return nil
}

// ReadLink reads the symbolic link that is open, with O_PATH and O_NOFOLLOW, as fd.
func ReadLink(fd int) (string, error) {
	empty := new(byte)
	buf := make([]byte, 4096)
	n, _, e := syscall.Syscall6(syscall.SYS_READLINKAT, uintptr(fd), uintptr(unsafe.Pointer(empty)),
		uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)), 0, 0)
	if e != 0 {
		return "", e
	}
	return string(buf[:n]), nil
}

// Symlinkat makes a symbolic link in dir.
func Symlinkat(target string, dir int, name string) error {
	t, err := syscall.BytePtrFromString(target)
	if err != nil {
		return err
	}
	n, err := syscall.BytePtrFromString(name)
	if err != nil {
		return err
	}
	_, _, e := syscall.Syscall(syscall.SYS_SYMLINKAT, uintptr(unsafe.Pointer(t)), uintptr(dir), uintptr(unsafe.Pointer(n)))
	return errno(e)
}

// Fstatfs calls fstatfs(2), which takes O_PATH descriptors too.
func Fstatfs(fd int, st *syscall.Statfs_t) error {
	_, _, e := syscall.Syscall(syscall.SYS_FSTATFS, uintptr(fd), uintptr(unsafe.Pointer(st)), 0)
	return errno(e)
}
