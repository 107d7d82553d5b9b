package probe

// kernelProbes are about the kernel.
var kernelProbes = []Probe{
	{
		Name: "bpf", Title: "load programs into the kernel", Family: Kernel, Severity: High,
		Syscall: "bpf(BPF_PROG_LOAD)",
		Decides: "CAP_BPF, or the sysctl kernel.unprivileged_bpf_disabled, and seccomp",
		Meaning: "Holes in the verifier are holes in the machine.",
	},
	{
		Name: "perf-event", Title: "use the kernel's counters", Family: Kernel, Severity: Medium,
		Syscall: "perf_event_open",
		Decides: "seccomp, and the sysctl kernel.perf_event_paranoid",
		Meaning: "Side channels, and a part of the kernel with many holes so far.",
	},
	{
		Name: "io-uring", Title: "use io_uring", Family: Kernel, Severity: High,
		Syscall: "io_uring_setup",
		Decides: "seccomp, and the sysctl kernel.io_uring_disabled",
		Meaning: "Its calls are seen by no filter, and its holes were many.",
	},
	{
		Name: "userfaultfd", Title: "hold the kernel in the middle of a copy", Family: Kernel, Severity: Low,
		Syscall: "userfaultfd",
		Decides: "CAP_SYS_PTRACE, or the sysctl vm.unprivileged_userfaultfd, and seccomp",
		Meaning: "Races in the kernel that were hard to win are won.",
	},
	{
		Name: "kernel-keyring", Title: "use the kernel's keyrings", Family: Kernel, Severity: Low,
		Syscall: "add_key",
		Decides: "seccomp",
		Meaning: "Keyrings are not of a container: with the same user id he sees those of others.",
	},
	{
		Name: "fanotify", Title: "watch and hold all accesses to files", Family: Kernel, Severity: Low,
		Syscall: "fanotify_init(FAN_CLASS_CONTENT)",
		Decides: "CAP_SYS_ADMIN in the initial user namespace, and seccomp",
		Meaning: "He sees each file that is opened on a mount, and can make everybody wait.",
	},
	{
		Name: "personality", Title: "turn off address randomisation", Family: Kernel, Severity: Low,
		Syscall: "personality(ADDR_NO_RANDOMIZE)",
		Decides: "seccomp",
		Meaning: "Exploits of programs that he starts need not guess addresses.",
	},
	{
		Name: "syslog", Title: "read the kernel's log by syslog", Family: Kernel, Severity: Low,
		Syscall: "syslog(SYSLOG_ACTION_READ_ALL)",
		Decides: "CAP_SYSLOG, or the sysctl kernel.dmesg_restrict, and seccomp",
		Meaning: "Addresses and hardware of the machine are in it.",
	},
	{
		Name: "kmsg", Title: "read the kernel's log by /dev/kmsg", Family: Kernel, Severity: Low,
		Syscall: "openat(/dev/kmsg, O_RDONLY)",
		Decides: "whether it is there, CAP_SYSLOG, and its mode",
		Meaning: "The same as by syslog, past a filter of that call.",
	},
	{
		Name: "core-pattern", Title: "have the machine start his program when one crashes", Family: Kernel, Severity: High,
		Syscall: "openat(/proc/sys/kernel/core_pattern, O_WRONLY)",
		Decides: "a read-only /proc/sys, and the file's owner",
		Meaning: "The program runs on the machine, as its root.",
	},
	{
		Name: "modprobe-path", Title: "have the machine start his program instead of modprobe", Family: Kernel, Severity: High,
		Syscall: "openat(/proc/sys/kernel/modprobe, O_WRONLY)",
		Decides: "a read-only /proc/sys, and the file's owner",
		Meaning: "The program runs on the machine, as its root.",
	},
	{
		Name: "sysrq", Title: "press the machine's magic keys", Family: Kernel, Severity: High,
		Syscall: "openat(/proc/sysrq-trigger, O_WRONLY)",
		Decides: "a read-only or masked path, and the file's owner",
		Meaning: "One letter reboots the machine, another crashes it.",
	},
	{
		Name: "release-agent", Title: "have the machine start his program when a cgroup is left", Family: Kernel, Severity: High,
		Syscall: "openat(release_agent, O_WRONLY)",
		Decides: "a read-only mount, and the file's owner",
		Meaning: "The program runs on the machine, as its root.",
	},
	{
		Name: "cgroup-limits", Title: "change his own limits", Family: Kernel, Severity: Medium,
		Syscall: "openat(memory.max, O_WRONLY)",
		Decides: "a read-only mount, and the file's owner",
		Meaning: "Memory and processor limits do not hold him.",
	},
}
