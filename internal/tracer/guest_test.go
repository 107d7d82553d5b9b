package tracer

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	markFirst = "/mark/first"
	markLast  = "/mark/last"
)

// guest is what runs inside the containers. Its first argument names what to do, between two marks.
func guest(args []string) int {
	do, ok := guestCommands()[args[0]]
	if !ok {
		fmt.Fprintln(os.Stderr, "guest: unknown command", args[0])
		return 99
	}
	runtime.LockOSThread()
	_ = unix.Access(markFirst, unix.F_OK)
	err := do(args[1:])
	_ = unix.Access(markLast, unix.F_OK)
	if err != nil {
		fmt.Fprintln(os.Stderr, "guest:", err)
		return 1
	}
	return 0
}

func guestCommands() map[string]func([]string) error {
	return map[string]func([]string) error{
		"files":   guestFiles,
		"paths":   guestPaths,
		"sockets": guestSockets,
		"ids":     guestIDs,
		"refused": guestRefused,
		"names":   guestNames,
		"drop":    guestDrop,
		"chroot":  guestChroot,
		"suid":    func([]string) error { return unix.Mkdir("/etc/made", 0o755) },
		"cpus":    guestCPUs,
		"stops":   guestStops,
		"threads": guestThreads,
		"execs":   guestExecs,
		"sleep":   func([]string) error { time.Sleep(time.Minute); return nil },
		"kids":    guestKids,
		"exit":    func([]string) error { return raw(unix.SYS_EXIT_GROUP, 42) },
	}
}

// expect is an error where the result of a call is another one.
func expect(what string, got, want error) error {
	if errors.Is(got, want) {
		return nil
	}
	return errors.Join(errors.New(what), got, errors.New("is not"), want)
}

// guestFiles is refused, by ownership and by a read-only mount.
func guestFiles([]string) error {
	_, readErr := unix.Open("/etc/secret", unix.O_RDONLY, 0)
	_, makeErr := unix.Open("/usr/new", unix.O_WRONLY|unix.O_CREAT, 0o644)
	fd, err := unix.Open("/home/user/file", unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	var st unix.Stat_t
	return errors.Join(err,
		expect("read", readErr, unix.EACCES),
		expect("make", makeErr, unix.EROFS),
		expect("mkdir", unix.Mkdir("/run/app", 0o755), unix.EACCES),
		expect("chown", unix.Chown("/home/user/file", 0, -1), unix.EPERM),
		expect("fchown", unix.Fchown(fd, -1, 7), unix.EPERM),
		expect("fchmod", unix.Fchmod(fd, 0o644), nil),
		expect("rename", unix.Rename("/home/user/file", "/etc/file"), unix.EACCES),
		expect("stat", unix.Stat("/nosuch", &st), unix.ENOENT), // nobody's business
		expect("stat", unix.Stat("/locked/x", &st), unix.EACCES),
		expect("symlink", unix.Symlink("../etc/passwd", "/home/user/link"), nil),
		expect("unlink", unix.Unlink("/home/user/link"), nil),
		expect("unlink", unix.Unlink("/home/user/link"), unix.ENOENT),
		expect("unlink", unix.Unlink("/home/user/link"), unix.ENOENT),
		expect("setxattr", unix.Setxattr("/home/user/file", "trusted.x", []byte("y"), 0), unix.EPERM),
	)
}

// guestPaths uses paths that are relative to something.
func guestPaths([]string) error {
	dir, err := unix.Open("/home", unix.O_DIRECTORY|unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	_, emptyErr := unix.Openat(dir, "", unix.O_RDONLY, 0)
	return errors.Join(
		emptyOnly(emptyErr),
		expect("mkdirat", unix.Mkdirat(dir, "user//./gone/", 0o755), nil),
		os.Chdir("/home/user/gone"),
		expect("mkdir", unix.Mkdir("sub", 0o755), nil),
		expect("rmdir", unix.Rmdir("../gone/sub"), nil),
		expect("rmdir", unix.Rmdir("/home/user/gone"), nil),
		expect("mkdir", unix.Mkdir("late", 0o755), unix.ENOENT),
		expect("bad descriptor", unix.Mkdirat(1000, "x", 0o755), unix.EBADF),
		expect("bad pointer", badPointer(), unix.EFAULT),
	)
}

func emptyOnly(err error) error { return expect("an empty path", err, unix.ENOENT) }

func badPointer() error {
	_, _, errno := unix.RawSyscall(unix.SYS_CHROOT, 8, 0, 0)
	return errno
}

func guestSockets([]string) error {
	tcp, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	tcp6, err6 := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM, 0)
	local, errLocal := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0)
	_, rawErr := unix.Socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP)
	_, packetErr := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, 0)
	return errors.Join(err, err6, errLocal,
		expect("raw", rawErr, unix.EPERM),
		expect("packet", packetErr, unix.EPERM),
		expect("bind", unix.Bind(tcp, &unix.SockaddrInet4{Port: 80}), unix.EACCES),
		expect("bind", unix.Bind(tcp, &unix.SockaddrInet4{Port: 8080}), nil),
		expect("listen", unix.Listen(tcp, 1), nil),
		expect("bind6", unix.Bind(tcp6, &unix.SockaddrInet6{Port: 81}), unix.EACCES),
		os.Chdir("/run"),
		expect("bind unix", unix.Bind(local, &unix.SockaddrUnix{Name: "app.sock"}), unix.EACCES),
		expect("bind abstract", unix.Bind(local, &unix.SockaddrUnix{Name: "@name"}), nil),
		expect("connect unix", unix.Connect(local, &unix.SockaddrUnix{Name: "/run/nosuch"}), unix.ENOENT),
		expect("mark", unix.SetsockoptInt(tcp, unix.SOL_SOCKET, unix.SO_MARK, 1), unix.EPERM),
	)
}

