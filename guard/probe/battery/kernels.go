package battery

import (
	"path"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/guard/probe"
)

func kernels() []trial {
	return []trial{
		{"bpf", bpf},
		{"perf-event", perfEvent},
		{"io-uring", ioUring},
		{"userfaultfd", userfaultfd},
		{"kernel-keyring", kernelKeyring},
		{"fanotify", fanotify},
		{"personality", personality},
		{"syslog", syslog},
		{"kmsg", kmsg},
		{"core-pattern", corePattern},
		{"modprobe-path", modprobePath},
		{"sysrq", sysrq},
		{"release-agent", releaseAgent},
		{"cgroup-limits", cgroupLimits},
	}
}

// bpfLoad is the part of union bpf_attr for BPF_PROG_LOAD.
type bpfLoad struct {
	kind, count           uint32
	instructions, license uint64
	_                     [16]uint64
}

// bpf loads a program of two instructions that is attached to nothing.
func bpf(s *scene) probe.Result {
	const (
		load         = 5
		socketFilter = 1
	)
	code := [2]uint64{0xb7, 0x95} // r0 = 0; exit
	license := [4]byte{'G', 'P', 'L', 0}
	a := bpfLoad{kind: socketFilter, count: 2, instructions: uint64(pin(s, &code)), license: uint64(pin(s, &license))}
	fd, _, errno := syscall.Syscall(unix.SYS_BPF, load, pin(s, &a), unsafe.Sizeof(a))
	if errno == 0 {
		_ = unix.Close(int(fd))
		return allowed("")
	}
	d := decision{capabilities: []int{unix.CAP_BPF, unix.CAP_SYS_ADMIN}, initial: true, present: exists("/proc/sys/kernel/unprivileged_bpf_disabled")}
	if kernelAtLeast(6, 5) { // before, privileges were looked at first
		d.witness = func() error { return call(unix.SYS_BPF, load, nowhere, 1<<20) }
	}
	return s.settle(errno, d)
}

// perfEvent counts what this process itself does in user mode, the least that can be asked for.
func perfEvent(s *scene) probe.Result {
	attr := unix.PerfEventAttr{
		Type: unix.PERF_TYPE_SOFTWARE, Config: unix.PERF_COUNT_SW_CPU_CLOCK, Size: uint32(unsafe.Sizeof(unix.PerfEventAttr{})),
		Bits: unix.PerfBitDisabled | unix.PerfBitExcludeKernel | unix.PerfBitExcludeHv,
	}
	return s.settle(closing(unix.PerfEventOpen(&attr, 0, -1, -1, unix.PERF_FLAG_FD_CLOEXEC)), decision{
		capabilities: []int{unix.CAP_PERFMON, unix.CAP_SYS_ADMIN},
		initial:      true,
		present:      exists("/proc/sys/kernel/perf_event_paranoid"),
		witness:      func() error { return closing(unix.PerfEventOpen(&attr, 0, -1, -1, 1<<30)) }, // no such flag
	})
}

// ioUring makes the smallest ring and closes it.
func ioUring(s *scene) probe.Result {
	var parameters [120]byte
	fd, _, errno := syscall.Syscall(unix.SYS_IO_URING_SETUP, 1, pin(s, &parameters), 0)
	if errno == 0 {
		_ = unix.Close(int(fd))
		return allowed("")
	}
	d := decision{present: exists("/proc/sys/kernel/io_uring_disabled"), by: probe.ByKernel}
	switch disabled := setting("kernel/io_uring_disabled"); disabled {
	case "0":
		d.by = probe.BySeccomp
	case "1":
		d.capabilities, d.initial = []int{unix.CAP_SYS_ADMIN}, true
	case "":
		d.by = probe.BySeccomp // before 6.6 the kernel refused nobody
	}
	return s.settle(errno, d)
}

// userfaultfd asks for faults of the kernel too, with which races are won.
func userfaultfd(s *scene) probe.Result {
	const userModeOnly = 1
	fd, _, errno := syscall.Syscall(unix.SYS_USERFAULTFD, unix.O_CLOEXEC, 0, 0)
	if errno == 0 {
		_ = unix.Close(int(fd))
		return allowed("")
	}
	d := decision{capabilities: []int{unix.CAP_SYS_PTRACE}, initial: true, present: exists("/proc/sys/vm/unprivileged_userfaultfd")}
	if kernelAtLeast(5, 11) {
		d.witness = func() error { return call(unix.SYS_USERFAULTFD, userModeOnly|1<<30) }
	}
	return s.settle(errno, d)
}

