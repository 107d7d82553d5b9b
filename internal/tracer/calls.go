package tracer

import (
	"github.com/deckhand-engine/deckhand/internal/linux/seccomp"
)

// keep says what becomes of a call.
type keep uint8

const (
	count   keep = iota // counted, and never followed to its end
	denials             // followed, and kept where it was refused
	always              // followed and kept
	each                // followed and kept, also where it is like another
	writing             // denials, on a file that may refuse a write that it was opened for
)

// call is what the tracer does about a system call.
type call struct {
	name    string
	keep    keep
	keyArgs uint8               // arguments that tell calls apart
	decode  func(*entry)        // reads what the arguments point to; may be nil
	after   func(*watch, *task) // what its success changes for us; may be nil
	cpus    bool                // it shows, passes on or changes what CPUs a task may run on
	moves   bool                // it changes them
}

const (
	arg0 = 1 << iota
	arg1
	arg2
	arg3
)

// table is what is done about each system call, by number.
func table() []call {
	names := seccomp.Names()
	t := make([]call, len(names))
	for n, name := range names {
		t[n].name = name
	}
	for _, part := range [...]map[string]call{openCalls(), pathCalls(), lookCalls(), socketCalls(), identityCalls(), mountCalls(), otherCalls()} {
		for name, c := range part {
			if n, ok := seccomp.Number(name); ok { // the other architecture has more
				c.name = name
				t[n] = c
			}
		}
	}
	return t
}

func openCalls() map[string]call {
	return map[string]call{
		"open":      {keep: always, keyArgs: arg1, decode: (*entry).open, after: noteSpecial},
		"openat":    {keep: always, keyArgs: arg2, decode: (*entry).openat, after: noteSpecial},
		"openat2":   {keep: always, decode: (*entry).openat2, after: noteSpecial},
		"creat":     {keep: always, decode: changes(path(0), creates), after: noteSpecial},
		"truncate":  {keep: always, decode: changes(path(0))},
		"ftruncate": {keep: denials, decode: changes(file)},
		"fallocate": {keep: denials, decode: changes(file)},
		"write":     {keep: writing, decode: changes(file)},
		"writev":    {keep: writing, decode: changes(file)},
		"pwrite64":  {keep: writing, decode: changes(file)},
		"mq_open":   {keep: always, keyArgs: arg1, decode: (*entry).queue},
		"mq_unlink": {keep: always, decode: (*entry).queueName},
		"execve":    {keep: each, decode: (*entry).execve},
		"execveat":  {keep: each, decode: (*entry).execveat},
	}
}

func pathCalls() map[string]call {
	return map[string]call{
		"mkdir":             {keep: always, keyArgs: arg1, decode: changes(path(0), creates)},
		"mkdirat":           {keep: always, keyArgs: arg2, decode: changes(pathAt(0, 1), creates)},
		"mknod":             {keep: always, keyArgs: arg1 | arg2, decode: changes(path(0), creates)},
		"mknodat":           {keep: always, keyArgs: arg2 | arg3, decode: changes(pathAt(0, 1), creates)},
		"rmdir":             {keep: always, decode: changes(path(0))},
		"unlink":            {keep: always, decode: changes(path(0))},
		"unlinkat":          {keep: always, keyArgs: arg2, decode: changes(pathAt(0, 1))},
		"rename":            {keep: always, decode: changes(path(0), to, creates)},
		"renameat":          {keep: always, decode: changes(pathAt(0, 1), toAt(2, 3), creates)},
		"renameat2":         {keep: always, decode: changes(pathAt(0, 1), toAt(2, 3), creates)},
		"link":              {keep: always, decode: changes(path(0), to, creates)},
		"linkat":            {keep: always, decode: changes(pathAtOrFile(4), toAt(2, 3), creates)},
		"symlink":           {keep: always, decode: changes(to, target(0), creates)},
		"symlinkat":         {keep: always, decode: changes(toAt(1, 2), target(0), creates)},
		"chmod":             {keep: always, keyArgs: arg1, decode: changes(path(0))},
		"fchmod":            {keep: always, keyArgs: arg1, decode: changes(file)},
		"fchmodat":          {keep: always, keyArgs: arg2, decode: changes(pathAt(0, 1))},
		"fchmodat2":         {keep: always, keyArgs: arg2, decode: changes(pathAtOrFile(3))},
		"chown":             {keep: always, decode: changes(path(0), owner(1))},
		"lchown":            {keep: always, decode: changes(path(0), owner(1))},
		"fchown":            {keep: always, decode: changes(file, owner(1))},
		"fchownat":          {keep: always, decode: changes(pathAtOrFile(4), owner(2))},
		"utime":             {keep: always, decode: changes(path(0))},
		"utimes":            {keep: always, decode: changes(path(0))},
		"futimesat":         {keep: always, decode: changes(pathOrFile(0, 1))},
		"utimensat":         {keep: always, decode: changes(pathOrFile(0, 1))},
		"setxattr":          {keep: always, decode: changes(path(0), attribute(1))},
		"lsetxattr":         {keep: always, decode: changes(path(0), attribute(1))},
		"fsetxattr":         {keep: always, decode: changes(file, attribute(1))},
		"setxattrat":        {keep: always, decode: changes(pathAtOrFile(2), attribute(3))},
		"removexattr":       {keep: always, decode: changes(path(0), attribute(1))},
		"lremovexattr":      {keep: always, decode: changes(path(0), attribute(1))},
		"fremovexattr":      {keep: always, decode: changes(file, attribute(1))},
		"removexattrat":     {keep: always, decode: changes(pathAtOrFile(2), attribute(3))},
		"chroot":            {keep: always, decode: path(0), after: noteRoot},
		"file_setattr":      {keep: always, decode: changes(pathAtOrFile(4))},
		"name_to_handle_at": {keep: denials, decode: pathAtOrFile(4)},
		"open_by_handle_at": {keep: always},
	}
}

