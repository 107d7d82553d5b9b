package runtime

import (
	"fmt"
	"os"
	goruntime "runtime"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/linux/vfork"
)

// The three are what package syscall calls around its own fork.
//
//go:linkname beforeFork syscall.runtime_BeforeFork
func beforeFork()

//go:linkname afterFork syscall.runtime_AfterFork
func afterFork()

//go:linkname afterForkInChild syscall.runtime_AfterForkInChild
func afterForkInChild()

// fork is what the child of a raw fork needs, all of it allocated before. Descriptors are above
// highFd.
type fork struct {
	clone      cloneArgs
	exe        uintptr
	files      [4]uintptr // become descriptors 0 to 3
	argv, envv **byte
	empty      *byte
	caps       capData // all of them, for a child in a new user namespace
	err        forkReport
}

// cloneArgs is the kernel's struct clone_args.
type cloneArgs struct {
	flags, pidFD, childTID, parentTID, exitSignal uint64
	stack, stackSize, tls, setTID, setTIDSize     uint64
	cgroup                                        uint64
}

// capData is what capset(2) takes.
type capData struct {
	header unix.CapUserHeader
	data   [2]unix.CapUserData
}

// forkReport is the fate of a fork: the pid of the process in the container, or a failed step.
type forkReport struct {
	step uint32 // 0: pid is valid
	val  uint32 // pid or errno
}

const (
	stepEnter = iota + 1
	stepGroup
	stepUser
	stepRoot
	stepHide
	stepFork
	stepFiles
	stepCaps
	stepExec
)

var forkSteps = [...]string{
	"", "enter its namespaces", "become its root's group", "become its root", "enter its root directory", "hide from it",
	"fork in its pid namespace", "arrange the standard files", "keep capabilities", "execute deckhand",
}

func (r forkReport) Error() string {
	step := "fork"
	if int(r.step) < len(forkSteps) {
		step = forkSteps[r.step]
	}
	return step + ": " + syscall.Errno(r.val).Error()
}

// newFork prepares to execute our program, sealed, with an argv[0] that selects a stage.
func newFork(role string, exe int, files [4]int) (f *fork, release func(), err error) {
	f = &fork{empty: new(byte), exe: uintptr(exe), clone: cloneArgs{exitSignal: uint64(syscall.SIGCHLD)}}
	var high []int
	release = func() {
		for _, fd := range high {
			closeFd(fd)
		}
	}
	for i, fd := range files {
		dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, highFd)
		if err != nil {
			release()
			return nil, nil, fmt.Errorf("duplicate a descriptor: %w", err)
		}
		high = append(high, dup)
		f.files[i] = uintptr(dup)
	}
	argv, err := syscall.SlicePtrFromStrings([]string{role})
	if err != nil {
		release()
		return nil, nil, err
	}
	envv, err := syscall.SlicePtrFromStrings(childEnv)
	if err != nil {
		release()
		return nil, nil, err
	}
	f.argv, f.envv = &argv[0], &envv[0]
	return f, release, nil
}

// childEnv keeps Go's runtime in the child from starting what a few milliseconds do not need.
var childEnv = []string{"GOGC=off", "GOMAXPROCS=1", "GOTRACEBACK=none"}

// keepCaps has the child keep every capability of its new user namespace through execve, although its
// user id has no place there yet.
func (f *fork) keepCaps() {
	f.caps.header.Version = unix.LINUX_CAPABILITY_VERSION_3
	for i := range f.caps.data {
		all := ^uint32(0)
		f.caps.data[i] = unix.CapUserData{Effective: all, Permitted: all, Inheritable: all}
	}
}

// start clones a child that executes the program, and returns when it does.
func (f *fork) start() (int, error) {
	f.clone.flags |= unix.CLONE_VM | unix.CLONE_VFORK
	syscall.ForkLock.Lock()
	goruntime.LockOSThread()
	pid, errno := cloneStage(f)
	goruntime.UnlockOSThread()
	syscall.ForkLock.Unlock()
	if errno != 0 {
		return 0, errno
	}
	if f.err.step != 0 {
		reap(int(pid))
		return 0, f.err
	}
	return int(pid), nil
}