// kernelKeyring puts a key into the keyring of this process, which ends with it.
func kernelKeyring(s *scene) probe.Result {
	kind, description, payload := [5]byte{'u', 's', 'e', 'r', 0}, [15]byte{}, [1]byte{'x'}
	copy(description[:], "deckhand-probe")
	const process = ^uintptr(1) // KEY_SPEC_PROCESS_KEYRING, -2
	k, d := pin(s, &kind), pin(s, &description)
	err := call(unix.SYS_ADD_KEY, k, d, pin(s, &payload), 1, process)
	return s.settle(err, decision{
		present: exists("/proc/keys"),
		witness: func() error { return call(unix.SYS_ADD_KEY, k, d, nowhere, 2<<20, process) }, // too long
		absent:  []syscall.Errno{unix.EDQUOT},
	})
}

// fanotify asks to be asked before files are opened, of no file yet.
func fanotify(s *scene) probe.Result {
	d := decision{capabilities: []int{unix.CAP_SYS_ADMIN}, initial: true, present: exists("/proc/sys/fs/fanotify")}
	if kernelAtLeast(5, 13) {
		d.witness = func() error {
			return closing(unix.FanotifyInit(unix.FAN_CLASS_NOTIF|unix.FAN_REPORT_FID|unix.FAN_CLOEXEC, 0))
		}
	}
	return s.settle(closing(unix.FanotifyInit(unix.FAN_CLASS_CONTENT|unix.FAN_CLOEXEC, unix.O_RDONLY)), d)
}

// personality turns off this process' address randomisation, for programs that it would start.
func personality(s *scene) probe.Result {
	const noRandomize = 0x0040000
	return s.settle(call(unix.SYS_PERSONALITY, noRandomize), decision{by: probe.BySeccomp}) // the kernel lets everybody
}

// syslog reads a byte of the kernel's log.
func syslog(s *scene) probe.Result {
	const readAll = 3
	_, err := unix.Klogctl(readAll, make([]byte, 16))
	d := decision{capabilities: []int{unix.CAP_SYSLOG, unix.CAP_SYS_ADMIN}, initial: true}
	if setting("kernel/dmesg_restrict") == "0" {
		d = decision{by: probe.BySeccomp} // the kernel lets everybody
	}
	return s.settle(err, d)
}

func kmsg(s *scene) probe.Result {
	d := byFile(unix.O_RDONLY)
	d.capabilities, d.initial = []int{unix.CAP_SYSLOG}, true // EPERM, where the mode would do
	r := s.settle(open("/dev/kmsg", unix.O_RDONLY), d)
	r.Detail = "/dev/kmsg"
	return r
}

func corePattern(s *scene) probe.Result {
	return s.opening("/proc/sys/kernel/core_pattern", unix.O_WRONLY)
}

func modprobePath(s *scene) probe.Result {
	return s.opening("/proc/sys/kernel/modprobe", unix.O_WRONLY)
}

func sysrq(s *scene) probe.Result { return s.opening("/proc/sysrq-trigger", unix.O_WRONLY) }

// cgroupMounts are the mounts of a kind of cgroup.
func cgroupMounts(kind string) []string {
	text, err := read("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	var dirs []string
	for line := range strings.Lines(text) {
		before, after, _ := strings.Cut(line, " - ")
		if f := strings.Fields(before); strings.HasPrefix(after, kind+" ") && len(f) > 4 {
			dirs = append(dirs, f[4])
		}
	}
	return dirs
}

// releaseAgent opens the program that the kernel starts, on the machine, when a version 1 cgroup is left.
func releaseAgent(s *scene) probe.Result {
	var names []string
	for _, dir := range cgroupMounts("cgroup") {
		names = append(names, path.Join(dir, "release_agent"))
	}
	return s.openings(names, unix.O_WRONLY, "no root of a version 1 cgroup is mounted")
}

// cgroupLimits opens the limits of its own cgroup.
func cgroupLimits(s *scene) probe.Result {
	var names []string
	for _, dir := range cgroupMounts("cgroup2") {
		names = append(names, path.Join(dir, "memory.max"), path.Join(dir, "cgroup.procs"))
	}
	for _, dir := range cgroupMounts("cgroup") {
		names = append(names, path.Join(dir, "memory.limit_in_bytes"), path.Join(dir, "cgroup.procs"))
	}
	return s.openings(names, unix.O_WRONLY, "no cgroup is mounted")
}
