package probe

// processesProbes are about other processes and limits.
var processesProbes = []Probe{
	{
		Name: "signal-foreign", Title: "end processes of other users", Family: Processes, Severity: Medium,
		Syscall: "kill(pid, 0)",
		Decides: "CAP_KILL",
		Meaning: "He stops what watches him.",
	},
	{
		Name: "ptrace-foreign", Title: "take over processes of other users", Family: Processes, Severity: High,
		Syscall: "ptrace(PTRACE_SEIZE)",
		Decides: "CAP_SYS_PTRACE, and seccomp",
		Meaning: "He reads and changes their memory and makes them do what he wants.",
	},
	{
		Name: "read-environ", Title: "read the environment of other users' processes", Family: Processes, Severity: High,
		Syscall: "openat(/proc/PID/environ)",
		Decides: "CAP_SYS_PTRACE",
		Meaning: "Passwords and tokens are handed over there.",
	},
	{
		Name: "read-memory", Title: "read the memory of other users' processes", Family: Processes, Severity: High,
		Syscall: "process_vm_readv",
		Decides: "CAP_SYS_PTRACE, and seccomp",
		Meaning: "Keys that are in no file are in memory.",
	},
	{
		Name: "ptrace-own", Title: "take over processes of the same user", Family: Processes, Severity: Low,
		Syscall: "ptrace(PTRACE_SEIZE)",
		Decides: "seccomp, and Yama's kernel.yama.ptrace_scope",
		Meaning: "He moves from the worker with the hole to the one with the keys.",
	},
	{
		Name: "raise-limit", Title: "raise limits that were set for him", Family: Processes, Severity: Low,
		Syscall: "setrlimit",
		Decides: "CAP_SYS_RESOURCE",
		Meaning: "Limits of processes and files hold others and not him.",
	},
	{
		Name: "raise-priority", Title: "go before all others", Family: Processes, Severity: Low,
		Syscall: "setpriority(-5)",
		Decides: "CAP_SYS_NICE, or RLIMIT_NICE",
		Meaning: "He takes the processor from other containers.",
	},
	{
		Name: "tty-injection", Title: "type into the terminal he was started from", Family: Processes, Severity: Medium,
		Syscall: "ioctl(TIOCSTI)",
		Decides: "the sysctl dev.tty.legacy_tiocsti, and seccomp",
		Meaning: "What he types is read by the shell of who started the container.",
	},
}
