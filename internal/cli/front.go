package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// A container that one can be detached from has two of our processes: the one that the shell waits for, the front, and
// one behind it that does the work. Detaching ends the front; the other leaves the terminal and watches on.

// frontVariable tells the process behind of its front: PID:DESCRIPTOR, of a socket between the two.
const frontVariable = "DECKHAND_FRONT"

// front is the process in front of this one, seen from behind.
type front struct {
	sock    *os.File
	keys    []byte // that detach; nil: none
	mortal  bool   // its end is ours; else it only leaves us alone
	pass    bool   // whether signals are passed on
	left    atomic.Bool
	leaving func() // on detaching; set by the attachment
}

// frontOptions are the flags about detaching.
type frontOptions struct {
	keys  string
	proxy bool
}

// needsFront: there may be a detaching, by keys at a terminal or by a signal that is not passed on.
func (a *app) needsFront(o frontOptions, tty, interactive bool) bool {
	return tty && interactive && term.IsTerminal(int(a.in.Fd())) || !o.proxy && !tty
}

// behind returns this process's front, nil without one. In a process that is to have one it becomes the front: it
// starts the other, and returns with done and the error to end with.
func (a *app) behind(ctx context.Context, o frontOptions, tty, interactive bool) (f *front, done bool, err error) {
	keys, err := parseDetachKeys(o.keys)
	if err != nil {
		return nil, true, engineError(err)
	}
	if !a.needsFront(o, tty, interactive) {
		return nil, false, nil
	}
	fd, ok := frontDescriptor()
	if !ok {
		return nil, true, a.beFront(ctx, o.proxy || tty)
	}
	f = &front{sock: os.NewFile(uintptr(fd), "front"), mortal: o.proxy || tty, pass: o.proxy || tty}
	if tty {
		f.keys = keys
	}
	return f, false, nil
}

// frontDescriptor finds the socket to the front. A variable that came from elsewhere names another parent.
func frontDescriptor() (int, bool) {
	pid, fd, _ := strings.Cut(os.Getenv(frontVariable), ":")
	if pid != strconv.Itoa(os.Getppid()) {
		return 0, false
	}
	n, err := strconv.Atoi(fd)
	return n, err == nil && n > 2
}

// beFront starts the process behind and ends as it does, or with 0 when it detaches.
func (a *app) beFront(ctx context.Context, pass bool) error {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return engineError(os.NewSyscallError("socketpair", err))
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "behind"), os.NewFile(uintptr(pair[1]), "front")
	defer func() { _ = ours.Close() }() // nothing is written
	const firstExtra = 3
	cmd := exec.CommandContext(context.WithoutCancel(ctx), "/proc/self/exe")
	cmd.Args = os.Args
	cmd.Stdin, cmd.Stdout, cmd.Stderr = a.in, a.out, a.err
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d:%d", frontVariable, os.Getpid(), firstExtra))
	cmd.ExtraFiles = []*os.File{theirs}
	caught := make(chan os.Signal, 64)
	if pass {
		signal.Notify(caught)
	}
	err = cmd.Start()
	_ = theirs.Close() // the other has it
	if err != nil {
		return engineError(fmt.Errorf("start a process behind: %w", err))
	}
	go passSignals(caught, cmd.Process)
	if n, _ := ours.Read(make([]byte, 1)); n == 1 {
		return nil // it has left the terminal, and watches on
	}
	return asEnded(cmd.Wait())
}

// passSignals passes on what is sent to the front alone. What a terminal sends, both have.
func passSignals(caught <-chan os.Signal, to *os.Process) {
	for sig := range caught {
		switch sig {
		case unix.SIGCHLD, unix.SIGPIPE, unix.SIGURG, unix.SIGWINCH, unix.SIGTTIN, unix.SIGTTOU:
		default:
			_ = to.Signal(sig) // it may have ended
		}
	}
}

// deaf takes signals that are not passed on: caught, they do not end the process behind.
type deaf struct{}

// Signal does nothing.
func (deaf) Signal(syscall.Signal) error { return nil }

// hears is who gets the signals that arrive behind the front.
func (f *front) hears(p signaller) signaller {
	if f == nil || f.pass {
		return p
	}
	return deaf{}
}

// asEnded has the front end as the process behind.
func asEnded(err error) error {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	if st, ok := exit.Sys().(syscall.WaitStatus); ok && st.Signaled() {
		return exitWith(128 + int(st.Signal()))
	}
	return exitWith(exit.ExitCode())
}

// watch is for when the namespaces are entered and nothing is executed again: what was for the process behind is
// nobody else's, and the front's end is noticed.
func (f *front) watch(leaving func()) {
	if f == nil {
		return
	}
	_ = os.Unsetenv(frontVariable) // it is there
	syscall.CloseOnExec(int(f.sock.Fd()))
	f.leaving = leaving
	go func() {
		_, _ = f.sock.Read(make([]byte, 1)) // ends with the front
		if f.mortal && !f.left.Load() {
			_ = unix.Kill(os.Getpid(), unix.SIGKILL) // as if it had been killed itself
		}
		f.detach()
	}()
}

// detach leaves the terminal and lets the front go.
func (f *front) detach() {
	if f.left.Swap(true) {
		return
	}
	f.leaving()
	_, _ = unix.Setsid() // the front leads the group
	_, _ = f.sock.Write([]byte{1})
}

func (o *frontOptions) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.keys, "detach-keys", "", "the key `sequence` for detaching (default: "+defaultDetachKeys+")")
}
