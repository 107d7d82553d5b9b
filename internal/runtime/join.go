package runtime

import (
	"fmt"
	goruntime "runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The three are what package syscall calls around its own fork.
//
//go:linkname beforeFork syscall.runtime_BeforeFork
func beforeFork()

//go:linkname afterFork syscall.runtime_AfterFork
func afterFork()

//go:linkname afterForkInChild syscall.runtime_AfterForkInChild
func afterForkInChild()

// join is what forkInto needs, all of it allocated before the fork. Descriptors are above highFd.
type join struct {
	target     uintptr // pidfd of a process in the container
	namespaces uintptr // CLONE_NEW* of the ones to enter
	exe        uintptr
	report     uintptr    // pipe to write a joinReport to
	files      [4]uintptr // become descriptors 0 to 3
	argv, envv **byte
	empty      *byte
	clone      cloneArgs
	err        joinReport
}

// cloneArgs is the kernel's struct clone_args.
type cloneArgs struct {
	flags, pidFD, childTID, parentTID, exitSignal uint64
	stack, stackSize, tls, setTID, setTIDSize     uint64
	cgroup                                        uint64
}

// joinReport is the fate of the fork: the pid of the process in the container, or a failed step.
type joinReport struct {
	step uint32 // 0: pid is valid
	val  uint32 // pid or errno
}

var joinSteps = [...]string{
	"", "enter its namespaces", "become its root's group", "become its root", "hide from it",
	"fork in its pid namespace", "arrange the standard files", "execute deckhand",
}

// forkInto forks a child that enters the namespaces of a container, forks again to be in its pid
// namespace, as a child of ours, and executes our program there.
//
// Only a process with a single thread may enter a user namespace; the child of a fork has one thread,
// but only raw system calls may be made in it: it is a copy of a Go program without its runtime.
//
//go:noinline
//go:norace
//go:nocheckptr
func forkInto(j *join) (pid uintptr, errno syscall.Errno) {
	beforeFork()
	pid, _, errno = syscall.RawSyscall(unix.SYS_CLONE3, uintptr(unsafe.Pointer(&j.clone)), unsafe.Sizeof(j.clone), 0)
	if errno != 0 || pid != 0 {
		afterFork()
		return pid, errno
	}
	afterForkInChild()
	step, err := enter(j)
	if err == 0 {
		step = 5
		pid, _, err = syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD)|syscall.CLONE_PARENT, 0, 0, 0, 0, 0)
		if err == 0 && pid == 0 {
			step, err = becomeStage(j)
		} else if err == 0 {
			step, err = 0, syscall.Errno(pid)
		}
	}
	j.err.step, j.err.val = step, uint32(err)
	syscall.RawSyscall(syscall.SYS_WRITE, j.report, uintptr(unsafe.Pointer(&j.err)), unsafe.Sizeof(j.err))
	for {
		syscall.RawSyscall(syscall.SYS_EXIT_GROUP, 0, 0, 0)
	}
}

// enter joins the namespaces as their root. Not dumpable, the copy of our memory is nobody's to read.
//
//go:nosplit
//go:norace
func enter(j *join) (step uint32, errno syscall.Errno) {
	if _, _, errno = syscall.RawSyscall(unix.SYS_SETNS, j.target, j.namespaces, 0); errno != 0 {
		return 1, errno
	}
	if j.namespaces&unix.CLONE_NEWUSER != 0 {
		if _, _, errno = syscall.RawSyscall(unix.SYS_SETRESGID, 0, 0, 0); errno != 0 {
			return 2, errno
		}
		if _, _, errno = syscall.RawSyscall(unix.SYS_SETRESUID, 0, 0, 0); errno != 0 {
			return 3, errno
		}
	}
	_, _, errno = syscall.RawSyscall6(unix.SYS_PRCTL, unix.PR_SET_DUMPABLE, 0, 0, 0, 0, 0)
	return 4, errno
}

// becomeStage runs in the container's pid namespace.
//
//go:nosplit
//go:norace
func becomeStage(j *join) (step uint32, errno syscall.Errno) {
	for i := range j.files {
		if _, _, errno = syscall.RawSyscall(unix.SYS_DUP3, j.files[i], uintptr(i), 0); errno != 0 {
			return 6, errno
		}
	}
	_, _, errno = syscall.RawSyscall6(unix.SYS_EXECVEAT, j.exe, uintptr(unsafe.Pointer(j.empty)), uintptr(unsafe.Pointer(j.argv)),
		uintptr(unsafe.Pointer(j.envv)), unix.AT_EMPTY_PATH, 0)
	return 7, errno
}

// run forks and returns the pid of the process in the container.
func (j *join) run() (int, error) {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return 0, fmt.Errorf("make a pipe: %w", err)
	}
	defer closeFd(pipe[0])
	high, err := toHigh(pipe[1])
	if err != nil {
		return 0, err
	}
	j.report = uintptr(high)
	syscall.ForkLock.Lock()
	goruntime.LockOSThread()
	helper, errno := forkInto(j)
	goruntime.UnlockOSThread()
	syscall.ForkLock.Unlock()
	closeFd(high)
	if errno != 0 {
		return 0, fmt.Errorf("fork: %w", errno)
	}
	return readReport(pipe[0], int(helper))
}

// readReport waits for the first child, which has nothing left to do, and for its report. A failure
// of the second, after its pid was reported, comes as a second report.
func readReport(pipe, helper int) (int, error) {
	var reports [2]joinReport
	buf := (*[2 * 8]byte)(unsafe.Pointer(&reports))
	n := 0
	for n < len(buf) {
		m, err := unix.Read(pipe, buf[n:])
		if m <= 0 && err != unix.EINTR { //nolint:errorlint // package unix returns plain errnos
			break
		}
		n += max(m, 0)
	}
	wait(helper)
	pid, failed := 0, joinReport{step: 1, val: uint32(unix.ECHILD)}
	for _, r := range reports[:n/8] {
		if r.step == 0 {
			pid = int(r.val)
		} else {
			failed = r
		}
	}
	if pid != 0 && n == 8 {
		return pid, nil
	}
	if pid != 0 {
		wait(pid)
	}
	step := "fork"
	if int(failed.step) < len(joinSteps) {
		step = joinSteps[failed.step]
	}
	return 0, fmt.Errorf("enter the container: %s: %w", step, syscall.Errno(failed.val))
}

func wait(pid int) {
	for {
		if _, err := unix.Wait4(pid, nil, 0, nil); err != unix.EINTR { //nolint:errorlint // as above
			return
		}
	}
}

// toHigh moves a descriptor out of the way of a child's standard files.
func toHigh(fd int) (int, error) {
	high, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, highFd)
	closeFd(fd)
	if err != nil {
		return -1, fmt.Errorf("duplicate a descriptor: %w", err)
	}
	return high, nil
}
