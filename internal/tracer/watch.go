package tracer

import (
	"fmt"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/guard/observe"
)

// watch traces one process that was attached, and all that it starts, from one thread.
type watch struct {
	calls []call
	rec   *recorder // its lock guards tasks as well
	root  int       // a child of this program: its end is for its parent
	pidfd int       // of root
	first bool      // root is the first process of its pid namespace
	ids   idMap
	done  chan struct{} // closed when nothing is traced any more

	tasks   map[int]*task
	early   map[int]struct{} // ended before we heard of their start
	started bool             // root has executed the command
	closing bool

	rootMoved bool      // somebody's "/" may not be the container's
	special   [256]bool // descriptors that had one of the kernel's own files

	affinity affinity

	mem  memory
	info syscallInfo
}

// task is a thread of the container.
type task struct {
	tid       int
	announced bool // who started it has told us
	known     bool // who is read
	who       observe.Process
	pending   bool // it is followed to the end of a call
	number    int
	args      [6]uint64
	decoded   bool // seen is filled, but for the result
	seen      seen
	value     int64 // what the call returned
	stay      bool  // to be resumed where it likes
	home      home
}

func newWatch(t *Tracer, pid int) (*watch, error) {
	ids, err := readIDMap(pid)
	if err != nil {
		return nil, fmt.Errorf("read id map: %w", err)
	}
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, fmt.Errorf("open process %d: %w", pid, err)
	}
	status, err := os.ReadFile(procPath(pid, "status"))
	if err != nil {
		closeFd(pidfd)
		return nil, fmt.Errorf("read process %d: %w", pid, err)
	}
	return &watch{
		first: isFirst(status),
		calls: t.calls, rec: &t.rec, root: pid, pidfd: pidfd, ids: ids,
		done: make(chan struct{}), tasks: map[int]*task{pid: {tid: pid, announced: true}}, early: map[int]struct{}{},
	}, nil
}

// run is the life of a watch. It reports whether the process could be seized.
func (w *watch) run(seized chan<- error) {
	// The thread is not ours to end, with whatever it traces: containers that it has cloned end with it. It goes
	// back as clean as it came.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	errno := ptraceValue(unix.PTRACE_SEIZE, w.root, 0, seizeOptions)
	if errno == 0 {
		seized <- nil
		w.loop()
	}
	w.letGo()
	close(w.done)
	if errno != 0 {
		seized <- fmt.Errorf("trace process %d: %w", w.root, errno)
		return
	}
	for c := (change{}); c.wait(w.root) == 0; { // it waits for its parent
		time.Sleep(lingerPause)
	}
}

// lingerPause is how often a thread looks whether the process it has traced is collected.
const lingerPause = 10 * time.Millisecond

// loop deals with what happens, until nothing is traced any more but a root that has ended.
func (w *watch) loop() {
	var c change
	for w.tracing() {
		switch errno := c.wait(0); {
		case errno == unix.EINTR:
		case errno != 0: // ECHILD: nothing is left
			return
		case !w.take(&c):
			w.poll()
		}
	}
}

// letGo forgets root: its number may be another's from now on.
func (w *watch) letGo() {
	w.rec.mu.Lock()
	defer w.rec.mu.Unlock()
	closeFd(w.pidfd)
	w.pidfd, w.tasks = -1, nil
}

// over reports whether nothing is traced any more.
func (w *watch) over() bool {
	select {
	case <-w.done:
		return true
	default:
		return false
	}
}

// tracing reports whether there is anything left but a root that waits for its parent.
func (w *watch) tracing() bool {
	w.rec.mu.Lock()
	defer w.rec.mu.Unlock()
	return len(w.tasks) > 0
}

// pollPause is how long a thread sleeps that cannot wait: see poll.
const pollPause = time.Millisecond

// poll asks for each task by itself. Waiting for all would show us the same thing again and again that is not
// ours to take: the end of root before its parent has collected it.
func (w *watch) poll() {
	w.rec.mu.Lock()
	tids := make([]int, 0, len(w.tasks))
	for tid := range w.tasks {
		tids = append(tids, tid)
	}
	w.rec.mu.Unlock()
	busy := false
	var c change
	for _, tid := range tids {
		errno := c.wait(tid)
		if errno == unix.ECHILD { // it is gone, or goes by another number
			w.forgetTask(tid)
		}
		busy = errno == 0 && c.pid != 0 && w.take(&c) || busy
	}
	if !busy {
		time.Sleep(pollPause)
	}
}

func (w *watch) forgetTask(tid int) {
	w.rec.mu.Lock()
	defer w.rec.mu.Unlock()
	w.drop(tid)
}

// take deals with one change. It is false for what is not ours to deal with.
func (w *watch) take(c *change) bool {
	w.rec.mu.Lock()
	defer w.rec.mu.Unlock()
	tid := int(c.pid)
	switch c.code {
	case cldTrapped:
		w.stopped(w.task(tid), c.status)
		return true
	case cldExited, cldKilled, cldDumped:
		return w.exited(tid)
	}
	return false // nothing that was asked for
}

// exited is the end of a task. It is false for one that is not ours to collect.
func (w *watch) exited(tid int) bool {
	t, known := w.tasks[tid]
	announced := known && t.announced
	w.drop(tid)
	if tid == w.root || !known && !tracedHere(tid) {
		return false
	}
	if !announced && len(w.early) < maxEarly {
		w.early[tid] = struct{}{}
	}
	reap(tid)
	return true
}

// maxEarly bounds what is remembered of tasks whose parents were killed before they told us.
const maxEarly = 4096

// drop forgets a task that has ended.
func (w *watch) drop(tid int) {
	t, known := w.tasks[tid]
	if known && t.pending {
		w.settle(t)
		if !exits(w.calls[t.number].name) {
			w.rec.lost++
		}
	}
	delete(w.tasks, tid)
}

// exits: whether a call may be a task's last.
func exits(name string) bool {
	switch name {
	case "kill", "tkill", "tgkill", "rt_sigqueueinfo", "pidfd_send_signal", "reboot":
		return true
	}
	return false
}

// tracedHere reports whether this very thread traces the process.
func tracedHere(tid int) bool {
	b, err := os.ReadFile(procPath(tid, "status"))
	return err == nil && tracerOf(b) == unix.Gettid()
}

// task finds a task; one that was not seen before was started by another.
func (w *watch) task(tid int) *task {
	t, ok := w.tasks[tid]
	if !ok {
		t = &task{tid: tid}
		w.tasks[tid] = t
	}
	if w.closing {
		w.kill(t)
	}
	return t
}

// kill ends a task's process. Its number is not used again before we have collected its end.
func (w *watch) kill(t *task) {
	if t.tid == w.root {
		_ = unix.PidfdSendSignal(w.pidfd, unix.SIGKILL, nil, 0) // gone is as good
		return
	}
	_ = unix.Kill(t.tid, unix.SIGKILL) // a thread's number does as well
}

// close ends the processes.
func (w *watch) close() {
	w.rec.mu.Lock()
	defer w.rec.mu.Unlock()
	w.closing = true
	for _, t := range w.tasks {
		w.kill(t)
	}
}

// facts are who a task is.
func (w *watch) facts(t *task) observe.Process {
	if !t.known {
		t.who, t.known = readProcess(t.tid, w.ids)
	}
	return t.who
}
