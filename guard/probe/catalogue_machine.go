package probe

// machineProbes are about the machine.
var machineProbes = []Probe{
	{
		Name: "kernel-module", Title: "load a module into the kernel", Family: Machine, Severity: High,
		Syscall: "init_module",
		Decides: "CAP_SYS_MODULE in the initial user namespace, and seccomp",
		Meaning: "He is the kernel.",
	},
	{
		Name: "kernel-memory", Title: "read the machine's memory", Family: Machine, Severity: High,
		Syscall: "openat(/proc/kcore, /dev/mem, O_RDONLY)",
		Decides: "CAP_SYS_RAWIO, masked paths, and device nodes",
		Meaning: "Keys and passwords of all processes of the machine are in it.",
	},
	{
		Name: "host-devices", Title: "use devices of the machine", Family: Machine, Severity: High,
		Syscall: "openat(block device, O_RDONLY)",
		Decides: "which device nodes are there, their modes, and the cgroup's list of devices",
		Meaning: "A disk can be read and written past all file permissions.",
	},
	{
		Name: "io-ports", Title: "use I/O ports", Family: Machine, Severity: High,
		Syscall: "iopl(3)",
		Decides: "CAP_SYS_RAWIO in the initial user namespace, and seccomp",
		Meaning: "He commands the hardware past the kernel.",
	},
	{
		Name: "reboot", Title: "reboot the machine", Family: Machine, Severity: High,
		Syscall: "reboot(LINUX_REBOOT_CMD_CAD_ON)",
		Decides: "CAP_SYS_BOOT in the initial process id namespace, and seccomp",
		Meaning: "The machine and all that runs on it go down.",
	},
	{
		Name: "set-clock", Title: "change the machine's time", Family: Machine, Severity: Medium,
		Syscall: "adjtimex(ADJ_TICK)",
		Decides: "CAP_SYS_TIME in the initial user namespace, and seccomp",
		Meaning: "Certificates and tokens that have expired are valid again, and logs are wrong.",
	},
	{
		Name: "process-accounting", Title: "log all processes of the machine", Family: Machine, Severity: Low,
		Syscall: "acct",
		Decides: "CAP_SYS_PACCT in the initial user namespace, and seccomp",
		Meaning: "He learns what everybody runs, or fills the disk.",
	},
}
