package battery

import (
	"errors"
	"path"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/guard/probe"
)

func machines() []trial {
	return []trial{
		{"kernel-module", kernelModule},
		{"kernel-memory", kernelMemory},
		{"host-devices", hostDevices},
		{"io-ports", ioPorts},
		{"reboot", reboot},
		{"set-clock", setClock},
		{"process-accounting", processAccounting},
	}
}

// kernelModule hands the kernel a module that is none: ENOEXEC is said after privileges were looked at.
func kernelModule(s *scene) probe.Result {
	image := [16]byte{'n', 'o', ' ', 'm', 'o', 'd', 'u', 'l', 'e'}
	var none [1]byte
	err := call(unix.SYS_INIT_MODULE, pin(s, &image), uintptr(len(image)), pin(s, &none))
	d := decision{capabilities: []int{unix.CAP_SYS_MODULE}, initial: true, passed: []syscall.Errno{unix.ENOEXEC}, present: exists("/proc/modules")}
	if setting("kernel/modules_disabled") == "1" {
		d.by = probe.ByKernel
	}
	r := s.settle(err, d)
	if errors.Is(err, unix.ENOSYS) && s.who().known && !exists("/proc/modules")() {
		return absent("this kernel has no modules")
	}
	return r
}

// kernelMemory opens what shows the kernel's or the machine's memory.
func kernelMemory(s *scene) probe.Result {
	var results []probe.Result
	for _, name := range []string{"/proc/kcore", "/dev/mem", "/dev/kmem", "/dev/port"} {
		r := s.opening(name, unix.O_RDONLY)
		if r.Errno == unix.EPERM {
			r.By = s.by(unix.EPERM, decision{capabilities: []int{unix.CAP_SYS_RAWIO}, initial: true, witness: byFile(unix.O_RDONLY).witness})
		}
		results = append(results, r)
	}
	return best(results, "neither /proc/kcore nor /dev/mem is here")
}

// ordinary are the device nodes that every container has.
func ordinary() []string {
	return []string{"null", "zero", "full", "random", "urandom", "tty", "console", "ptmx", "kmsg", "mem", "kmem", "port"}
}

// hostDevices opens the device nodes that an ordinary container does not have, for reading.
func hostDevices(s *scene) probe.Result {
	var results []probe.Result
	for _, name := range unusualDevices() {
		r := s.opening(name, unix.O_RDONLY)
		if r.Errno == unix.EPERM {
			r.By = probe.ByKernel // the cgroup's list of devices
		}
		if r.Verdict == probe.Allowed {
			return r
		}
		results = append(results, r)
	}
	return best(results, "no device of the machine is here")
}

// unusualDevices are the device nodes in /dev, without terminals.
func unusualDevices() []string {
	var names []string
	for _, dir := range []string{"/dev", "/dev/net", "/dev/mapper", "/dev/dri", "/dev/snd", "/dev/input"} {
		for _, entry := range list(dir) {
			var st unix.Stat_t
			name := path.Join(dir, entry)
			if unix.Lstat(name, &st) != nil || strings.HasPrefix(entry, "tty") || strings.HasPrefix(entry, "vcs") {
				continue
			}
			kind := st.Mode & unix.S_IFMT
			device := kind == unix.S_IFBLK || kind == unix.S_IFCHR
			if device && (dir != "/dev" || !slices.Contains(ordinary(), entry)) {
				names = append(names, name)
			}
		}
	}
	return names
}

// reboot sets what ctrl-alt-del does to what it does already. Where that is not the machine's but the container's,
// there is only the container to end.
func reboot(s *scene) probe.Result {
	command := unix.LINUX_REBOOT_CMD_CAD_OFF
	if setting("kernel/ctrl-alt-del") == "1" {
		command = unix.LINUX_REBOOT_CMD_CAD_ON
	}
	err := unix.Reboot(command)
	if errors.Is(err, unix.EINVAL) { // said after privileges were looked at, in a process id namespace
		return probe.Result{Verdict: probe.Denied, Errno: unix.EINVAL, By: probe.ByNamespace, Detail: "it would end no more than the container"}
	}
	return s.settle(err, decision{capabilities: []int{unix.CAP_SYS_BOOT}})
}

// setClock sets the length of the clock's tick to what it is.
func setClock(s *scene) probe.Result {
	const tick = 0x4000 // ADJ_TICK
	var now unix.Timex
	if _, err := unix.Adjtimex(&now); err != nil {
		return s.settle(err, decision{by: probe.BySeccomp})
	}
	now.Modes = tick
	_, err := unix.Adjtimex(&now)
	return s.settle(err, decision{
		capabilities: []int{unix.CAP_SYS_TIME},
		initial:      true,
		witness:      func() error { _, err := unix.Adjtimex(&unix.Timex{}); return err },
	})
}

// processAccounting asks for a log of all processes in a directory, where none can be: that is looked at after
// privileges.
func processAccounting(s *scene) probe.Result {
	root := [2]byte{'/', 0}
	return s.settle(call(unix.SYS_ACCT, pin(s, &root)), decision{
		capabilities: []int{unix.CAP_SYS_PACCT},
		initial:      true,
		present:      exists("/proc/sys/kernel/acct"),
		passed:       []syscall.Errno{unix.EISDIR},
	})
}
