package tracer

import (
	"golang.org/x/sys/unix"
)

// stopped deals with a stop and resumes the task. Requests fail with ESRCH when the task was killed meanwhile;
// its end is reported in its own time.
func (w *watch) stopped(t *task, status int32) {
	event, signal := int(status)>>8, status&0xff
	switch event {
	case 0:
		if signal == stopSyscall {
			w.leave(t)
			signal = 0
		} else if w.ignored(t, signal) {
			signal = 0
		}
		w.resume(t, signal)
	case unix.PTRACE_EVENT_SECCOMP:
		w.enter(t)
		w.resume(t, 0)
	case unix.PTRACE_EVENT_EXEC:
		w.executed(t)
		w.resume(t, 0)
	case unix.PTRACE_EVENT_FORK, unix.PTRACE_EVENT_VFORK, unix.PTRACE_EVENT_CLONE:
		w.forked(t)
		w.resume(t, 0)
	case eventStop:
		switch unix.Signal(signal) {
		case unix.SIGSTOP, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU: // it stays stopped, until it is continued
			_ = ptraceValue(unix.PTRACE_LISTEN, t.tid, 0, 0)
		default:
			w.resume(t, 0)
		}
	default:
		w.resume(t, 0)
	}
}

// ignored reports whether a signal would not be there without us: the first process of a pid namespace is not
// stopped by its own, unless it is traced.
func (w *watch) ignored(t *task, signal int32) bool {
	if unix.Signal(signal) != unix.SIGSTOP || !w.first || w.facts(t).PID != w.root {
		return false
	}
	var info change
	return info.readSignal(t.tid) == 0 && info.pid != 0 // 0: from outside
}

// resume lets a task go on, up to the end of the call if it is followed there.
func (w *watch) resume(t *task, signal int32) {
	request := unix.PTRACE_CONT
	if t.pending {
		request = unix.PTRACE_SYSCALL
	}
	if t.stay {
		t.stay = false
		_ = ptraceValue(request, t.tid, 0, uintptr(signal)) //nolint:gosec // a signal's number
		return
	}
	w.affinity.resumeNear(t, request, uintptr(signal)) //nolint:gosec // a signal's number
}

// forked is a task that has started another, which stops for us by itself, and may even have ended already.
func (w *watch) forked(t *task) {
	var child uint
	if eventMessage(t.tid, &child) != 0 {
		return
	}
	tid := int(child)
	if _, over := w.early[tid]; over {
		delete(w.early, tid)
		return
	}
	w.task(tid).announced = true
}

// enter is a stop at the filter.
func (w *watch) enter(t *task) {
	if t.pending { // its end did not stop for us
		w.settle(t)
	}
	if w.info.read(t.tid) != 0 {
		return
	}
	number := int(w.info.nr) //nolint:gosec // at most 32 bits
	named := number < len(w.calls) && w.calls[number].name != ""
	errno := verdict(w.info.data, named)
	switch {
	case !named:
		w.rec.others++
		if errno >= 0 {
			_ = refuse(t.tid, unix.Errno(errno)) // it was killed
		}
	case errno >= 0:
		w.rec.counts[number]++
		w.refused(t, number, unix.Errno(errno))
	default:
		w.rec.counts[number]++
		w.follow(t, number)
	}
}

// follow arranges for a call to stop at its end, if that is of interest.
func (w *watch) follow(t *task, number int) {
	c := &w.calls[number]
	t.stay = c.cpus
	if c.keep == count || c.keep == writing && !w.isSpecial(w.info.args[0]) {
		return
	}
	t.pending, t.decoded, t.number, t.args = true, false, number, w.info.args
	if c.keep != denials && c.keep != writing {
		w.decode(t)
	}
	if c.moves {
		w.affinity.changing++
	}
}

// verdict is what the filter wants: an error to refuse with, or -1. A call that is newer than this program, and
// that no rule names, is refused as package seccomp does it.
func verdict(data uint32, named bool) int {
	switch {
	case data == dataPass:
		return -1
	case data&dataDefault != 0 && !named:
		return int(unix.ENOSYS)
	}
	return int(data & maxErrno)
}

func (w *watch) isSpecial(fd uint64) bool { return fd < uint64(len(w.special)) && w.special[fd] }

// refused refuses a call and takes it up.
func (w *watch) refused(t *task, number int, errno unix.Errno) {
	if refuse(t.tid, errno) != 0 {
		w.rec.lost++
		return
	}
	t.number, t.args = number, w.info.args
	w.decode(t)
	t.seen.Filtered, t.seen.Errno = true, errno
	w.keepCall(t)
}

// decode fills in what is known before the call.
func (w *watch) decode(t *task) {
	c := &w.calls[t.number]
	t.seen = seen{keyArgs: c.keyArgs, each: c.keep == each}
	t.seen.Syscall, t.seen.Process = c.name, w.facts(t)
	for i, a := range t.args {
		t.seen.Args[i] = int64(a) //nolint:gosec // as they were passed
	}
	if c.decode != nil {
		c.decode(&entry{w: w, task: t, args: &t.args, s: &t.seen})
	}
	t.decoded = true
}

// leave is the end of a call that was followed.
func (w *watch) leave(t *task) {
	if !t.pending {
		return
	}
	w.settle(t)
	if w.info.read(t.tid) != 0 {
		w.rec.lost++
		return
	}
	value, failed := w.info.result()
	var errno unix.Errno
	if failed {
		errno = userErrno(-value)
	}
	w.finish(t, value, errno)
}

// settle ends the following of a call.
func (w *watch) settle(t *task) {
	t.pending = false
	if w.calls[t.number].moves {
		w.affinity.changing--
		w.affinity.generation++
	}
}

// userErrno turns the kernel's own numbers for a call that a signal interrupted into what a program sees.
func userErrno(n int64) unix.Errno {
	const restart = 512 // ERESTARTSYS and those after it
	if n >= restart && n <= restart+4 {
		return unix.EINTR
	}
	return unix.Errno(n) //nolint:gosec // 1 to 4095
}

// finish takes up a call with its result.
func (w *watch) finish(t *task, value int64, errno unix.Errno) {
	c := &w.calls[t.number]
	if !t.decoded {
		t.seen.Errno = errno
		if !t.seen.Denied() {
			return
		}
		w.decode(t)
	}
	t.seen.Errno, t.value = errno, value
	if errno == 0 && c.after != nil {
		c.after(w, t)
	}
	w.keepCall(t)
}

// keepCall puts a call into the record: none of those that set up the container, but for the command's execve.
func (w *watch) keepCall(t *task) {
	if w.started || t.seen.Argv != nil {
		w.rec.add(&t.seen)
	}
}

// executed is a task that has become another program. If another thread than the first called execve, that one
// goes on under the first one's number, and nobody hears of the others again.
func (w *watch) executed(t *task) {
	collect(t.tid)
	former := uint(t.tid)
	_ = eventMessage(t.tid, &former) // as it was
	if caller, ok := w.tasks[int(former)]; ok && caller != t {
		delete(w.tasks, int(former))
		caller.tid, caller.announced = t.tid, t.announced
		w.tasks[t.tid] = caller
		t = caller
	}
	t.known = false
	if t.tid == w.root {
		w.started = w.started || t.pending
	}
	if t.pending {
		t.pending = false
		w.finish(t, 0, 0)
	}
}
