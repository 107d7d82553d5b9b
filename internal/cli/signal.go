package cli

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Real-time signals as glibc and musl number them: the kernel's first two belong to the C library.
const (
	sigRTMin = 34
	sigRTMax = 64
)

// parseSignal reads a signal by name (SIG optional, any case) or number, in docker's words.
func parseSignal(s string) (syscall.Signal, error) {
	bad := fmt.Errorf("invalid signal: %s", s)
	if n, err := strconv.Atoi(s); err == nil {
		if n < 1 || n > sigRTMax {
			return 0, bad
		}
		return syscall.Signal(n), nil
	}
	name := "SIG" + strings.TrimPrefix(strings.ToUpper(s), "SIG")
	if sig := unix.SignalNum(name); sig != 0 {
		return sig, nil
	}
	if n := realTime(name); n >= sigRTMin && n <= sigRTMax {
		return syscall.Signal(n), nil
	}
	return 0, bad
}

// realTime is the number of SIGRTMIN+n or SIGRTMAX-n, -1 for any other name.
func realTime(name string) int {
	base, rest := sigRTMin, ""
	if r, ok := strings.CutPrefix(name, "SIGRTMIN"); ok {
		rest = r
	} else if r, ok := strings.CutPrefix(name, "SIGRTMAX"); ok {
		base, rest = sigRTMax, r
	} else {
		return -1
	}
	if rest == "" {
		return base
	}
	n, err := strconv.Atoi(rest)
	if err != nil || rest[0] != '+' && rest[0] != '-' {
		return -1
	}
	return base + n
}

// signaller is what takes the forwarded signals.
type signaller interface{ Signal(syscall.Signal) error }

// lateSignals is when the signals that hardly anybody sends are registered too: each costs a rendezvous
// with Go's signal thread, and most containers are done by then.
const lateSignals = 30 * time.Millisecond

// signals are this process's, caught to be passed on.
type signals struct{ c chan os.Signal }

// catchSignals begins to catch, before there is anything to pass them to: what arrives meanwhile waits.
// It holds until the program ends.
func catchSignals(tty bool) signals {
	s := signals{make(chan os.Signal, 128)}
	signal.Notify(s.c, unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2)
	if tty {
		signal.Notify(s.c, unix.SIGWINCH, unix.SIGTSTP)
	}
	time.AfterFunc(lateSignals, func() { signal.Notify(s.c) })
	return s
}

// forward passes them on to p: all but those that are about this process itself. resize, where not nil,
// is called for a changed window instead.
func (s signals) forward(p signaller, resize func()) {
	go func() {
		for sig := range s.c {
			sig, ok := sig.(syscall.Signal)
			switch {
			case !ok || sig == unix.SIGCHLD || sig == unix.SIGPIPE || sig == unix.SIGURG:
			case sig == unix.SIGWINCH && resize != nil:
				resize()
			default:
				_ = p.Signal(sig) // it may have ended
			}
		}
	}()
}
