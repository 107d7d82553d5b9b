package runtime

import (
	"fmt"
	goruntime "runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// join is a fork into a container that runs.
type join struct {
	fork       *fork
	target     uintptr // pidfd of a process in the container
	namespaces uintptr // CLONE_NEW* of the ones to enter
	report     uintptr // pipe to write a forkReport to
}

// forkInto forks a child that enters the namespaces of a container, forks again to be in its pid
// namespace, as a child of ours, and executes our program there.
//
// Only a process with a single thread may enter a user namespace; the child of a fork has one thread,
// but only raw system calls may be made in it: it is a copy of a Go program without its runtime. A
// copy, not sharing our memory as in start: what it does to its credentials marks the memory.
//
//go:noinline
//go:norace
//go:nocheckptr
func forkInto(j *join) (pid uintptr, errno syscall.Errno) {
	f := j.fork
	beforeFork()
	pid, _, errno = syscall.RawSyscall(unix.SYS_CLONE3, uintptr(unsafe.Pointer(&f.clone)), unsafe.Sizeof(f.clone), 0)
	if errno != 0 || pid != 0 {
		afterFork()
		return pid, errno
	}
	afterForkInChild()
	if enter(j) {
		f.err.step = stepFork
		pid, _, errno = syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD)|syscall.CLONE_PARENT, 0, 0, 0, 0, 0)
		f.err.val = uint32(errno)
		if errno == 0 && pid == 0 {
			becomeStage(f)
		} else if errno == 0 {
			f.err.step, f.err.val = 0, uint32(pid)
		}
	}
	_, _, _ = syscall.RawSyscall(syscall.SYS_WRITE, j.report, uintptr(unsafe.Pointer(&f.err)), unsafe.Sizeof(f.err))
	for {
		_, _, _ = syscall.RawSyscall(syscall.SYS_EXIT_GROUP, 0, 0, 0)
	}
}

// enter joins the namespaces as their root. Not dumpable, the copy of our memory is nobody's to read.
//
//go:nosplit
//go:norace
//go:nocheckptr
func enter(j *join) bool {
	r := &j.fork.err
	r.step = stepEnter
	_, _, errno := syscall.RawSyscall(unix.SYS_SETNS, j.target, j.namespaces, 0)
	if errno == 0 && j.namespaces&unix.CLONE_NEWUSER != 0 {
		r.step = stepGroup
		_, _, errno = syscall.RawSyscall(unix.SYS_SETRESGID, 0, 0, 0)
		if errno == 0 {
			r.step = stepUser
			_, _, errno = syscall.RawSyscall(unix.SYS_SETRESUID, 0, 0, 0)
		}
	}
	if errno == 0 {
		r.step = stepHide
		_, _, errno = syscall.RawSyscall6(unix.SYS_PRCTL, unix.PR_SET_DUMPABLE, 0, 0, 0, 0, 0)
	}
	r.val = uint32(errno)
	return errno == 0
}

// run forks and returns the pid of the process in the container.
func (j *join) run() (int, error) {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return 0, fmt.Errorf("make a pipe: %w", err)
	}
	defer closeFd(pipe[0])
	high, err := unix.FcntlInt(uintptr(pipe[1]), unix.F_DUPFD_CLOEXEC, highFd)
	closeFd(pipe[1])
	if err != nil {
		return 0, fmt.Errorf("duplicate a descriptor: %w", err)
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
	var reports [2]forkReport
	const size = int(unsafe.Sizeof(reports[0]))
	buf := unsafe.Slice((*byte)(unsafe.Pointer(&reports)), 2*size)
	n := 0
	for n < len(buf) {
		m, err := unix.Read(pipe, buf[n:])
		if m <= 0 && err != unix.EINTR {
			break
		}
		n += max(m, 0)
	}
	reap(helper)
	pid, failed := 0, forkReport{step: stepEnter, val: uint32(unix.ECHILD)}
	for _, r := range reports[:n/size] {
		if r.step == 0 {
			pid = int(r.val)
		} else {
			failed = r
		}
	}
	if pid != 0 && n == size {
		return pid, nil
	}
	if pid != 0 {
		reap(pid)
	}
	return 0, fmt.Errorf("enter the container: %w", failed)
}