func guestIDs([]string) error {
	same := ^uintptr(0)
	var limit unix.Rlimit
	_ = unix.Getrlimit(unix.RLIMIT_NOFILE, &limit)
	limit.Max++
	return errors.Join(
		expect("setuid", raw(unix.SYS_SETUID, 0, 0, 0), unix.EPERM),
		expect("setuid", raw(unix.SYS_SETUID, 0, 0, 0), unix.EPERM),
		expect("setresuid", raw(unix.SYS_SETRESUID, same, 33, same), unix.EPERM),
		expect("setresgid", raw(unix.SYS_SETRESGID, same, same, same), nil),
		expect("setgroups", raw(unix.SYS_SETGROUPS, 0, 0, 0), unix.EPERM),
		expect("kill", unix.Kill(1, 0), nil),
		expect("nice", unix.Setpriority(unix.PRIO_PROCESS, 0, -5), unix.EACCES),
		expect("rlimit", unix.Prlimit(0, unix.RLIMIT_NOFILE, &limit, nil), unix.EPERM),
		expect("oom", os.WriteFile("/proc/self/oom_score_adj", []byte("-5"), 0), unix.EACCES),
	)
}

// guestRefused is refused by the filter.
func guestRefused([]string) error {
	_, _, errno := unix.RawSyscall(unix.SYS_KEYCTL, 0, 0, 0)
	_, _, newer := unix.RawSyscall(1000, 0, 0, 0)
	_, _, far := unix.RawSyscall(1<<20, 0, 0, 0)
	_, personality := personality(0xffffffff)
	_, other := personality2()
	return errors.Join(
		expect("keyctl", errno, unix.EPERM),
		expect("unknown", newer, unix.ENOSYS),
		expect("unknown", far, unix.ENOSYS),
		expect("mount", unix.Mount("x", "/tmp", "tmpfs", 0, ""), unix.EPERM),
		expect("personality", personality, nil),
		expect("personality", other, unix.EPERM),
		expect("unshare", unix.Unshare(unix.CLONE_NEWUSER), unix.EPERM),
	)
}

func personality(p uintptr) (uintptr, error) {
	old, _, errno := unix.RawSyscall(unix.SYS_PERSONALITY, p, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return old, nil
}

func personality2() (uintptr, error) { return personality(0x1234) }

// guestNames has a thread call itself something.
func guestNames([]string) error {
	name := []byte("a \\name\n\x00")
	_, _, errno := unix.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_NAME, uintptr(unsafe.Pointer(&name[0])), 0)
	runtime.KeepAlive(name)
	if errno != 0 {
		return errno
	}
	return expect("mkdir", unix.Mkdir("/x", 0), unix.EACCES)
}

