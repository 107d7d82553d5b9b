package runtime

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// exitCode ends the guest with itself.
type exitCode int

func (exitCode) Error() string { return "exit" }

// guest is what runs inside the containers. Its first argument names what to do.
func guest(args []string) int {
	if len(args) == 0 {
		return 0
	}
	do, ok := guestCommands[args[0]]
	if !ok {
		do, ok = attackCommands[args[0]]
	}
	if !ok {
		fmt.Fprintln(os.Stderr, "guest: unknown command", args[0])
		return 99
	}
	err := do(args[1:])
	if code, ok := errors.AsType[exitCode](err); ok {
		return int(code)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "guest:", err)
		return 1
	}
	return 0
}

var guestCommands map[string]func([]string) error

func init() {
	guestCommands = map[string]func([]string) error{
		"true":    func([]string) error { return nil },
		"exit":    func(a []string) error { n, err := strconv.Atoi(a[0]); return errors.Join(err, exitCode(n)) },
		"echo":    func(a []string) error { fmt.Println(strings.Join(a, " ")); return nil },
		"cat":     guestCat,
		"copy":    guestCopy,
		"write":   func(a []string) error { return os.WriteFile(a[0], []byte(a[1]), 0o644) },
		"ls":      guestList,
		"fds":     guestFds,
		"inherit": guestInherit,
		"machine": guestMachine,
		"sched":   guestSched,
		"stat":    guestStat,
		"links":   guestLinks,
		"env":     func([]string) error { fmt.Println(strings.Join(os.Environ(), "\n")); return nil },
		"pwd":     func([]string) error { d, err := os.Getwd(); fmt.Println(d); return err },
		"host":    func([]string) error { h, err := os.Hostname(); fmt.Println(h); return err },
		"mkdir":   func(a []string) error { return os.Mkdir(a[0], 0o755) },
		"umask":   func([]string) error { fmt.Printf("%04o\n", unix.Umask(0)); return nil },
		"sleep":   func(a []string) error { d, err := time.ParseDuration(a[0]); time.Sleep(d); return err },
		"undev":   guestUndev,
		"mknod":   func(a []string) error { return unix.Mknod(a[0], unix.S_IFBLK|0o666, int(unix.Mkdev(7, 0))) },
		"reopen":  guestReopen,
		"tty":     guestTTY,
		"type":    guestType,
		"signals": guestSignals,
		"orphan":  guestOrphan,
		"raise": func(a []string) error {
			n, err := strconv.Atoi(a[0])
			_ = unix.Kill(os.Getpid(), unix.Signal(n))
			time.Sleep(time.Minute)
			return err
		},
	}
}

func guestCat(paths []string) error {
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		_, _ = os.Stdout.Write(b)
	}
	return nil
}

// guestCopy writes stdin to a file.
func guestCopy(a []string) error {
	b, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	return os.WriteFile(a[0], b, 0o644)
}

func guestList(dirs []string) error {
	for _, d := range dirs {
		entries, err := os.ReadDir(d)
		if err != nil {
			return err
		}
		for _, e := range entries {
			fmt.Println(e.Name())
		}
	}
	return nil
}

// guestFds prints open descriptors, as system calls find them: reading /proc/self/fd opens one more.
func guestFds([]string) error {
	for fd := range 1024 {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
			link, _ := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
			if strings.HasPrefix(link, "anon_inode:[event") {
				continue // the Go runtime's own
			}
			fmt.Println(fd)
		}
	}
	return nil
}

// guestInherit prints the open descriptors and what can be read from those above 2.
func guestInherit([]string) error {
	var numbers, texts []string
	for fd := range 1024 {
		link, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
		if err != nil || strings.HasPrefix(link, "anon_inode:[event") {
			continue
		}
		buf := make([]byte, 64)
		if fd > 2 {
			n, err := unix.Read(fd, buf)
			if err != nil || n == 0 {
				continue // /proc/self/fd itself, or the runtime's
			}
			texts = append(texts, string(buf[:n]))
		}
		numbers = append(numbers, strconv.Itoa(fd))
	}
	fmt.Println(strings.Join(append(numbers, texts...), " "))
	return nil
}

// guestMachine prints what uname says that personality changes.
func guestMachine([]string) error {
	var name unix.Utsname
	err := unix.Uname(&name)
	fmt.Println(unix.ByteSliceToString(name.Machine[:]))
	return err
}

// guestSched prints policy, nice value, priority of input and output, and processors.
func guestSched([]string) error {
	attr, err := unix.SchedGetAttr(os.Getpid(), 0)
	if err != nil {
		return err
	}
	priority, _, errno := unix.Syscall(unix.SYS_IOPRIO_GET, 1, uintptr(os.Getpid()), 0)
	if errno != 0 {
		return errno
	}
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(os.Getpid(), &set); err != nil {
		return err
	}
	fmt.Println(attr.Policy, attr.Nice, priority>>13, priority&7, set.Count(), set.IsSet(0))
	return nil
}

