package engine

import (
	"fmt"
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

// ParseSignal reads a signal by name (SIG optional, any case) or number, in docker's words.
func ParseSignal(s string) (syscall.Signal, error) {
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
