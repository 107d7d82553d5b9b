package battery

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/guard/probe"
)

// usualPatienceMillis is how long a probe may be silent before it counts as hung.
const usualPatienceMillis = 3000

// driver starts the probes one after the other.
//
// It makes do with the few system calls of probe.Needs, so that it can work under any filter they are added to: hence
// no package that starts processes or waits for files by itself.
type driver struct {
	command string
	out     io.Writer
	self    string
	fellow  *held // a process of the same user
	foreign *held // and one of another

	patienceMillis int
}

func (d *driver) run(names []string) error {
	self, err := os.Executable()
	if err != nil { // no /proc
		self = os.Args[0]
	}
	d.self = self
	d.fellow = startHeld(self, os.Getuid())
	defer d.fellow.release()
	if os.Geteuid() == 0 {
		d.foreign = startHeld(self, otherID())
		defer d.foreign.release()
	}
	for _, name := range names {
		r := d.one(name)
		r.Probe = name
		line, err := json.Marshal(r)
		if err != nil {
			return fmt.Errorf("write the result of %s: %w", name, err)
		}
		if _, err := d.out.Write(append(line, '\n')); err != nil {
			return fmt.Errorf("write the result of %s: %w", name, err)
		}
		reap()
	}
	return nil
}

// one runs a probe in a process of its own.
func (d *driver) one(name string) probe.Result {
	argv := []string{d.self, wordTry, name, d.command, strconv.Itoa(d.fellow.id()), strconv.Itoa(d.foreign.id())}
	pid, r, err := d.start(argv)
	if err != nil {
		return failed("start a process: " + err.Error())
	}
	defer func() { _ = unix.Close(r) }() // read to its end
	text, complete := listen(r, d.patienceMillis)
	if !complete {
		// Where a filter forbids the kill it stays, and ends with the container.
		_ = unix.Kill(pid, unix.SIGKILL)
		var status unix.WaitStatus
		for range 100 {
			if got, _ := unix.Wait4(pid, &status, unix.WNOHANG, nil); got != 0 {
				break
			}
			_, _ = unix.Poll(nil, 1)
		}
		return failed(fmt.Sprintf("nothing came of it within %d ms", d.patienceMillis))
	}
	var status unix.WaitStatus
	for {
		if _, err := unix.Wait4(pid, &status, 0, nil); err != unix.EINTR {
			break
		}
	}
	return outcome(text, status)
}

// start starts this program with other arguments; what it prints is read from the descriptor.
func (d *driver) start(argv []string) (pid, output int, err error) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return 0, -1, fmt.Errorf("make a pipe: %w", err)
	}
	w := uintptr(p[1])
	pid, err = syscall.ForkExec(d.self, argv, &syscall.ProcAttr{Env: os.Environ(), Files: []uintptr{0, w, w}})
	_ = unix.Close(p[1]) // the child has its own
	if err != nil {
		_ = unix.Close(p[0]) // nothing was written
		return 0, -1, err
	}
	return pid, p[0], nil
}

// listen reads until the result's line is there or nobody can write any more; false if it took too long.
func listen(fd, patienceMillis int) (text []byte, complete bool) {
	buf := make([]byte, 4096)
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, patienceMillis) //nolint:gosec // a descriptor
		switch {
		case err == unix.EINTR:
			continue
		case err != nil || n == 0:
			return text, false
		}
		n, err = unix.Read(fd, buf)
		if err == unix.EINTR {
			continue
		}
		if n <= 0 || err != nil {
			return text, true
		}
		text = append(text, buf[:n]...)
		if resultLine(text) != nil {
			return text, true
		}
	}
}

// resultLine finds the result in what a probe printed.
func resultLine(text []byte) []byte {
	for line := range bytes.Lines(text) {
		if line[0] == '{' && line[len(line)-1] == '\n' {
			return line
		}
	}
	return nil
}

// outcome is the result that a probe printed, or what its end means.
func outcome(text []byte, status unix.WaitStatus) probe.Result {
	if line := resultLine(text); line != nil {
		var r probe.Result
		if err := json.Unmarshal(line, &r); err == nil {
			return r
		}
	}
	trapped := bytes.Contains(text, []byte("SIGSYS")) // SECCOMP_RET_TRAP: the Go runtime says so and ends
	if status.Signaled() && status.Signal() == unix.SIGSYS || trapped {
		return probe.Result{Verdict: probe.Denied, By: probe.BySeccomp, Detail: "the filter ends the process"}
	}
	if status.Signaled() {
		return failed("it was ended by " + unix.SignalName(status.Signal()))
	}
	first, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	return failed(fmt.Sprintf("it ended with code %d: %s", status.ExitStatus(), first))
}

// reap takes what probes left behind, which falls to pid 1.
func reap() {
	if os.Getpid() == 1 {
		reapAll()
	}
}

// reapAll waits for all children that have ended.
func reapAll() {
	for {
		pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
		if err == unix.EINTR {
			continue
		}
		if pid <= 0 || err != nil {
			return
		}
	}
}

// held is a process for probes to be tried on.
type held struct {
	pid, input int
}

// otherID is a user that this process is not.
func otherID() int {
	if os.Getuid() == 1 {
		return 2
	}
	return 1
}

// startHeld starts one of a user; nil where this process may not.
func startHeld(self string, uid int) *held {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return nil
	}
	sys := &syscall.SysProcAttr{}
	if uid != os.Getuid() {
		id := uint32(uid) //nolint:gosec // one of ours
		sys.Credential = &syscall.Credential{Uid: id, Gid: id, NoSetGroups: true}
	}
	pid, err := syscall.ForkExec(self, []string{self, wordHeld}, &syscall.ProcAttr{
		Env:   []string{"HELD=by deckhand-probe"},
		Files: []uintptr{uintptr(p[0])},
		Sys:   sys,
	})
	_ = unix.Close(p[0]) // the child has its own
	if err != nil {
		_ = unix.Close(p[1]) // nobody reads
		return nil
	}
	return &held{pid: pid, input: p[1]}
}

func (h *held) id() int {
	if h == nil {
		return 0
	}
	return h.pid
}

// release ends it: its input ends.
func (h *held) release() {
	if h == nil {
		return
	}
	_ = unix.Close(h.input) // it is waited for below
	_, _ = unix.Wait4(h.pid, nil, 0, nil)
}

// hold waits for the end of the input.
func hold() int {
	buf := make([]byte, 1)
	for {
		if _, err := unix.Read(0, buf); err != unix.EINTR {
			return 0
		}
	}
}

func whoAmI(stdout io.Writer) int {
	if _, err := fmt.Fprintf(stdout, "euid %d\n", os.Geteuid()); err != nil {
		return 1
	}
	return 0
}
