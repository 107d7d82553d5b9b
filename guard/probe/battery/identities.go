package battery

import (
	"errors"
	"os"
	"path"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/guard/probe"
)

func identities() []trial {
	return []trial{
		{"setuid-root", setuidRoot},
		{"setuid-other", setuidOther},
		{"setgroups", setGroups},
		{"setuid-program", setuidProgram},
		{"sudo", sudo},
		{"file-capability", fileCapability},
		{"chown-away", chownAway},
		{"chown-foreign", chownForeign},
		{"chmod-foreign", chmodForeign},
	}
}

// become changes the user of this thread.
func (s *scene) become(uid int) probe.Result {
	own := uintptr(os.Getuid())
	err := call(unix.SYS_SETUID, uintptr(uid))
	if errors.Is(err, unix.EINVAL) {
		return probe.Result{Verdict: probe.Denied, Errno: unix.EINVAL, By: probe.ByNamespace, Detail: "the user namespace does not have that user"}
	}
	return s.settle(err, decision{
		capabilities: []int{unix.CAP_SETUID},
		witness:      func() error { return call(unix.SYS_SETUID, own) },
	})
}

func setuidRoot(s *scene) probe.Result { return s.become(0) }

func setuidOther(s *scene) probe.Result { return s.become(otherID()) }

func setGroups(s *scene) probe.Result {
	gid := uint32(otherID()) //nolint:gosec // 1 or 2
	err := call(unix.SYS_SETGROUPS, 1, pin(s, &gid))
	if errors.Is(err, unix.EINVAL) {
		return probe.Result{Verdict: probe.Denied, Errno: unix.EINVAL, By: probe.ByNamespace, Detail: "the user namespace does not have that group"}
	}
	r := s.settle(err, decision{capabilities: []int{unix.CAP_SETGID}})
	if deny, err := read("/proc/self/setgroups"); err == nil && strings.TrimSpace(deny) == "deny" && r.Verdict == probe.Denied {
		r.By = probe.ByNamespace
	}
	return r
}