// cloneStage returns in the parent only. The child has borrowed our memory and stack: it makes raw
// system calls, and writes nothing but f.err.
//
//go:noinline
//go:norace
//go:nocheckptr
func cloneStage(f *fork) (pid uintptr, errno syscall.Errno) {
	beforeFork()
	pid, e := vfork.Clone3(unsafe.Pointer(&f.clone), unsafe.Sizeof(f.clone))
	if e != 0 || pid != 0 {
		afterFork()
		return pid, syscall.Errno(e)
	}
	afterForkInChild()
	becomeStage(f)
	for {
		_, _, _ = syscall.RawSyscall(syscall.SYS_EXIT_GROUP, 0, 0, 0)
	}
}

// becomeStage executes our program in a child; it returns only if it cannot, with f.err set.
//
//go:nosplit
//go:norace
//go:nocheckptr
func becomeStage(f *fork) {
	var errno syscall.Errno
	for i := range f.files {
		if _, _, errno = syscall.RawSyscall(unix.SYS_DUP3, f.files[i], uintptr(i), 0); errno != 0 {
			f.err.step, f.err.val = stepFiles, uint32(errno)
			return
		}
	}
	if f.caps.header.Version != 0 {
		if errno = raiseAmbient(f); errno != 0 {
			f.err.step, f.err.val = stepCaps, uint32(errno)
			return
		}
	}
	_, _, errno = syscall.RawSyscall6(unix.SYS_EXECVEAT, f.exe, uintptr(unsafe.Pointer(f.empty)), uintptr(unsafe.Pointer(f.argv)),
		uintptr(unsafe.Pointer(f.envv)), unix.AT_EMPTY_PATH, 0)
	f.err.step, f.err.val = stepExec, uint32(errno)
}

// raiseAmbient makes every capability ambient.
//
//go:nosplit
//go:norace
//go:nocheckptr
func raiseAmbient(f *fork) syscall.Errno {
	_, _, errno := syscall.RawSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&f.caps.header)), uintptr(unsafe.Pointer(&f.caps.data)), 0)
	if errno != 0 {
		return errno
	}
	for i := range uintptr(64) {
		_, _, errno = syscall.RawSyscall6(unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, i, 0, 0, 0)
		if errno == syscall.EINVAL { // beyond the last one this kernel has
			return 0
		}
		if errno != 0 {
			return errno
		}
	}
	return 0
}

func reap(pid int) {
	for {
		if _, err := unix.Wait4(pid, nil, 0, nil); err != unix.EINTR {
			return
		}
	}
}

// writeMaps gives the child's user namespace its ids. It fails where the caller may not map them.
func writeMaps(pid int, uids, gids []syscall.SysProcIDMap, denySetgroups bool) error {
	dir := "/proc/" + strconv.Itoa(pid) + "/"
	if denySetgroups {
		if err := writeProc(dir+"setgroups", []byte("deny")); err != nil {
			return err
		}
	}
	if err := writeProc(dir+"gid_map", formatMap(gids)); err != nil {
		return err
	}
	return writeProc(dir+"uid_map", formatMap(uids))
}

func formatMap(m []syscall.SysProcIDMap) []byte {
	var b []byte
	for _, e := range m {
		b = strconv.AppendInt(b, int64(e.ContainerID), 10)
		b = strconv.AppendInt(append(b, ' '), int64(e.HostID), 10)
		b = strconv.AppendInt(append(b, ' '), int64(e.Size), 10)
		b = append(b, '\n')
	}
	return b
}

// writeProc writes a file of the proc filesystem in one go.
func writeProc(path string, data []byte) error {
	fd, err := unix.Open(path, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer closeFd(fd)
	if _, err := unix.Write(fd, data); err != nil {
		return &os.PathError{Op: "write", Path: path, Err: err}
	}
	return nil
}
