package battery

import (
	"errors"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/guard/probe"
)

// scene is what a probe knows about where it is.
type scene struct {
	command string // the image's own program; empty: unknown
	fellow  int    // a process of the same user that is no child; 0: none
	foreign int    // a process of another user that is held for this; 0: none
	pinned  []any
	status  *status
}

// status is what the kernel says about this process.
type status struct {
	known        bool
	capabilities uint64
	filtered     bool // there is a seccomp filter
	noNewPrivs   bool
	nested       bool // not in the machine's own user namespace
}

// who reads the status once.
func (s *scene) who() *status {
	if s.status != nil {
		return s.status
	}
	s.status = &status{}
	text, err := read("/proc/self/status")
	if err != nil {
		return s.status
	}
	s.status.known = true
	s.status.capabilities, _ = strconv.ParseUint(field(text, "CapEff:"), 16, 64) // none where it cannot be read
	s.status.filtered = field(text, "Seccomp:") != "0"
	s.status.noNewPrivs = field(text, "NoNewPrivs:") == "1"
	if ids, err := read("/proc/self/uid_map"); err == nil {
		f := strings.Fields(ids)
		s.status.nested = len(f) != 3 || f[0] != "0" || f[1] != "0" || f[2] != "4294967295"
	}
	return s.status
}

// has reports whether the process has one of the capabilities.
func (s *scene) has(capabilities ...int) bool {
	return slices.ContainsFunc(capabilities, func(c int) bool { return s.who().capabilities>>c&1 == 1 })
}

// decision is what is known about who decides over a system call.
type decision struct {
	// capabilities are those of which one lets the call through; none: no capability matters.
	capabilities []int
	// initial says that they count in the machine's own user namespace only.
	initial bool
	// witness makes the same call in a way that fails in the kernel before any privilege is looked at, or that the
	// kernel allows to everybody. If it is refused too, it was not for want of a privilege: a filter did it.
	witness func() error
	// passed are errors that come only after privileges were looked at.
	passed []syscall.Errno
	// absent are errors that mean that there is nothing to try it on.
	absent []syscall.Errno
	// present reports whether this kernel has the call, so that ENOSYS is a filter's; nil: every kernel has it.
	present func() bool
	// optional says that kernels may lack the call, and that nothing shows which do.
	optional bool
	// by is who refuses where it is neither a filter nor a capability.
	by probe.By
}

func allowed(detail string) probe.Result {
	return probe.Result{Verdict: probe.Allowed, Detail: detail}
}

func absent(detail string) probe.Result {
	return probe.Result{Verdict: probe.Absent, Detail: detail}
}

func failed(detail string) probe.Result {
	return probe.Result{Verdict: probe.Failed, Detail: detail}
}

// settle makes a result of what a call returned.
func (s *scene) settle(err error, d decision) probe.Result {
	if err == nil {
		return allowed("")
	}
	errno, ok := errors.AsType[syscall.Errno](err)
	switch {
	case !ok:
		return failed(err.Error())
	case slices.Contains(d.passed, errno):
		return allowed("")
	case slices.Contains(d.absent, errno):
		return probe.Result{Verdict: probe.Absent, Errno: errno}
	case errno == unix.ENOSYS:
		return s.missing(d)
	case errno == unix.EPERM, errno == unix.EACCES, errno == unix.EROFS:
		return probe.Result{Verdict: probe.Denied, Errno: errno, By: s.by(errno, d)}
	case errno == unix.ENOSPC, errno == unix.EUSERS: // a limit of namespaces
		return probe.Result{Verdict: probe.Denied, Errno: errno, By: probe.ByKernel}
	}
	return probe.Result{Verdict: probe.Failed, Errno: errno, Detail: err.Error()}
}

// missing is the result of ENOSYS: the kernel does not have the call, or a filter says so.
func (s *scene) missing(d decision) probe.Result {
	r := probe.Result{Verdict: probe.Absent, Errno: unix.ENOSYS}
	switch {
	case !s.who().filtered:
		r.Detail = "this kernel does not have the call"
	case d.optional:
		r.Verdict = probe.Denied // or absent
	case d.present == nil, d.present():
		r.Verdict, r.By = probe.Denied, probe.BySeccomp
	}
	return r
}

// by says who refused, where that can be told.
func (s *scene) by(errno syscall.Errno, d decision) probe.By {
	w := s.who()
	switch {
	case errno == unix.EROFS:
		return probe.ByReadOnly
	case errno == unix.EACCES && d.by != "":
		return s.byMode(d)
	case !w.known:
		return ""
	case w.filtered:
		if by, certain := s.byFilter(errno, d); certain {
			return by
		}
	}
	return s.byPrivilege(d)
}