// fileCapability gives CAP_NET_RAW to a file of its own, in the attribute's version 2.
func fileCapability(s *scene) probe.Result {
	fd, err := ownFile()
	if err != nil {
		return s.settle(err, byFile(unix.O_TMPFILE|unix.O_RDWR))
	}
	defer func() { _ = unix.Close(fd) }() // it goes with its only descriptor
	value := []byte{1, 0, 0, 2, 0, 1 << (unix.CAP_NET_RAW % 8), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	return s.settle(unix.Fsetxattr(fd, "security.capability", value, 0), decision{
		capabilities: []int{unix.CAP_SETFCAP},
		witness:      func() error { return call(unix.SYS_FSETXATTR, ^uintptr(0), nowhere, nowhere, 0, 0) },
		absent:       []syscall.Errno{unix.EOPNOTSUPP},
	})
}

// chownAway gives a file of its own to another user.
func chownAway(s *scene) probe.Result {
	fd, err := ownFile()
	if err != nil {
		return s.settle(err, byFile(unix.O_TMPFILE|unix.O_RDWR))
	}
	defer func() { _ = unix.Close(fd) }() // it goes with its only descriptor
	return s.settle(unmapped(unix.Fchown(fd, otherID(), -1)), decision{
		capabilities: []int{unix.CAP_CHOWN},
		witness:      func() error { return call(unix.SYS_FCHOWN, ^uintptr(0), 0, 0) },
	})
}

// unmapped makes the error for users that a namespace does not have one of privilege.
func unmapped(err error) error {
	if errors.Is(err, unix.EINVAL) {
		return unix.EPERM
	}
	return err
}

// chownForeign gives a file of root's to another user, and back.
func chownForeign(s *scene) probe.Result {
	name := rootFile()
	err := easiest(chowns(name, otherID()))
	if err == nil {
		err = easiest(chowns(name, 0))
	}
	r := s.settle(unmapped(err), decision{
		capabilities: []int{unix.CAP_CHOWN},
		witness:      func() error { return easiest(chownsNowhere()) },
	})
	r.Detail = name
	return r
}

// chmodForeign sets the mode of a file of root's to what it is.
func chmodForeign(s *scene) probe.Result {
	name := rootFile()
	var st unix.Stat_t
	if err := unix.Lstat(name, &st); err != nil {
		return s.settle(err, decision{})
	}
	r := s.settle(easiest(chmods(name, st.Mode&0o7777)), decision{
		by:      probe.ByOwner,
		witness: func() error { return easiest(chmodsNowhere()) },
	})
	r.Detail = name
	return r
}

// setuidProgram starts a program that has root's setuid bit, and looks who it is. It does not get as far as its first
// instruction: the limit of memory ends it once the kernel has changed the user and before anything is mapped.
func setuidProgram(s *scene) probe.Result {
	name := setuidFile()
	if name == "" {
		return absent("no file that can be executed has root's setuid bit")
	}
	var memory, core unix.Rlimit
	if err := unix.Prlimit(0, unix.RLIMIT_AS, nil, &memory); err != nil {
		return failed("read the limit of memory: " + err.Error())
	}
	if err := unix.Prlimit(0, unix.RLIMIT_CORE, &unix.Rlimit{}, &core); err != nil {
		return failed("turn off core files: " + err.Error())
	}
	if err := unix.Prlimit(0, unix.RLIMIT_AS, &unix.Rlimit{Cur: 64 << 10, Max: memory.Max}, nil); err != nil {
		return failed("limit memory: " + err.Error())
	}
	pid, err := syscall.ForkExec(name, []string{name}, &syscall.ProcAttr{})
	_ = unix.Prlimit(0, unix.RLIMIT_AS, &memory, nil) // to go on; if not, this process ends with a message
	if err != nil {
		return s.settle(err, decision{by: probe.ByOwner})
	}
	uid := lastUser(pid)
	_, _ = unix.Wait4(pid, nil, 0, nil) // it ended by a signal, as was meant
	r := probe.Result{Verdict: probe.Denied, Detail: name}
	switch {
	case uid == "":
		return failed("who " + name + " ran as cannot be read")
	case uid == "0":
		r.Verdict = probe.Allowed
	case s.who().noNewPrivs:
		r.By = probe.ByNoNewPrivs
	default:
		r.By = probe.ByMount
	}
	return r
}

// lastUser is the effective user of a process that has ended and was not waited for.
func lastUser(pid int) string {
	for range 1000 {
		text, err := read(procFile(pid, "status"))
		if err != nil {
			return ""
		}
		if field(text, "State:") == "Z" {
			for line := range strings.Lines(text) {
				if f := strings.Fields(line); len(f) > 2 && f[0] == "Uid:" {
					return f[2]
				}
			}
		}
		_, _ = unix.Poll(nil, 1)
	}
	return ""
}

// setuidFile finds a program with root's setuid bit that this process may execute.
func setuidFile() string {
	dirs := append(programDirs(), "/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/lib/openssh", "/usr/lib/dbus-1.0", "/usr/libexec")
	for _, dir := range dirs {
		for _, entry := range list(dir) {
			var st unix.Stat_t
			name := path.Join(dir, entry)
			if unix.Lstat(name, &st) != nil || st.Uid != 0 || st.Mode&unix.S_IFMT != unix.S_IFREG || st.Mode&unix.S_ISUID == 0 {
				continue
			}
			if unix.Access(name, unix.X_OK) == nil {
				return name
			}
		}
	}
	return ""
}

// sudo has sudo or doas start this program as root, without a password.
func sudo(s *scene) probe.Result {
	name := program("sudo")
	if name == "" {
		name = program("doas")
	}
	if name == "" {
		return absent("neither sudo nor doas is in PATH")
	}
	self, err := os.Executable()
	if err != nil {
		return failed("find this program: " + err.Error())
	}
	text, err := output(name, []string{name, "-n", self, wordWhoAmI})
	switch {
	case err != nil:
		r := s.settle(err, decision{by: probe.ByOwner})
		r.Detail = name
		return r
	case strings.Contains("\n"+text, "\neuid 0\n"):
		return allowed(name)
	case s.who().noNewPrivs:
		return probe.Result{Verdict: probe.Denied, By: probe.ByNoNewPrivs, Detail: name}
	}
	first, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return probe.Result{Verdict: probe.Denied, By: probe.ByOwner, Detail: first}
}

// output is what a program prints, both streams.
func output(name string, argv []string) (string, error) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		return "", err
	}
	w := uintptr(p[1])
	pid, err := syscall.ForkExec(name, argv, &syscall.ProcAttr{
		Env: []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}, Files: []uintptr{0, w, w},
	})
	_ = unix.Close(p[1])                    // the child has its own
	defer func() { _ = unix.Close(p[0]) }() // read to its end
	if err != nil {
		return "", err
	}
	var text []byte
	buf := make([]byte, 4096)
	for {
		n, err := unix.Read(p[0], buf)
		if err == unix.EINTR {
			continue
		}
		if n <= 0 {
			break
		}
		text = append(text, buf[:n]...)
	}
	_, _ = unix.Wait4(pid, nil, 0, nil) // what it printed was the question
	return string(text), nil
}
