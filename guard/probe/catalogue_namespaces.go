package probe

// namespacesProbes are about mounts and namespaces.
var namespacesProbes = []Probe{
	{
		Name: "mount", Title: "mount file systems", Family: Namespaces, Severity: High,
		Syscall: "mount(tmpfs)",
		Decides: "CAP_SYS_ADMIN, and seccomp",
		Meaning: "He mounts the machine's disk, or a control group whose agent runs on the machine.",
	},
	{
		Name: "new-mount-api", Title: "make file systems by the new calls", Family: Namespaces, Severity: High,
		Syscall: "fsopen, fsconfig, fsmount",
		Decides: "CAP_SYS_ADMIN, and seccomp",
		Meaning: "Filters that know only mount do not hold him.",
	},
	{
		Name: "remount-root", Title: "make a read-only root writable", Family: Namespaces, Severity: High,
		Syscall: "mount(MS_REMOUNT)",
		Decides: "CAP_SYS_ADMIN, and seccomp",
		Meaning: "A read-only root does not hold him.",
	},
	{
		Name: "pivot-root", Title: "exchange the root", Family: Namespaces, Severity: Medium,
		Syscall: "pivot_root",
		Decides: "CAP_SYS_ADMIN, and seccomp",
		Meaning: "He shows other processes another file system.",
	},
	{
		Name: "chroot", Title: "change the root of a process", Family: Namespaces, Severity: Medium,
		Syscall: "chroot(/)",
		Decides: "CAP_SYS_CHROOT",
		Meaning: "Who may do it can leave any other chroot, and fool setuid programs about /etc.",
	},
	{
		Name: "mknod", Title: "make device nodes", Family: Namespaces, Severity: High,
		Syscall: "mknodat(S_IFCHR)",
		Decides: "CAP_MKNOD, and the initial user namespace",
		Meaning: "With a node for the machine's disk, he or an accomplice outside reads it.",
	},
	{
		Name: "unshare", Title: "make namespaces", Family: Namespaces, Severity: Medium,
		Syscall: "unshare(CLONE_NEWNS)",
		Decides: "CAP_SYS_ADMIN, and seccomp",
		Meaning: "He prepares mounts where nobody sees them.",
	},
	{
		Name: "user-namespace", Title: "be root in a user namespace of his own", Family: Namespaces, Severity: High,
		Syscall: "clone(CLONE_NEWUSER)",
		Decides: "seccomp, and the sysctl user.max_user_namespaces",
		Meaning: "With all capabilities there, he reaches parts of the kernel that only root reaches otherwise.",
	},
	{
		Name: "clone3", Title: "do the same by a call that no filter can look into", Family: Namespaces, Severity: Medium,
		Syscall: "clone3(CLONE_NEWUSER)",
		Decides: "seccomp, and the sysctl user.max_user_namespaces",
		Meaning: "Filters of clone's flags do not hold him.",
	},
	{
		Name: "setns", Title: "enter namespaces of others", Family: Namespaces, Severity: High,
		Syscall: "setns",
		Decides: "CAP_SYS_ADMIN, and seccomp",
		Meaning: "With a namespace of the machine in reach he is outside.",
	},
	{
		Name: "open-by-handle", Title: "open files by number, past all directories", Family: Namespaces, Severity: High,
		Syscall: "open_by_handle_at",
		Decides: "CAP_DAC_READ_SEARCH in the initial user namespace, and seccomp",
		Meaning: "He reads any file of the machine's file system.",
	},
	{
		Name: "sethostname", Title: "change the host's name", Family: Namespaces, Severity: Low,
		Syscall: "sethostname",
		Decides: "CAP_SYS_ADMIN, and seccomp",
		Meaning: "Logs and certificates carry a name that he chose.",
	},
}
