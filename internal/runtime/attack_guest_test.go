package runtime

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// attackCommands are what the guest can do to get out.
var attackCommands = map[string]func([]string) error{
	"fsopen":        guestFsopen,
	"fsopen-inside": func([]string) error { return newFilesystem() },
	"mount":         func(a []string) error { return unix.Mount("tmpfs", a[0], "tmpfs", 0, "") },
	"inject":        guestInject,
	"release-agent": guestReleaseAgent,
}

// guestFsopen configures a new filesystem, as it is or as root of a user namespace of its own
// (CVE-2022-0185 overflowed what fsconfig fills).
func guestFsopen([]string) error {
	direct := newFilesystem()
	if direct == nil {
		return nil
	}
	cmd := exec.Command("/bin/guest", "fsopen-inside")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("directly: %w; as root of another user namespace: %w %s", direct, err, out)
	}
	fmt.Print(string(out))
	return nil
}

func newFilesystem() error {
	fd, err := unix.Fsopen("tmpfs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return err
	}
	if err := unix.FsconfigSetString(fd, "size", "1m"); err != nil {
		return err
	}
	fmt.Println("configured a filesystem")
	return unix.Close(fd)
}

// guestInject types on the terminal that it was lent.
func guestInject([]string) error {
	key := byte('x')
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, 0, unix.TIOCSTI, uintptr(unsafe.Pointer(&key)))
	if errno == 0 {
		fmt.Println("typed on the terminal")
		return nil
	}
	tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("TIOCSTI: %w; %w", errno, err)
	}
	fmt.Println("opened the controlling terminal")
	return tty.Close()
}

// guestReleaseAgent has the kernel run a program of its choice, as root of the host, when a cgroup
// empties. The hierarchy has no controllers and no such program; it ends with its mount.
func guestReleaseAgent(a []string) error {
	dir := a[0]
	if err := unix.Mount("cgroup", dir, "cgroup", 0, "none,name="+a[1]); err != nil {
		return fmt.Errorf("mount a cgroup hierarchy: %w", err)
	}
	err := os.WriteFile(filepath.Join(dir, "release_agent"), []byte("/nosuch/program"), 0)
	if err == nil {
		var b []byte
		if b, err = os.ReadFile(filepath.Join(dir, "release_agent")); err == nil && strings.TrimSpace(string(b)) == "/nosuch/program" {
			fmt.Println("the kernel will run it")
		}
	}
	return errors.Join(err, unix.Unmount(dir, 0))
}