// raw makes a call for this thread alone: package syscall would have every thread make it.
func raw(number uintptr, args ...uintptr) error {
	args = append(args, 0, 0, 0)
	if _, _, errno := unix.RawSyscall(number, args[0], args[1], args[2]); errno != 0 {
		return errno
	}
	return nil
}

func guestDrop([]string) error {
	return errors.Join(raw(unix.SYS_SETGROUPS), raw(unix.SYS_SETRESGID, 7, 7, 7), raw(unix.SYS_SETRESUID, 7, 7, 7),
		expect("mkdir", unix.Mkdir("/x", 0), unix.EACCES))
}

func guestChroot([]string) error {
	return errors.Join(unix.Chroot("/home"), unix.Mkdir("/user/in", 0o755), os.Chdir("/user/in"), unix.Mkdir("side", 0o755))
}

// guestStops has itself and a child stopped.
func guestStops([]string) error {
	if err := unix.Kill(os.Getpid(), unix.SIGSTOP); err != nil {
		return err
	}
	cmd := exec.Command("/bin/sh", "-c", "kill -STOP $$; exec mkdir /tmp/again")
	if err := cmd.Start(); err != nil {
		return err
	}
	var status unix.WaitStatus
	if _, err := unix.Wait4(cmd.Process.Pid, &status, unix.WUNTRACED, nil); err != nil || !status.Stopped() {
		return fmt.Errorf("status %#x, %w", status, err)
	}
	var st unix.Stat_t
	err := expect("before", unix.Stat("/tmp/again", &st), unix.ENOENT)
	return errors.Join(err, unix.Kill(cmd.Process.Pid, unix.SIGCONT), cmd.Wait())
}

// guestCPUs prints how many CPUs there are, after binding itself to one, and for a new thread of another.
func guestCPUs([]string) error {
	count := func() int {
		var set unix.CPUSet
		_ = unix.SchedGetaffinity(0, &set)
		return set.Count()
	}
	all := count()
	var first unix.CPUSet
	_ = unix.SchedGetaffinity(0, &first)
	for n, cpu := first.Count(), 0; n > 1; cpu++ {
		if first.IsSet(cpu) {
			first.Clear(cpu)
			n--
		}
	}
	err := unix.SchedSetaffinity(0, &first)
	for range 100 {
		_ = unix.Access("/nosuch", 0)
	}
	one := count()
	other := make(chan int)
	go func() {
		runtime.LockOSThread()
		other <- count()
	}()
	fmt.Println(all, one, <-other)
	return err
}

// guestThreads works in many threads and children at once.
func guestThreads([]string) error {
	const workers = 8
	errs := make(chan error, 2*workers)
	for i := range workers {
		go func() {
			runtime.LockOSThread()
			for range 50 {
				_ = unix.Access("/shared", unix.F_OK)
			}
			errs <- unix.Mkdir(fmt.Sprintf("/tmp/%d", i), 0o755)
		}()
		go func() { errs <- exec.Command("/bin/true").Run() }()
	}
	var err error
	for range 2 * workers {
		err = errors.Join(err, <-errs)
	}
	return err
}

// guestExecs becomes another program from a thread that is not the first.
func guestExecs([]string) error {
	runtime.UnlockOSThread()
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		for unix.Gettid() == os.Getpid() {
			go func() { time.Sleep(time.Millisecond) }()
			runtime.UnlockOSThread()
			time.Sleep(time.Millisecond)
			runtime.LockOSThread()
		}
		_, _ = unix.Access("/nosuch-exec", 0), unix.Exec("/nosuch", []string{"nosuch"}, nil)
		done <- unix.Exec("/bin/sh", []string{"sh", "-c", "exit 7"}, nil)
	}()
	return <-done
}

// guestKids leaves processes that live on.
func guestKids(args []string) error {
	cmd := exec.Command("/bin/sh", "-c", "(sleep 60 & sleep 60) & exec "+strings.Join(args, " "))
	return cmd.Run()
}
