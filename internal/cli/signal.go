package cli

import (
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

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
