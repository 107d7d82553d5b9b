package probe

// filesProbes are about files.
var filesProbes = []Probe{
	{
		Name: "read-shadow", Title: "read the passwords' hashes", Family: Files, Severity: High,
		Syscall: "openat(/etc/shadow, O_RDONLY)",
		Decides: "the file's owner and mode (or CAP_DAC_OVERRIDE)",
		Meaning: "Hashes are broken elsewhere, and people use passwords twice.",
	},
	{
		Name: "read-root-file", Title: "read a file that is for root alone", Family: Files, Severity: High,
		Syscall: "openat(file of mode 0600, O_RDONLY)",
		Decides: "the file's owner and mode (or CAP_DAC_OVERRIDE)",
		Meaning: "Private keys and credentials are usually such files.",
	},
	{
		Name: "service-account-token", Title: "read a token of the cluster or the cloud", Family: Files, Severity: High,
		Syscall: "openat(…/serviceaccount/token, O_RDONLY)",
		Decides: "whether one is mounted, and its mode",
		Meaning: "He talks to the cluster's API as the service.",
	},
	{
		Name: "write-passwd", Title: "change the accounts", Family: Files, Severity: High,
		Syscall: "openat(/etc/passwd, O_WRONLY)",
		Decides: "the file's owner (or CAP_DAC_OVERRIDE), and a read-only root",
		Meaning: "A line with user id 0 and no password makes a way back.",
	},
	{
		Name: "write-etc", Title: "change the configuration", Family: Files, Severity: High,
		Syscall: "openat(/etc, O_TMPFILE)",
		Decides: "the directory's owner (or CAP_DAC_OVERRIDE), and a read-only root",
		Meaning: "Name resolution, certificates and what the service itself reads are his.",
	},
	{
		Name: "write-usr-bin", Title: "replace programs of the system", Family: Files, Severity: High,
		Syscall: "openat(/usr/bin, O_TMPFILE)",
		Decides: "the directory's owner (or CAP_DAC_OVERRIDE), and a read-only root",
		Meaning: "Whoever debugs the container or starts a script runs his programs.",
	},
	{
		Name: "write-path", Title: "put a program where others are looked for", Family: Files, Severity: High,
		Syscall: "openat(directory of PATH, O_TMPFILE)",
		Decides: "the directories' owners (or CAP_DAC_OVERRIDE), and a read-only root",
		Meaning: "A program of the same name in an earlier directory is started instead.",
	},
	{
		Name: "write-libraries", Title: "replace libraries", Family: Files, Severity: High,
		Syscall: "openat(/usr/lib, O_TMPFILE)",
		Decides: "the directories' owners (or CAP_DAC_OVERRIDE), and a read-only root",
		Meaning: "His code is in each process that is started.",
	},
	{
		Name: "write-workdir", Title: "write to the working directory", Family: Files, Severity: Medium,
		Syscall: "openat(., O_TMPFILE)",
		Decides: "the directory's owner (or CAP_DAC_OVERRIDE), and a read-only root",
		Meaning: "Where that is the service's code, he stays: a web shell, a changed template.",
	},
	{
		Name: "write-command", Title: "replace the service's own program", Family: Files, Severity: High,
		Syscall: "openat(the image's command, O_WRONLY)",
		Decides: "the file's owner (or CAP_DAC_OVERRIDE), and a read-only root",
		Meaning: "The next start of the service is his.",
	},
	{
		Name: "ld-preload", Title: "have every program load his library", Family: Files, Severity: High,
		Syscall: "openat(/etc/ld.so.preload, O_WRONLY)",
		Decides: "the file's owner (or CAP_DAC_OVERRIDE), and a read-only root",
		Meaning: "His code is in each process, and hides what he does.",
	},
	{
		Name: "write-cron", Title: "leave a job for cron", Family: Files, Severity: Medium,
		Syscall: "openat(/etc/cron.d, O_TMPFILE)",
		Decides: "the directories' owners (or CAP_DAC_OVERRIDE), and a read-only root",
		Meaning: "His program comes back after it was ended, as root.",
	},
	{
		Name: "write-root-home", Title: "write to root's home directory", Family: Files, Severity: Medium,
		Syscall: "openat(/root, O_TMPFILE)",
		Decides: "the directory's owner (or CAP_DAC_OVERRIDE), and a read-only root",
		Meaning: "An SSH key or a line of .bashrc there waits for the next administrator.",
	},
	{
		Name: "rename-root-file", Title: "remove files that belong to root", Family: Files, Severity: Medium,
		Syscall: "renameat(root's file)",
		Decides: "the directory's owner (or CAP_DAC_OVERRIDE), and a read-only root",
		Meaning: "Logs, programs and configuration can be exchanged or destroyed.",
	},
	{
		Name: "link-root-file", Title: "keep a hard link to a file of root's", Family: Files, Severity: Low,
		Syscall: "linkat(root's file)",
		Decides: "fs.protected_hardlinks, or the file's owner (or CAP_FOWNER)",
		Meaning: "A program with a hole, or a secret, stays after it was replaced.",
	},
	{
		Name: "package-manager", Title: "install tools by the package manager", Family: Files, Severity: Medium,
		Syscall: "openat(its database, O_RDWR)",
		Decides: "the database's owner (or CAP_DAC_OVERRIDE), and a read-only root",
		Meaning: "Compilers, scanners and miners are a command away.",
	},
	{
		Name: "exec-writable", Title: "run a program that he wrote to a directory", Family: Files, Severity: Medium,
		Syscall: "execve of a new file",
		Decides: "a writable directory that is not mounted noexec",
		Meaning: "Whatever he downloads he can run.",
	},
	{
		Name: "exec-memfd", Title: "run a program from memory", Family: Files, Severity: Low,
		Syscall: "memfd_create, execve",
		Decides: "seccomp, and vm.memfd_noexec",
		Meaning: "His program is in no file, and no scanner finds it.",
	},
}