// byFilter says whether a filter refused; certain is false where it was something else. Without a witness nobody
// knows, unless the kernel had no reason.
func (s *scene) byFilter(errno syscall.Errno, d decision) (by probe.By, certain bool) {
	switch {
	case d.witness != nil:
		return probe.BySeccomp, refused(d.witness())
	case errno != unix.EPERM || d.by != "":
		return "", false
	case s.entitled(d):
		return probe.BySeccomp, true
	}
	return "", true
}

// byMode says who refused with EACCES.
func (s *scene) byMode(d decision) probe.By {
	if d.by == probe.ByOwner && s.who().nested && s.has(unix.CAP_DAC_OVERRIDE) {
		return probe.ByNamespace // the file belongs to nobody whom the namespace has
	}
	return d.by
}

// byPrivilege says who refused where it was no filter.
func (s *scene) byPrivilege(d decision) probe.By {
	switch {
	case d.by == probe.BySeccomp && !s.who().filtered: // a security module
		return ""
	case len(d.capabilities) == 0, s.entitled(d):
		return d.by
	case !s.has(d.capabilities...):
		return probe.ByCapability
	}
	return probe.ByNamespace
}

// entitled reports whether the process has what lets the call through.
func (s *scene) entitled(d decision) bool {
	return s.has(d.capabilities...) && (!d.initial || !s.who().nested)
}

// refused reports whether an error is one that filters give.
func refused(err error) bool {
	return errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EACCES)
}

// nowhere is an address that nothing is mapped at.
const nowhere = 1

// call makes a system call that package unix has no function for, or that it would not make with such arguments.
func call(trap uintptr, args ...uintptr) error {
	var a [6]uintptr
	copy(a[:], args)
	if _, _, errno := syscall.Syscall6(trap, a[0], a[1], a[2], a[3], a[4], a[5]); errno != 0 {
		return errno
	}
	return nil
}

// pin gives the address of a value that stays where it is while the scene lasts.
func pin[T any](s *scene, p *T) uintptr {
	s.pinned = append(s.pinned, p)
	return uintptr(unsafe.Pointer(p)) //nolint:gosec // on the heap, since s holds it
}

// closing closes the descriptor that a call returned and passes its error on.
func closing(fd int, err error) error {
	if err == nil {
		_ = unix.Close(fd) // nothing was written to it
	}
	return err
}

// read reads a small file of the kernel's.
func read(path string) (string, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer func() { _ = unix.Close(fd) }() // only read
	var text []byte
	buf := make([]byte, 16<<10)
	for {
		n, err := unix.Read(fd, buf)
		if n <= 0 || err != nil {
			return string(text), err
		}
		text = append(text, buf[:n]...)
	}
}

// setting is the content of a file below /proc/sys, empty if it cannot be read.
func setting(name string) string {
	text, err := read("/proc/sys/" + name)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(text)
}

// exists makes a decision's present of a path that only kernels with the call have.
func exists(path string) func() bool {
	return func() bool {
		var st unix.Stat_t
		return unix.Stat(path, &st) == nil
	}
}

// kernel makes a decision's present of the version that brought the call.
func kernel(major, minor int) func() bool {
	return func() bool { return kernelAtLeast(major, minor) }
}

func kernelAtLeast(major, minor int) bool {
	f := strings.FieldsFunc(setting("kernel/osrelease"), func(r rune) bool { return r < '0' || r > '9' })
	if len(f) < 2 {
		return false
	}
	have, _ := strconv.Atoi(f[0]) // 0 is older than all
	part, _ := strconv.Atoi(f[1])
	return have > major || have == major && part >= minor
}

// field is the first word behind a name at a line's start.
func field(text, name string) string {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			if f := strings.Fields(rest); len(f) > 0 {
				return f[0]
			}
		}
	}
	return ""
}

// list names what is in a directory; nothing where it cannot be read.
func list(dir string) []string {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer func() { _ = unix.Close(fd) }() // only read
	var names []string
	buf := make([]byte, 32<<10)
	for {
		n, err := unix.Getdents(fd, buf)
		if n <= 0 || err != nil {
			slices.Sort(names)
			return names
		}
		_, _, names = unix.ParseDirent(buf[:n], -1, names)
	}
}

// easiest makes calls until one succeeds: they are different ways to the same, of which a filter may know only some.
// If none does, the error is the first that a filter would not give.
func easiest(calls []func() error) error {
	var first error
	for _, c := range calls {
		err := c()
		if err == nil {
			return nil
		}
		if first == nil || errors.Is(first, unix.EPERM) || errors.Is(first, unix.ENOSYS) {
			first = err
		}
	}
	return first
}
