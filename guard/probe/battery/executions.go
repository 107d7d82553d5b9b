package battery

import (
	"errors"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/guard/probe"
)

func executions() []trial {
	return []trial{
		{"exec-writable", execWritable},
		{"exec-memfd", execMemfd},
	}
}

// smallest is a program that ends at once: an ELF header, one segment, and a few instructions.
func smallest() []byte {
	const base = 0x400000
	size := uint64(64 + 56 + len(smallestCode))
	var b []byte
	word := func(v uint64, n int) {
		for i := range n {
			b = append(b, byte(v>>(8*i))) //nolint:gosec // byte by byte
		}
	}
	b = append(b, "\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00"...)
	word(2, 2) // an executable
	word(smallestMachine, 2)
	word(1, 4)
	word(base+64+56, 8) // where it starts
	word(64, 8)         // the segments' table
	word(0, 8+4)        // no sections
	word(64, 2)
	word(56, 2)
	word(1, 2) // a segment
	word(0, 6)
	word(1, 4) // to be loaded
	word(5, 4) // for reading and executing
	word(0, 8)
	word(base, 8)
	word(base, 8)
	word(size, 8)
	word(size, 8)
	word(0x1000, 8)
	return append(b, smallestCode...)
}

// byExecution decides over the start of programs.
func byExecution() decision {
	return decision{
		by:      probe.ByMount, // noexec
		witness: func() error { return call(unix.SYS_EXECVE, nowhere, nowhere, nowhere) },
	}
}

// runs writes the smallest program to a new file and starts it.
func runs(fd int) error {
	name := "/proc/self/fd/" + strconv.Itoa(fd)
	if _, err := unix.Write(fd, smallest()); err != nil {
		_ = unix.Close(fd) // it goes with its only descriptor
		return err
	}
	if err := unix.Fchmod(fd, 0o700); err != nil {
		_ = unix.Close(fd) // it goes with its only descriptor
		return err
	}
	again, err := unix.Open(name, unix.O_RDONLY|unix.O_CLOEXEC, 0) // a file that is open for writing is busy
	_ = unix.Close(fd)                                             // again holds the file
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(again) }() // only read
	pid, err := syscall.ForkExec("/proc/self/fd/"+strconv.Itoa(again), []string{"deckhand-probe"}, &syscall.ProcAttr{})
	if err != nil {
		return err
	}
	var status unix.WaitStatus
	if _, err := unix.Wait4(pid, &status, 0, nil); err != nil {
		return err
	}
	if !status.Exited() || status.ExitStatus() != 0 {
		return errors.New("the program ended with status " + strconv.Itoa(int(status)))
	}
	return nil
}

// execWritable starts a program from any directory that can be written to.
func execWritable(s *scene) probe.Result {
	var results []probe.Result
	for _, dir := range writable() {
		fd, err := create(dir)
		if err == nil {
			err = runs(fd)
		}
		r := s.settle(err, byExecution())
		r.Detail = dir
		if r.Verdict == probe.Allowed {
			return r
		}
		results = append(results, r)
	}
	if len(results) == 0 {
		return probe.Result{Verdict: probe.Denied, By: probe.ByReadOnly, Detail: "no directory is writable"}
	}
	return best(results, "")
}

// execMemfd starts a program from a file that is in no directory.
func execMemfd(s *scene) probe.Result {
	fd, err := unix.MemfdCreate("deckhand-probe", unix.MFD_CLOEXEC|unix.MFD_EXEC)
	if errors.Is(err, unix.EINVAL) { // a kernel before 6.3
		fd, err = unix.MemfdCreate("deckhand-probe", unix.MFD_CLOEXEC)
	}
	if err != nil {
		return s.settle(err, decision{
			by:      probe.ByKernel, // vm.memfd_noexec
			witness: func() error { return call(unix.SYS_MEMFD_CREATE, nowhere, unix.MFD_CLOEXEC) },
			present: kernel(3, 17),
		})
	}
	return s.settle(runs(fd), byExecution())
}
