package cli

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

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
	for prefix, base := range map[string]int{"SIGRTMIN": sigRTMin, "SIGRTMAX": sigRTMax} {
		rest, ok := strings.CutPrefix(name, prefix)
		if !ok {
			continue
		}
		n := 0
		if rest != "" {
			var err error
			if n, err = strconv.Atoi(rest); err != nil || rest[0] != '+' && rest[0] != '-' {
				return 0, bad
			}
		}
		if n += base; n >= sigRTMin && n <= sigRTMax {
			return syscall.Signal(n), nil
		}
	}
	return 0, bad
}

// signaller is what takes the forwarded signals.
type signaller interface{ Signal(syscall.Signal) error }

// forwardSignals passes this process's signals on to p: all but those that are about this process itself.
// resize, where not nil, is called for a changed window instead. The function returned ends it.
func forwardSignals(p signaller, resize func()) (stop func()) {
	c := make(chan os.Signal, 128)
	signal.Notify(c)
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-done:
				return
			case s := <-c:
				sig, ok := s.(syscall.Signal)
				switch {
				case !ok || sig == unix.SIGCHLD || sig == unix.SIGPIPE || sig == unix.SIGURG:
				case sig == unix.SIGWINCH && resize != nil:
					resize()
				default:
					_ = p.Signal(sig) // it may have ended
				}
			}
		}
	}()
	return func() {
		signal.Stop(c)
		close(done)
	}
}
