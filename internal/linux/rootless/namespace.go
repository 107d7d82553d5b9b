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
		var refused *MapError
		if !errors.As(err, &refused) {
			return ns, err
		}
		missing, fix = refused.Error(), refused.Fix()
	}
	_, _ = fmt.Fprintf(notes, "deckhand: note: working with your own user id only: %s\n  fix:  %s\n", missing, fix)
	return makeNamespace(code, s.mapSelf)
}

// Try makes a namespace with the subordinate ids, as Enter does, and drops it again. It fails with a
// *MapError or a *ForbiddenError where they know the fix.
func (s *SubIDs) Try() error {
	if s.Missing != "" {
		return errors.New(s.Missing)
	}
	code, err := joiner()
	if err != nil {
		return err
	}
	defer func() { _ = code.Close() }()
	ns, err := makeNamespace(code, s.mapRanges)
	if err != nil {
		return err
	}
	return ns.Close()
}

// NewNamespace makes a user namespace with the given maps (lines of /proc/pid/uid_map and gid_map);
// the caller, who needs the privilege for that, closes it.
func NewNamespace(uidMap, gidMap string) (*os.File, error) {
	code, err := joiner()
	if err != nil {
		return nil, err
	}
	defer func() { _ = code.Close() }()
	return makeNamespace(code, func(pid int) error {
		return writeMaps(pid, [][2]string{{"uid_map", uidMap}, {"gid_map", gidMap}})
	})
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
		return nil, Refusal(err)
	}
	defer func() {
		_ = release.Close() // its standard input ends, and so does it
		_, waitErr := wait(holder)
		err = errors.Join(err, waitErr)
	}()
	if err := setMaps(holder); err != nil {
		return nil, err
	}
	return namespaceOf(holder)
}

func namespaceOf(pid int) (*os.File, error) {
	ns, err := os.Open(procFile(pid, "ns/user"))
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
		return nil, &MapError{path, err.Error()}
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
	return &MapError{m.path, message}
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

// MapError is a newuidmap or newgidmap that did not do its work.
type MapError struct {
	Path    string // the program
	Message string // what it said
}

// Error is the program and its message.
func (e *MapError) Error() string { return e.Path + ": " + e.Message }

// Fix is what to do; it tells a program without its privilege from ranges it does not accept.
func (e *MapError) Fix() string {
	st, err := os.Stat(e.Path)
	_, capsErr := unix.Lgetxattr(e.Path, "security.capability", nil)
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
	return writeMaps(pid, [][2]string{
		{"setgroups", "deny"},
		{"uid_map", fmt.Sprintf("0 %d 1", s.uid)},
		{"gid_map", fmt.Sprintf("0 %d 1", s.gid)},
	})
}

func writeMaps(pid int, files [][2]string) error {
	for _, f := range files {
		if err := os.WriteFile(procFile(pid, f[0]), []byte(f[1]), 0); err != nil {
			return fmt.Errorf("map ids: %w", err)
		}
	}
	return nil
}

func procFile(pid int, name string) string { return "/proc/" + strconv.Itoa(pid) + "/" + name }

// ForbiddenError is a kernel that does not make user namespaces for the caller.
type ForbiddenError struct {
	Err error
	Why string
	Fix string // what to type
}

// Error is what to print: the reason, and on a line of its own the fix.
func (e *ForbiddenError) Error() string {
	return fmt.Sprintf("make user namespace: %v: %s\n  fix:  %s", e.Err, e.Why, e.Fix)
}

// Unwrap is the kernel's error.
func (e *ForbiddenError) Unwrap() error { return e.Err }

// Refusal finds out why clone or unshare did not make a user namespace: a *ForbiddenError where one of
// the known switches is off.
func Refusal(err error) error { return refusal(err, readSysctl) }

func refusal(err error, sysctl func(string) string) error {
	f := &ForbiddenError{Err: err}
	switch {
	case sysctl("user.max_user_namespaces") == "0":
		f.Why, f.Fix = "they are switched off", "sudo sysctl -w user.max_user_namespaces=15000"
	case sysctl("kernel.unprivileged_userns_clone") == "0":
		f.Why, f.Fix = "they are kept for root", "sudo sysctl -w kernel.unprivileged_userns_clone=1"
	case sysctl("kernel.apparmor_restrict_unprivileged_userns") == "1":
		f.Why, f.Fix = "AppArmor restricts them", "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
	case errors.Is(err, unix.ENOSPC):
		f.Why = "there are too many already, the limit is " + sysctl("user.max_user_namespaces")
		f.Fix = "sudo sysctl -w user.max_user_namespaces=100000"
	case errors.Is(err, unix.EINVAL):
		f.Why, f.Fix = "this kernel is built without CONFIG_USER_NS", "use a kernel with user namespaces"
	default:
		return fmt.Errorf("make user namespace: %w", err)
	}
	return f
}

// readSysctl returns "" for one that does not exist.
func readSysctl(name string) string {
	b, err := os.ReadFile("/proc/sys/" + strings.ReplaceAll(name, ".", "/"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
