package probe

// identityProbes are about who one is.
var identityProbes = []Probe{
	{
		Name: "setuid-root", Title: "become root", Family: Identity, Severity: High,
		Syscall: "setuid(0)",
		Decides: "CAP_SETUID",
		Meaning: "Whatever root may do in the container is his.",
	},
	{
		Name: "setuid-other", Title: "become another user", Family: Identity, Severity: Medium,
		Syscall: "setuid(1)",
		Decides: "CAP_SETUID",
		Meaning: "He reads and changes the files of every other user, service accounts included.",
	},
	{
		Name: "setgroups", Title: "join any group", Family: Identity, Severity: Medium,
		Syscall: "setgroups([1])",
		Decides: "CAP_SETGID",
		Meaning: "Files that are open to a group (disk, docker, shadow) are open to him.",
	},
	{
		Name: "setuid-program", Title: "become root by a program with the setuid bit", Family: Identity, Severity: High,
		Syscall: "execve of a setuid program",
		Decides: "no_new_privs, and the mount's nosuid",
		Meaning: "Each hole in one of those programs makes him root.",
	},
	{
		Name: "sudo", Title: "become root by sudo or doas, without a password", Family: Identity, Severity: High,
		Syscall: "execve of sudo -n or doas -n",
		Decides: "sudoers, and no_new_privs",
		Meaning: "He is root, and need not look for a hole.",
	},
	{
		Name: "file-capability", Title: "give a program capabilities", Family: Identity, Severity: Medium,
		Syscall: "fsetxattr(security.capability)",
		Decides: "CAP_SETFCAP",
		Meaning: "He leaves a program behind that gives privileges to whoever starts it.",
	},
	{
		Name: "chown-away", Title: "give files to other users", Family: Identity, Severity: Low,
		Syscall: "fchown(own file, 1)",
		Decides: "CAP_CHOWN",
		Meaning: "Files that are not his appear to be another's, quotas and audits included.",
	},
	{
		Name: "chown-foreign", Title: "take files that belong to root", Family: Identity, Severity: High,
		Syscall: "fchownat(root's file, 1)",
		Decides: "CAP_CHOWN, and a read-only root",
		Meaning: "Each file of the container can be made his, /etc/shadow included.",
	},
	{
		Name: "chmod-foreign", Title: "change modes of files that belong to root", Family: Identity, Severity: Medium,
		Syscall: "fchmodat(root's file)",
		Decides: "the file's owner (or CAP_FOWNER), and a read-only root",
		Meaning: "What is closed to others is opened, and what is not executable becomes so.",
	},
}
