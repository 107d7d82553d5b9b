package runtime

import (
	"fmt"
	goruntime "runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// join is a fork into namespaces that there are: a running container's, or those of a path.
type join struct {
	fork   *fork
	enter  [8]entry
	n      int     // entries
	flags  uintptr // CLONE_NEW* of what is new
	root   uintptr // directory to make the root, 0: the namespaces' own
	report uintptr // pipe to write a forkReport to
}

// entry is what setns(2) takes.
type entry struct {
	fd, namespaces uintptr // a namespace, or a pidfd and CLONE_NEW*
	done           bool
}

// add has the fork enter a namespace, or several of a process; fd is above highFd.
func (j *join) add(fd, namespaces uintptr) {
	j.enter[j.n] = entry{fd: fd, namespaces: namespaces}
	j.n++
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
		pid, _, errno = syscall.RawSyscall6(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD)|syscall.CLONE_PARENT|j.flags, 0, 0, 0, 0, 0)
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
// As runc: first what can be joined with our own rights, then the user namespace, then what only it has
// a right to.
//
//go:nosplit
//go:norace
//go:nocheckptr
func enter(j *join) bool {
	r := &j.fork.err
	user := false
	for i := range j.n {
		user = user || j.enter[i].namespaces&unix.CLONE_NEWUSER != 0
	}
	errno := setns(j, 0, user)
	if errno == 0 && user {
		errno = setns(j, unix.CLONE_NEWUSER, false)
	}
	if errno == 0 && user {
		errno = becomeRoot(r)
	}
	if errno == 0 && user {
		errno = setns(j, 0, false)
	}
	if errno == 0 && j.root != 0 {
		errno = chroot(j)
	}
	if errno == 0 {
		r.step = stepHide
		_, _, errno = syscall.RawSyscall6(unix.SYS_PRCTL, unix.PR_SET_DUMPABLE, 0, 0, 0, 0, 0)
	}
	r.val = uint32(errno)
	return errno == 0
}

// becomeRoot takes on the ids of the user namespace's root.
//
//go:nosplit
//go:norace
//go:nocheckptr
func becomeRoot(r *forkReport) syscall.Errno {
	r.step = stepGroup
	if _, _, errno := syscall.RawSyscall(unix.SYS_SETRESGID, 0, 0, 0); errno != 0 {
		return errno
	}
	r.step = stepUser
	_, _, errno := syscall.RawSyscall(unix.SYS_SETRESUID, 0, 0, 0)
	return errno
}

// chroot makes a directory the root.
//
//go:nosplit
//go:norace
//go:nocheckptr
func chroot(j *join) syscall.Errno {
	j.fork.err.step = stepRoot
	if _, _, errno := syscall.RawSyscall(unix.SYS_FCHDIR, j.root, 0, 0); errno != 0 {
		return errno
	}
	_, _, errno := syscall.RawSyscall(unix.SYS_CHROOT, uintptr(unsafe.Pointer(&hereName)), 0, 0)
	return errno
}

// hereName is the working directory's name.
var hereName = [...]byte{'.', 0}

// setns enters what is not entered yet: the user namespace or the others; those that are not allowed
// may be put off.
//
//go:nosplit
//go:norace
//go:nocheckptr
func setns(j *join, kind uintptr, later bool) syscall.Errno {
	j.fork.err.step = stepEnter
	for i := range j.n {
		e := &j.enter[i]
		if e.done || e.namespaces&unix.CLONE_NEWUSER != kind {
			continue
		}
		_, _, errno := syscall.RawSyscall(unix.SYS_SETNS, e.fd, e.namespaces, 0)
		if errno != 0 && (errno != syscall.EPERM || !later) {
			return errno
		}
		e.done = errno == 0
	}
	return 0
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
