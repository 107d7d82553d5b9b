package runtime

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const signalled = 128 // added to a signal's number to make an exit code

// Wait waits for the process to end; once.
func (p *Process) Wait() (Exit, error) {
	st, err := awaitEnd(p.handle)
	if err != nil {
		return Exit{}, fmt.Errorf("wait for the container: %w", err)
	}
	ws, ok := st.Sys().(syscall.WaitStatus)
	if !ok {
		return Exit{}, errors.New("wait for the container: no wait status")
	}
	if ws.Signaled() {
		return Exit{Code: signalled + int(ws.Signal()), Signal: ws.Signal()}, nil
	}
	return Exit{Code: ws.ExitStatus()}, nil
}

// awaitEnd waits for a child's end, and for nothing else: where a thread of this program traces the
// child, wait(2) would return to us the stops that are meant for the tracer.
func awaitEnd(p *os.Process) (*os.ProcessState, error) {
	var pollErr error
	err := p.WithHandle(func(pidfd uintptr) {
		for {
			_, pollErr = unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, -1)
			if !errors.Is(pollErr, unix.EINTR) {
				return
			}
		}
	})
	if pollErr != nil {
		return nil, pollErr
	}
	if err != nil && !errors.Is(err, os.ErrNoHandle) {
		return nil, err
	}
	return p.Wait()
}

// Signal sends by pidfd. os.ErrProcessDone where the process has ended.
func (p *Process) Signal(sig syscall.Signal) error {
	if err := p.handle.Signal(sig); err != nil {
		return fmt.Errorf("send %s: %w", unix.SignalName(sig), err)
	}
	return nil
}

// SignalPid signals a container's first process found by pid and start ticks (pidfd: never a reused
// pid). os.ErrProcessDone where it has ended.
func SignalPid(pid int, startTicks uint64, sig syscall.Signal) error {
	fd, err := openPid(pid, startTicks)
	if err != nil {
		return err
	}
	defer closeFd(fd)
	if err := unix.PidfdSendSignal(fd, sig, nil, 0); err != nil {
		if errors.Is(err, unix.ESRCH) {
			err = os.ErrProcessDone
		}
		return fmt.Errorf("send %s to %d: %w", unix.SignalName(sig), pid, err)
	}
	return nil
}

// awaitSlice bounds how late AwaitPid sees that its context has ended.
const awaitSlice = 100 * time.Millisecond

// AwaitPid waits for the end of a container's first process found by pid and start ticks, whoever its
// parent is. os.ErrProcessDone where it had ended before.
func AwaitPid(ctx context.Context, pid int, startTicks uint64) error {
	fd, err := openPid(pid, startTicks)
	if err != nil {
		return err
	}
	defer closeFd(fd)
	for ctx.Err() == nil {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(awaitSlice.Milliseconds()))
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("wait for %d: %w", pid, err)
		}
		if n > 0 {
			return nil
		}
	}
	return ctx.Err()
}

// openPid opens a pidfd of the process that has that pid and started at that time: the descriptor is
// opened first, so that it is the process looked at afterwards or one that has ended. startTicks 0
// takes any.
func openPid(pid int, startTicks uint64) (int, error) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		if errors.Is(err, unix.ESRCH) {
			err = os.ErrProcessDone
		}
		return -1, fmt.Errorf("find process %d: %w", pid, err)
	}
	if startTicks == 0 {
		return fd, nil
	}
	ticks, err := StartTicks(pid)
	if err != nil || ticks != startTicks {
		closeFd(fd)
		return -1, fmt.Errorf("find process %d: %w", pid, os.ErrProcessDone)
	}
	return fd, nil
}

// StartTicks reads field 22 of /proc/pid/stat, the process's start in clock ticks since boot.
func StartTicks(pid int) (uint64, error) {
	_, ticks, err := readStat(pid)
	return ticks, err
}

// Alive reports whether the process that started then still runs: not another one of that pid, nor one that has ended
// and waits to be reaped.
func Alive(pid int, startTicks uint64) bool {
	state, ticks, err := readStat(pid)
	return err == nil && state != 'Z' && state != 'X' && ticks == startTicks
}

// readStat reads the state of a process and its start in clock ticks since boot (proc_pid_stat(5)).
func readStat(pid int) (state byte, startTicks uint64, err error) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, 0, fmt.Errorf("read start time: %w", err)
	}
	// The name in parentheses may have anything in it, parentheses and spaces too.
	end := bytes.LastIndexByte(stat, ')')
	fields := bytes.Fields(stat[end+1:])
	const startTime = 22 - 3 // the first of fields is number 3
	if end < 0 || len(fields) <= startTime {
		return 0, 0, fmt.Errorf("read start time of %d: malformed stat", pid)
	}
	ticks, err := strconv.ParseUint(string(fields[startTime]), 10, 64)
	if err != nil {
		return 0, 0, fmt.Errorf("read start time of %d: %w", pid, err)
	}
	return fields[0][0], ticks, nil
}