// lookCalls only look: of interest where even that is refused.
func lookCalls() map[string]call {
	return map[string]call{
		"access":            {keep: always, keyArgs: arg1, decode: path(0)},
		"faccessat":         {keep: always, keyArgs: arg2, decode: pathAt(0, 1)},
		"faccessat2":        {keep: always, keyArgs: arg2, decode: pathAtOrFile(3)},
		"stat":              {keep: denials, decode: path(0)},
		"lstat":             {keep: denials, decode: path(0)},
		"newfstatat":        {keep: denials, decode: pathAtOrFile(3)},
		"fstatat":           {keep: denials, decode: pathAtOrFile(3)},
		"statx":             {keep: denials, decode: pathAtOrFile(2)},
		"statfs":            {keep: denials, decode: path(0)},
		"readlink":          {keep: denials, decode: path(0)},
		"readlinkat":        {keep: denials, decode: pathAt(0, 1)},
		"chdir":             {keep: denials, decode: path(0)},
		"fchdir":            {keep: denials, decode: file},
		"getxattr":          {keep: denials, decode: path(0)},
		"lgetxattr":         {keep: denials, decode: path(0)},
		"fgetxattr":         {keep: denials, decode: file},
		"listxattr":         {keep: denials, decode: path(0)},
		"llistxattr":        {keep: denials, decode: path(0)},
		"inotify_add_watch": {keep: denials, decode: path(1)},
		"fanotify_mark":     {keep: always, decode: pathAt(3, 4)},
		"uselib":            {keep: always, decode: path(0)},
	}
}

func socketCalls() map[string]call {
	return map[string]call{
		"socket":     {keep: always, keyArgs: arg2, decode: (*entry).socket},
		"socketpair": {keep: denials, keyArgs: arg2, decode: (*entry).socket},
		"bind":       {keep: always, decode: (*entry).bind},
		"connect":    {keep: always, decode: (*entry).connect},
		"listen":     {keep: always, decode: (*entry).listen},
		"setsockopt": {keep: denials, keyArgs: arg1 | arg2, decode: (*entry).descriptor},
		"sendto":     {keep: count},
	}
}

