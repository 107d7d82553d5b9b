package rootless

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/moby/sys/user"
)

// namespace makes a user namespace with the widest map the user may have; the caller closes it.
// What stands in the way of subordinate ids is noted.
func (s *SubIDs) namespace(code *os.File, notes io.Writer) (*os.File, error) {
	missing, fix := s.Missing, s.Fix
	if missing == "" {
		ns, err := makeNamespace(code, s.mapRanges)
		var refused *mapperError
		if !errors.As(err, &refused) {
			return ns, err
		}
		missing, fix = refused.Error(), refused.fix()
	}
	_, _ = fmt.Fprintf(notes, "deckhand: note: working with your own user id only: %s\n  fix:  %s\n", missing, fix)
	return makeNamespace(code, s.mapSelf)
}

// makeNamespace makes a user namespace, held by a process that waits while setMaps writes its maps.
func makeNamespace(code *os.File, setMaps func(pid int) error) (_ *os.File, err error) {
	hold, release, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make pipe: %w", err)
	}
	holder, err := start(procFD(code), []string{waitOrder}, &syscall.ProcAttr{
		Files: []uintptr{hold.Fd()},
		// the mount namespace only shows early whether the kernel would grant one
		Sys: &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS},
	})
	_ = hold.Close()
	if err != nil {
		_ = release.Close()
		return nil, refusal(err, readSysctl)
	}
	defer func() {
		_ = release.Close() // its standard input ends, and so does it
		_, waitErr := wait(holder)
		err = errors.Join(err, waitErr)
	}()
	if err := setMaps(holder); err != nil {
		return nil, err
	}
	ns, err := os.Open(procFile(holder, "ns/user"))
	if err != nil {
		return nil, fmt.Errorf("open user namespace: %w", err)
	}
	return ns, nil
}

// mapRanges has newuidmap and newgidmap, which may do so, write the maps; both at once.
func (s *SubIDs) mapRanges(pid int) error {
	uids, err := startMapper(s.uidMapper, mapperArgs(pid, s.uid, s.UIDs))
	if err != nil {
		return err
	}
	gids, err := startMapper(s.gidMapper, mapperArgs(pid, s.gid, s.GIDs))
	if err != nil {
		return errors.Join(uids.wait(), err)
	}
	return errors.Join(uids.wait(), gids.wait())
}

// mapperArgs map the user's own id to 0 and his ranges, one after the other, to 1 and up.
func mapperArgs(pid, own int, ranges []user.SubID) []string {
	args := []string{strconv.Itoa(pid), "0", strconv.Itoa(own), "1"}
	inside := int64(1)
	for _, r := range ranges {
		args = append(args, strconv.FormatInt(inside, 10), strconv.FormatInt(r.SubID, 10), strconv.FormatInt(r.Count, 10))
		inside += r.Count
	}
	return args
}

// mapper is a running newuidmap or newgidmap.
type mapper struct {
	path   string
	pid    int
	output *os.File
}

func startMapper(path string, args []string) (*mapper, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make pipe: %w", err)
	}
	pid, err := start(path, append([]string{path}, args...), &syscall.ProcAttr{
		Env:   os.Environ(),
		Files: []uintptr{^uintptr(0), w.Fd(), w.Fd()},
	})
	_ = w.Close()
	if err != nil {
		_ = r.Close()
		return nil, &mapperError{path, err.Error()}
	}
	return &mapper{path, pid, r}, nil
}

func (m *mapper) wait() error {
	output, _ := io.ReadAll(io.LimitReader(m.output, 4096)) // only for the message
	_ = m.output.Close()
	st, err := wait(m.pid)
	if err != nil {
		return err
	}
	if st.Exited() && st.ExitStatus() == 0 {
		return nil
	}
	message, _, _ := strings.Cut(string(bytes.TrimSpace(output)), "\n")
	return &mapperError{m.path, message}
}

// start starts a process without os.StartProcess's trial of pidfds, which forks once more.
func start(path string, argv []string, attr *syscall.ProcAttr) (pid int, err error) {
	pid, _, err = syscall.StartProcess(path, argv, attr)
	return pid, err
}

func wait(pid int) (st syscall.WaitStatus, err error) {
	for {
		_, err = syscall.Wait4(pid, &st, 0, nil)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		return st, fmt.Errorf("wait for process %d: %w", pid, err)
	}
	return st, nil
}

// A mapperError is a newuidmap or newgidmap that did not do its work.
type mapperError struct{ path, message string }

func (e *mapperError) Error() string { return fmt.Sprintf("%s: %s", e.path, e.message) }

// fix tells a program without its privilege from ranges it does not accept.
func (e *mapperError) fix() string {
	st, err := os.Stat(e.path)
	_, capsErr := unix.Lgetxattr(e.path, "security.capability", nil)
	if err == nil && st.Mode()&os.ModeSetuid == 0 && capsErr != nil {
		return "sudo apt install --reinstall uidmap   (the program has lost its setuid bit)"
	}
	if b, err := unix.PrctlRetInt(unix.PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0); err == nil && b == 1 {
		return "run deckhand where no_new_privs is not set: setuid programs have no effect there"
	}
	return "check your lines in /etc/subuid and /etc/subgid"
}

// mapSelf maps the user's own ids to 0, which needs no privilege but gives up setgroups.
func (s *SubIDs) mapSelf(pid int) error {
	for _, f := range []struct{ name, content string }{
		{"setgroups", "deny"},
		{"uid_map", fmt.Sprintf("0 %d 1", s.uid)},
		{"gid_map", fmt.Sprintf("0 %d 1", s.gid)},
	} {
		if err := os.WriteFile(procFile(pid, f.name), []byte(f.content), 0); err != nil {
			return fmt.Errorf("map own id: %w", err)
		}
	}
	return nil
}

func procFile(pid int, name string) string { return "/proc/" + strconv.Itoa(pid) + "/" + name }

// refusal says why the kernel does not make a user namespace, and what to type.
func refusal(err error, sysctl func(string) string) error {
	fix := ""
	switch {
	case sysctl("user.max_user_namespaces") == "0":
		fix = "user namespaces are switched off; allow them:  sudo sysctl -w user.max_user_namespaces=15000"
	case sysctl("kernel.unprivileged_userns_clone") == "0":
		fix = "only root may make them here; allow it:  sudo sysctl -w kernel.unprivileged_userns_clone=1"
	case sysctl("kernel.apparmor_restrict_unprivileged_userns") == "1":
		fix = "AppArmor restricts them; allow them:  sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
	case errors.Is(err, unix.ENOSPC):
		fix = fmt.Sprintf("too many (limit %s); allow more:  sudo sysctl -w user.max_user_namespaces=100000",
			sysctl("user.max_user_namespaces"))
	case errors.Is(err, unix.EINVAL):
		fix = "this kernel is built without CONFIG_USER_NS; run deckhand as root"
	default:
		return fmt.Errorf("make user namespace: %w", err)
	}
	return fmt.Errorf("make user namespace: %w\n  %s", err, fix)
}

// readSysctl returns "" for one that does not exist.
func readSysctl(name string) string {
	b, err := os.ReadFile("/proc/sys/" + strings.ReplaceAll(name, ".", "/"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
