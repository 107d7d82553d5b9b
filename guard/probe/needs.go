package probe

// Needs are the system calls that the probe program itself is made of: the start of a Go program, processes, pipes.
// A filter that is to be probed has to allow them besides what it allows already. None of them is by itself what a
// probe asks for; those that a probe makes too (openat, execve, clone, prlimit64) it makes with other arguments.
// Names that an architecture does not have are among them. The caller owns the slice.
func Needs() []string {
	return []string{
		"arch_prctl", "clone", "close", "dup2", "dup3", "execve", "exit", "exit_group", "fcntl", "futex", "getpid", "gettid",
		"getuid", "geteuid", "getgid", "getegid", "madvise", "mmap", "munmap", "mprotect", "nanosleep", "openat", "pipe2",
		"poll", "ppoll", "prctl", "pread64", "prlimit64", "read", "readlinkat", "restart_syscall", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn",
		"sched_getaffinity", "sched_yield", "sigaltstack", "tgkill", "wait4", "write",
	}
}
