package battery

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/guard/probe"
)

func processes() []trial {
	return []trial{
		{"signal-foreign", signalForeign},
		{"ptrace-foreign", ptraceForeign},
		{"read-environ", readEnviron},
		{"read-memory", readMemory},
		{"ptrace-own", ptraceOwn},
		{"raise-limit", raiseLimit},
		{"raise-priority", raisePriority},
		{"tty-injection", ttyInjection},
	}
}

// procFile is a file about a process.
func procFile(pid int, name string) string { return "/proc/" + strconv.Itoa(pid) + "/" + name }

// nobodyElse is the result where all processes are this user's own.
const nobodyElse = "no process of another user can be seen"

// stranger is a process of another user: the one that is held for this, or any.
func (s *scene) stranger() int {
	if s.foreign > 0 {
		return s.foreign
	}
	own := strconv.Itoa(os.Getuid())
	for _, entry := range list("/proc") {
		pid, err := strconv.Atoi(entry)
		if err != nil {
			continue
		}
		text, err := read(procFile(pid, "status"))
		if uid := field(text, "Uid:"); err == nil && uid != "" && uid != own && field(text, "State:") != "Z" {
			return pid
		}
	}
	return 0
}

// signalForeign sends signal 0, which is checked like any other and does nothing.
func signalForeign(s *scene) probe.Result {
	pid := s.stranger()
	if pid == 0 {
		return absent(nobodyElse)
	}
	return s.settle(unix.Kill(pid, 0), decision{
		capabilities: []int{unix.CAP_KILL},
		absent:       []syscall.Errno{unix.ESRCH},
		witness:      func() error { return call(unix.SYS_KILL, uintptr(pid), 999) },
	})
}

// seize attaches to a process without stopping it. The end of this process detaches.
func (s *scene) seize(pid int) probe.Result {
	return s.settle(unix.PtraceSeize(pid), decision{
		capabilities: []int{unix.CAP_SYS_PTRACE},
		absent:       []syscall.Errno{unix.ESRCH},
		witness:      func() error { return unix.PtraceSeize(1<<30 - 1) }, // no such process
	})
}

func ptraceForeign(s *scene) probe.Result {
	pid := s.stranger()
	if pid == 0 {
		return absent(nobodyElse)
	}
	return s.seize(pid)
}

// ptraceOwn attaches to a process of the same user that is no child.
func ptraceOwn(s *scene) probe.Result {
	if s.fellow == 0 {
		return failed("no other process of this user could be started")
	}
	r := s.seize(s.fellow)
	if r.By == probe.ByCapability { // Yama
		r.By = probe.ByKernel
	}
	return r
}

// readEnviron opens the environment of another user's process, where passwords are handed over.
func readEnviron(s *scene) probe.Result {
	pid := s.stranger()
	if pid == 0 {
		return absent(nobodyElse)
	}
	name := procFile(pid, "environ")
	r := s.settle(open(name, unix.O_RDONLY), decision{
		by:           probe.ByOwner,
		capabilities: []int{unix.CAP_SYS_PTRACE},
		absent:       []syscall.Errno{unix.ENOENT, unix.ESRCH},
	})
	if r.Verdict == probe.Denied && r.By != probe.BySeccomp && !s.has(unix.CAP_SYS_PTRACE) {
		r.By = probe.ByCapability
	}
	return r
}

// readMemory reads a byte from another user's process. The address need not be mapped there: that is looked at later.
func readMemory(s *scene) probe.Result {
	pid := s.stranger()
	if pid == 0 {
		return absent(nobodyElse)
	}
	b := make([]byte, 1)
	local := []unix.Iovec{{Base: &b[0], Len: 1}}
	remote := []unix.RemoteIovec{{Base: 0x400000, Len: 1}} // where programs begin
	_, err := unix.ProcessVMReadv(pid, local, remote, 0)
	return s.settle(err, decision{
		capabilities: []int{unix.CAP_SYS_PTRACE},
		passed:       []syscall.Errno{unix.EFAULT},
		absent:       []syscall.Errno{unix.ESRCH},
		present:      kernel(3, 2),
		witness: func() error {
			return call(unix.SYS_PROCESS_VM_READV, uintptr(pid), nowhere, 1, nowhere, 1, 1)
		},
	})
}

// raiseLimit lowers a hard limit, which everybody may, and raises it to what it was.
func raiseLimit(s *scene) probe.Result {
	var l unix.Rlimit
	if err := unix.Prlimit(0, unix.RLIMIT_NOFILE, nil, &l); err != nil {
		return failed("read the limit of open files: " + err.Error())
	}
	lower := unix.Rlimit{Cur: min(l.Cur, l.Max-1), Max: l.Max - 1}
	if err := call(unix.SYS_SETRLIMIT, unix.RLIMIT_NOFILE, pin(s, &lower)); err != nil {
		return s.settle(err, decision{by: probe.BySeccomp})
	}
	return s.settle(call(unix.SYS_SETRLIMIT, unix.RLIMIT_NOFILE, pin(s, &l)), decision{
		capabilities: []int{unix.CAP_SYS_RESOURCE},
		initial:      true,
		witness:      func() error { return call(unix.SYS_SETRLIMIT, unix.RLIMIT_NOFILE, pin(s, &lower)) },
	})
}

// raisePriority has this process go before others for the moment that it lives.
func raisePriority(s *scene) probe.Result {
	err := unix.Setpriority(unix.PRIO_PROCESS, 0, -5)
	if errors.Is(err, unix.EACCES) {
		err = unix.EPERM // the name that this call has for it
	}
	return s.settle(err, decision{
		capabilities: []int{unix.CAP_SYS_NICE},
		initial:      true,
		witness:      func() error { return call(unix.SYS_SETPRIORITY, 99, 0, 0) },
	})
}

// ttyInjection types a letter into a terminal of its own, as if somebody had pressed the key.
func ttyInjection(s *scene) probe.Result {
	control, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		r := s.settle(err, byFile(unix.O_RDWR))
		r.Detail = "/dev/ptmx"
		return r
	}
	// It stays open: the end of the terminal would be the end of this process before it has said what came of it.
	if err := unix.IoctlSetPointerInt(control, unix.TIOCSPTLCK, 0); err != nil {
		return s.settle(err, decision{by: probe.BySeccomp})
	}
	number, err := unix.IoctlGetUint32(control, unix.TIOCGPTN)
	if err != nil {
		return s.settle(err, decision{by: probe.BySeccomp})
	}
	terminal, err := unix.Open("/dev/pts/"+strconv.Itoa(int(number)), unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return s.settle(err, byFile(unix.O_RDWR))
	}
	if _, err := unix.Setsid(); err != nil {
		return s.settle(err, decision{by: probe.BySeccomp})
	}
	if err := unix.IoctlSetInt(terminal, unix.TIOCSCTTY, 0); err != nil {
		return s.settle(err, decision{by: probe.BySeccomp})
	}
	letter := byte('x')
	err = call(unix.SYS_IOCTL, uintptr(terminal), unix.TIOCSTI, pin(s, &letter))
	if errors.Is(err, unix.EIO) {
		return probe.Result{Verdict: probe.Denied, Errno: unix.EIO, By: probe.ByKernel, Detail: "dev.tty.legacy_tiocsti is " + strings.TrimSpace(setting("dev/tty/legacy_tiocsti"))}
	}
	return s.settle(err, decision{by: probe.BySeccomp}) // the kernel lets everybody type into the own terminal
}
