package tracer

import (
	"strings"

	"golang.org/x/sys/unix"
)

// entry is a call that a task is about to make.
type entry struct {
	w    *watch
	task *task
	args *[6]uint64
	s    *seen
}

// fd is an argument that is a descriptor, or another int of C.
func (e *entry) fd(arg int) int { return int(int32(e.args[arg])) } //nolint:gosec // as the kernel reads it

// text is the string an argument points to.
func (e *entry) text(arg int) string {
	if e.args[arg] == 0 {
		return ""
	}
	s, ok := e.w.mem.text(e.task.tid, e.args[arg], maxPathBytes)
	e.s.partial = e.s.partial || !ok
	return s
}

// pathAt is the path an argument points to, made absolute. Empty stays empty.
func (e *entry) pathAt(dirfd, arg int) string {
	p := e.text(arg)
	if p == "" {
		return ""
	}
	return e.w.absolute(e.task.tid, dirfd, p)
}

// The parts that decoders are made of.

func path(arg int) func(*entry) {
	return func(e *entry) { e.s.Path = e.pathAt(unix.AT_FDCWD, arg) }
}

func pathAt(dir, arg int) func(*entry) {
	return func(e *entry) { e.s.Path = e.pathAt(e.fd(dir), arg) }
}

// pathAtOrFile is pathAt(0, 1) for calls where AT_EMPTY_PATH (in the argument flags; negative: some flag of
// theirs) makes an empty path stand for the descriptor itself.
func pathAtOrFile(flags int) func(*entry) {
	return func(e *entry) {
		if e.s.Path = e.pathAt(e.fd(0), 1); e.s.Path == "" && (flags < 0 || e.args[flags]&unix.AT_EMPTY_PATH != 0) {
			e.s.Path = e.w.directory(e.task.tid, e.fd(0))
		}
	}
}

// pathOrFile is pathAt for calls where a null pointer stands for the descriptor itself.
func pathOrFile(dir, arg int) func(*entry) {
	return func(e *entry) {
		if e.args[arg] == 0 {
			e.s.Path = e.w.file(e.task.tid, e.fd(dir))
			return
		}
		e.s.Path = e.pathAt(e.fd(dir), arg)
	}
}

// file is what the first argument, a descriptor, stands for.
func file(e *entry) { e.s.Path = e.w.file(e.task.tid, e.fd(0)) }

// to is the second of two paths.
func to(e *entry) { e.s.To = e.pathAt(unix.AT_FDCWD, 1) }

func toAt(dir, arg int) func(*entry) {
	return func(e *entry) { e.s.To = e.pathAt(e.fd(dir), arg) }
}

// target is what a symbolic link is to say: relative to the link's directory. It comes after the link itself.
func target(arg int) func(*entry) {
	return func(e *entry) {
		e.s.Path = e.text(arg)
		if i := strings.LastIndexByte(e.s.To, '/'); i >= 0 && e.s.Path != "" && e.s.Path[0] != '/' {
			e.s.Path = tidy(e.s.To[:i+1] + e.s.Path)
		}
	}
}

// attribute is the name of an extended attribute.
func attribute(arg int) func(*entry) {
	return func(e *entry) { e.s.To = e.text(arg) }
}

func owner(arg int) func(*entry) {
	return func(e *entry) { e.s.ID, e.s.Group = id(e.args[arg]), id(e.args[arg+1]) }
}

func creates(e *entry) { e.s.Creates = true }

// changes joins the parts of a call that changes something.
func changes(parts ...func(*entry)) func(*entry) {
	return func(e *entry) {
		e.s.Writes = true
		for _, p := range parts {
			p(e)
		}
	}
}

// id is an argument that is a uid or gid: -1 is "unchanged".
func id(v uint64) int64 {
	if uint32(v) == ^uint32(0) { //nolint:gosec // as the kernel reads it
		return -1
	}
	return int64(uint32(v)) //nolint:gosec // as the kernel reads it
}

func (e *entry) open() {
	path(0)(e)
	e.flags(e.args[1])
}

func (e *entry) openat() {
	pathAt(0, 1)(e)
	e.flags(e.args[2])
}

func (e *entry) openat2() {
	pathAt(0, 1)(e)
	if how := e.w.mem.words(e.task.tid, e.args[2], 1); len(how) == 1 {
		e.flags(how[0])
		return
	}
	e.s.partial = true
}

// flags are those of open.
func (e *entry) flags(f uint64) {
	if f&unix.O_PATH != 0 {
		return
	}
	e.s.Creates = f&unix.O_CREAT != 0
	e.s.Writes = e.s.Creates || f&unix.O_ACCMODE != unix.O_RDONLY || f&unix.O_TRUNC != 0
}

// queueName is a POSIX message queue's, as the file it is in the file system of queues.
func (e *entry) queueName() {
	e.s.Path, e.s.Writes = "/dev/mqueue/"+strings.TrimPrefix(e.text(0), "/"), true
}

func (e *entry) queue() {
	e.queueName()
	e.flags(e.args[1])
}

func (e *entry) execve() {
	path(0)(e)
	e.argv(1)
}

func (e *entry) execveat() {
	pathAtOrFile(4)(e)
	e.argv(2)
}

func (e *entry) argv(arg int) {
	argv, ok := e.w.mem.argv(e.task.tid, e.args[arg])
	e.s.Argv = argv
	e.s.Dir = e.w.directory(e.task.tid, unix.AT_FDCWD)
	e.s.partial = e.s.partial || !ok
}

// setID: one id.
func (e *entry) setID() { e.s.ID = id(e.args[0]) }

// setIDs: real, effective, perhaps saved; the effective one counts, if it changes.
func (e *entry) setIDs() {
	if e.s.ID = id(e.args[1]); e.s.ID < 0 {
		e.s.ID = id(e.args[0])
	}
}

func (e *entry) setGroups() { e.s.ID = -1 }

// prctl: most options take a number; a pointer would make each call another.
func (e *entry) prctl() {
	const numbers = 1 << 12
	if e.args[1] >= numbers {
		e.s.keyArgs &^= arg1
	}
}

// prlimit matters where it sets something.
func (e *entry) prlimit() { e.s.Writes = e.args[2] != 0 }

// forget has who the task is read again.
func forget(_ *watch, t *task) { t.known = false }

// noteRoot has paths looked at more closely once a root may have moved.
func noteRoot(w *watch, _ *task) { w.rootMoved = true }

// noteSpecial notes the number of a descriptor whose writes may be refused although it is open for writing:
// the kernel's own files check again.
func noteSpecial(w *watch, t *task) {
	if t.seen.Writes && special(t.seen.Path) && t.value >= 0 && t.value < int64(len(w.special)) {
		w.special[t.value] = true
	}
}

func special(p string) bool {
	return strings.HasPrefix(p, "/proc/") || strings.HasPrefix(p, "/sys/") || strings.HasPrefix(p, "/dev/")
}
