package tracer

import (
	"math/bits"
	"unsafe"

	"golang.org/x/sys/unix"
)

// cpuSet is room for the CPUs of most machines. Where it is too small, tasks wake where they like.
type cpuSet [16]uint64

// affinity has tasks wake on the tracer's own CPU: it sleeps as soon as it has resumed one. The kernel would wake
// them on an idle CPU, and to be woken across CPUs, twice a stop, takes several times as long as the stop itself,
// most of all in virtual machines. The task's own CPUs are given back at once, before it can know: calls that
// show or pass on what they are, are resumed without.
type affinity struct {
	off        bool
	generation int // of what is known of the tasks' CPUs
	changing   int // calls under way that change them
}

// home is what is known of a task's CPUs.
type home struct {
	cpus       cpuSet
	bytes      uintptr // 0: they are not known
	generation int
}

// resumeNear is resume for the request that ptrace takes.
func (a *affinity) resumeNear(t *task, request int, signal uintptr) {
	if a.off || a.changing > 0 || !a.know(t) {
		_ = ptraceValue(request, t.tid, 0, signal)
		return
	}
	var cpu uint32
	_, _, _ = unix.RawSyscall(unix.SYS_GETCPU, uintptr(unsafe.Pointer(&cpu)), 0, 0) //nolint:gosec // what the kernel takes
	var here cpuSet
	here[cpu/64%uint32(len(here))] = 1 << (cpu % 64)
	moved := setCPUs(t.tid, &here, t.home.bytes) == 0 // it may not be allowed here
	_ = ptraceValue(request, t.tid, 0, signal)
	if !moved {
		return
	}
	if errno := setCPUs(t.tid, &t.home.cpus, t.home.bytes); errno != 0 && errno != unix.ESRCH {
		a.off = true
	}
}

// know reads a task's CPUs, if it has several.
func (a *affinity) know(t *task) bool {
	h := &t.home
	if h.bytes == 0 || h.generation != a.generation {
		h.cpus, h.generation = cpuSet{}, a.generation
		n, _, errno := unix.RawSyscall(unix.SYS_SCHED_GETAFFINITY, uintptr(t.tid), unsafe.Sizeof(h.cpus), uintptr(unsafe.Pointer(&h.cpus))) //nolint:gosec // what the kernel takes
		if errno == unix.EINVAL {                                                                                                           // there are more CPUs
			a.off = true
		}
		if errno != 0 {
			return false
		}
		h.bytes = n
	}
	count := 0
	for _, word := range h.cpus {
		count += bits.OnesCount64(word)
	}
	return count > 1
}

func setCPUs(tid int, cpus *cpuSet, bytes uintptr) unix.Errno {
	_, _, errno := unix.RawSyscall(unix.SYS_SCHED_SETAFFINITY, uintptr(tid), bytes, uintptr(unsafe.Pointer(cpus))) //nolint:gosec // what the kernel takes
	return errno
}