func identityCalls() map[string]call {
	return map[string]call{
		"setuid":    {keep: each, decode: (*entry).setID, after: forget},
		"setgid":    {keep: each, decode: (*entry).setID},
		"setreuid":  {keep: each, decode: (*entry).setIDs, after: forget},
		"setregid":  {keep: each, decode: (*entry).setIDs},
		"setresuid": {keep: each, decode: (*entry).setIDs, after: forget},
		"setresgid": {keep: each, decode: (*entry).setIDs},
		"setfsuid":  {keep: each, decode: (*entry).setID, after: forget},
		"setfsgid":  {keep: each, decode: (*entry).setID},
		"setgroups": {keep: each, decode: (*entry).setGroups},
		"capset":    {keep: always},
		"prctl":     {keep: always, keyArgs: arg0 | arg1, decode: (*entry).prctl, after: forget},
		"keyctl":    {keep: always, keyArgs: arg0},
		"add_key":   {keep: always}, "request_key": {keep: always},
		"seccomp":       {keep: always, keyArgs: arg0},
		"personality":   {keep: denials, keyArgs: arg0},
		"setpgid":       {keep: denials},
		"setsid":        {keep: denials},
		"setrlimit":     {keep: always, keyArgs: arg0},
		"prlimit64":     {keep: denials, keyArgs: arg1, decode: (*entry).prlimit},
		"setpriority":   {keep: always, keyArgs: arg0 | arg2},
		"ioprio_set":    {keep: always, keyArgs: arg0 | arg2},
		"sched_setattr": {keep: always}, "sched_setparam": {keep: always},
		"sched_setscheduler": {keep: always, keyArgs: arg1},
		"sched_setaffinity":  {keep: always, cpus: true, moves: true},
		"sched_getaffinity":  {keep: denials, cpus: true},
		"kill":               {keep: denials, keyArgs: arg1}, "tkill": {keep: denials, keyArgs: arg1},
		"tgkill":            {keep: denials, keyArgs: arg2},
		"rt_sigqueueinfo":   {keep: denials, keyArgs: arg1},
		"pidfd_send_signal": {keep: denials, keyArgs: arg1},
		"pidfd_open":        {keep: denials}, "pidfd_getfd": {keep: denials},
		"ptrace":           {keep: always, keyArgs: arg0},
		"process_vm_readv": {keep: denials}, "process_vm_writev": {keep: denials},
		"process_madvise": {keep: denials}, "kcmp": {keep: denials},
	}
}

func mountCalls() map[string]call {
	return map[string]call{
		"mount":         {keep: always, keyArgs: arg3, decode: changes(path(1))},
		"umount2":       {keep: always, keyArgs: arg1, decode: changes(path(0))},
		"pivot_root":    {keep: always, decode: changes(path(0), to), after: noteRoot},
		"fsopen":        {keep: always, keyArgs: arg1},
		"fsconfig":      {keep: denials, keyArgs: arg1},
		"fsmount":       {keep: always, keyArgs: arg1 | arg2},
		"fspick":        {keep: always, decode: pathAtOrFile(-1)},
		"open_tree":     {keep: always, keyArgs: arg2, decode: pathAtOrFile(-1)},
		"move_mount":    {keep: always, decode: changes(pathAtOrFile(-1), toAt(2, 3))},
		"mount_setattr": {keep: always, decode: changes(pathAtOrFile(-1))},
		"swapon":        {keep: always, decode: path(0)},
		"swapoff":       {keep: always, decode: path(0)},
		"quotactl":      {keep: always, keyArgs: arg0},
		"unshare":       {keep: always, keyArgs: arg0, after: noteRoot},
		"setns":         {keep: always, keyArgs: arg1, after: noteRoot},
		"clone":         {keep: denials, keyArgs: arg0, cpus: true},
		"clone3":        {keep: denials, cpus: true}, "fork": {keep: denials, cpus: true}, "vfork": {keep: denials, cpus: true},
	}
}

// otherCalls are those that take a privilege, and say little more than that.
func otherCalls() map[string]call {
	m := map[string]call{
		"ioctl":          {keep: denials, keyArgs: arg1, decode: (*entry).descriptor},
		"fcntl":          {keep: denials, keyArgs: arg1, decode: file},
		"io_uring_setup": {keep: always},
		"acct":           {keep: always, decode: path(0)},
		"bpf":            {keep: always, keyArgs: arg0},
		"syslog":         {keep: always, keyArgs: arg0},
		"shmctl":         {keep: denials, keyArgs: arg1}, "semctl": {keep: denials, keyArgs: arg2}, "msgctl": {keep: denials, keyArgs: arg1},
	}
	for _, name := range [...]string{
		"perf_event_open", "userfaultfd", "fanotify_init", "init_module", "finit_module", "delete_module", "create_module", "kexec_load",
		"kexec_file_load", "reboot", "sethostname", "setdomainname", "settimeofday", "clock_settime", "iopl", "ioperm", "vhangup",
		"memfd_secret", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "nfsservctl", "lookup_dcookie",
	} {
		m[name] = call{keep: always}
	}
	for _, name := range [...]string{
		"adjtimex", "clock_adjtime", "mlock", "mlock2", "mlockall", "shmget", "shmat", "semget", "semop", "semtimedop", "msgget", "msgsnd",
		"msgrcv", "mbind", "set_mempolicy", "migrate_pages", "move_pages", "memfd_create", "io_uring_register", "timer_create",
		"get_robust_list", "modify_ldt", "statmount", "listmount",
	} {
		m[name] = call{keep: denials}
	}
	return m
}