func guestStat(paths []string) error {
	for _, p := range paths {
		var st unix.Stat_t
		if err := unix.Lstat(p, &st); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
		fmt.Printf("%s %o %d:%d\n", filepath.Base(p), st.Mode, st.Uid, st.Gid)
	}
	return nil
}

func guestLinks(paths []string) error {
	for _, p := range paths {
		l, err := os.Readlink(p)
		if err != nil {
			return err
		}
		fmt.Println(l)
	}
	return nil
}

// guestOverwrite is our program, executed in a container by /proc/self/exe: it holds on to its own
// file, becomes the guest, and so lets go of it, and opens it for writing.
func guestOverwrite() error {
	fd, err := unix.Open("/proc/self/exe", unix.O_PATH, 0)
	if err != nil {
		return fmt.Errorf("open our own file: %w", err)
	}
	path := "/proc/self/fd/" + strconv.Itoa(fd)
	err = unix.Exec("/bin/guest", []string{"guest", "reopen", path, "#!/bin/evil"}, nil)
	return fmt.Errorf("become the guest: %w", err)
}

// guestUndev takes nodev from a mount and opens a device.
func guestUndev(a []string) error {
	attr := unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_NODEV}
	if err := unix.MountSetattr(unix.AT_FDCWD, a[0], 0, &attr); err != nil {
		return fmt.Errorf("change mount: %w", err)
	}
	f, err := os.Open(a[1])
	if err != nil {
		return err
	}
	return f.Close()
}

// guestReopen opens a path for writing and writes; to a program that still runs, when it has ended.
func guestReopen(a []string) error {
	f, err := os.OpenFile(a[0], os.O_WRONLY, 0)
	for end := time.Now().Add(3 * time.Second); errors.Is(err, unix.ETXTBSY) && time.Now().Before(end); time.Sleep(time.Millisecond) {
		f, err = os.OpenFile(a[0], os.O_WRONLY, 0)
	}
	if err != nil {
		return err
	}
	_, err = f.WriteString(a[1])
	return err
}

// guestTTY reports on the terminal that stdin is.
func guestTTY([]string) error {
	name, err := os.Readlink("/proc/self/fd/0")
	if err != nil {
		return err
	}
	size, err := unix.IoctlGetWinsize(0, unix.TIOCGWINSZ)
	if err != nil {
		return err
	}
	sid, err := unix.Getsid(0)
	if err != nil {
		return err
	}
	foreground, err := unix.IoctlGetInt(0, unix.TIOCGPGRP)
	if err != nil {
		return err
	}
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err == nil {
		_ = tty.Close()
	}
	_, console := os.Stat("/dev/console")
	fmt.Printf("stdin %s\nsize %dx%d\nsession leader %v\nforeground %v\ncontrolling %v\nconsole %v\n",
		name, size.Row, size.Col, sid == os.Getpid(), foreground == unix.Getpgrp(), err == nil, console == nil)
	return nil
}

// guestType reads a line and then waits for exactly one SIGINT.
func guestType([]string) error {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, unix.SIGINT)
	fmt.Println("ready")
	line, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if err != nil || line != "ahoy\n" {
		return fmt.Errorf("read %q: %w", line, err)
	}
	fmt.Println("heard")
	<-signals
	select {
	case <-signals:
		return exitCode(8)
	case <-time.After(100 * time.Millisecond):
		return exitCode(7)
	}
}

// guestSignals prints signals until SIGTERM.
func guestSignals([]string) error {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, unix.SIGHUP, unix.SIGUSR1, unix.SIGWINCH, unix.SIGTERM)
	for s := range signals {
		fmt.Println(s)
		if s == unix.SIGTERM {
			return exitCode(3)
		}
	}
	return nil
}

// guestOrphan has children that die after their parents, and looks for zombies.
func guestOrphan(args []string) error {
	if len(args) > 0 {
		return exec.Command("/bin/guest", "true").Start() // not waited for
	}
	for range 5 {
		if err := exec.Command("/bin/guest", "orphan", "child").Run(); err != nil {
			return err
		}
	}
	time.Sleep(200 * time.Millisecond)
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(stats) == 0 {
		return fmt.Errorf("no processes: %w", err)
	}
	for _, s := range stats {
		b, _ := os.ReadFile(s)
		if strings.Contains(string(b), ") Z ") {
			return fmt.Errorf("zombie: %s", b)
		}
	}
	fmt.Println("no zombies")
	return nil
}
