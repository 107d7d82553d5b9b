package lab

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/engine"
	"github.com/deckhand-engine/deckhand/internal/network"
	"github.com/deckhand-engine/deckhand/internal/runtime"
	"github.com/deckhand-engine/deckhand/oci"
)

// service is a container that was started.
type service struct {
	pid     int
	ports   []network.Port
	address netip.Addr // invalid where the host cannot reach it
	running *engine.Running
	started time.Time

	exited   chan struct{} // closed when its first process has ended; exit and ended are set then
	exit     runtime.Exit
	ended    time.Time
	released chan error // gets one value, when everything is given back
}

// audience hears from a service while it runs.
type audience struct {
	out    io.Writer
	errOut io.Writer            // nil: out
	user   func(oci.User) error // who it runs as; may be nil
}

// startService starts c.
func startService(ctx context.Context, c *engine.Container, to audience, now func() time.Time) (*service, error) {
	outR, outW, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make pipe: %w", err)
	}
	stdio := runtime.Stdio{Out: outW, Err: outW}
	readers, writers := []*os.File{outR}, []*os.File{outW}
	if to.errOut != nil {
		errR, errW, err := os.Pipe()
		if err != nil {
			closeAll(outR, outW)
			return nil, fmt.Errorf("make pipe: %w", err)
		}
		stdio.Err = errW
		readers, writers = append(readers, errR), append(writers, errW)
	}
	r, err := c.Start(ctx, stdio, to.user)
	closeAll(writers...)
	if err != nil {
		closeAll(readers...)
		return nil, err
	}
	s := &service{
		pid: r.Pid, ports: c.Ports(), address: c.Address(), running: r, started: now(),
		exited: make(chan struct{}), released: make(chan error, 1),
	}
	copied := make(chan struct{}, 2)
	for i, w := range []io.Writer{to.out, to.errOut}[:len(readers)] {
		go func() {
			_, _ = io.Copy(w, readers[i]) // until its last process has ended
			_ = readers[i].Close()        // read only
			copied <- struct{}{}
		}()
	}
	go func() {
		_, err := c.WaitAgain(ctx, r, func(exit runtime.Exit) {
			s.exit, s.ended = exit, now()
			close(s.exited)
		})
		for range readers {
			<-copied
		}
		s.released <- err
	}()
	return s, nil
}

func closeAll(files ...*os.File) {
	for _, f := range files {
		_ = f.Close() // a pipe
	}
}

// hasExited reports whether the service has ended by now.
func (s *service) hasExited() bool {
	select {
	case <-s.exited:
		return true
	default:
		return false
	}
}

// epitaph says how it ended, by itself.
func (s *service) epitaph() string {
	how := fmt.Sprintf("exited with code %d", s.exit.Code)
	if s.exit.Signal != 0 {
		how = "was killed by " + signalName(s.exit.Signal)
	}
	return fmt.Sprintf("the service %s after %.1f s", how, s.ended.Sub(s.started).Seconds())
}

func signalName(sig syscall.Signal) string {
	if name := unix.SignalName(sig); name != "" {
		return name
	}
	return "signal " + strconv.Itoa(int(sig))
}

// kill ends the service and returns when all of it is given back.
func (s *service) kill() error {
	_ = s.running.Signal(unix.SIGKILL) // it may have ended by itself
	return <-s.released
}

// stop asks the service to end, and kills it if it does not: killed says why it had to be, empty where it had not; late,
// that it could have heard the signal.
func (s *service) stop(ctx context.Context, sig syscall.Signal, patience time.Duration) (killed string, late bool, err error) {
	killed, late = fmt.Sprintf("it did not end within %.0f s of %s", patience.Seconds(), signalName(sig)), true
	if sig != unix.SIGKILL && s.deafTo(sig) {
		killed, late, patience = "it ignores "+signalName(sig), false, min(patience, deafTime)
	}
	_ = s.running.Signal(sig) // it may have ended by itself
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-s.exited:
		return "", false, <-s.released
	case <-ctx.Done():
		return "", false, s.kill()
	case <-timer.C:
		return killed, late, s.kill()
	}
}

// deafTime is how long a service that a signal cannot reach goes on before it is killed. With docker it does for all of
// the timeout, and what it has in hand has the time to reach the disk; the rest of that is nothing but waiting.
const deafTime = 3 * time.Second

// deafTo reports whether a signal cannot reach the service, so that waiting for its effect is in vain: the first
// process of a pid namespace gets only those that it catches, or blocks to fetch them.
func (s *service) deafTo(sig syscall.Signal) bool {
	threads, err := os.ReadDir("/proc/" + strconv.Itoa(s.pid) + "/task")
	if err != nil {
		return false
	}
	for _, t := range threads {
		status, err := os.ReadFile("/proc/" + strconv.Itoa(s.pid) + "/task/" + t.Name() + "/status")
		if err != nil || signalMask(status, "SigCgt")&(1<<(sig-1)) != 0 || signalMask(status, "SigBlk")&(1<<(sig-1)) != 0 {
			return false
		}
	}
	return len(threads) > 0
}

// signalMask reads a set of signals from a process's status; all of them where it cannot be read.
func signalMask(status []byte, name string) uint64 {
	for line := range strings.Lines(string(status)) {
		key, value, _ := strings.Cut(line, ":")
		if key != name {
			continue
		}
		if mask, err := strconv.ParseUint(strings.TrimSpace(value), 16, 64); err == nil {
			return mask
		}
	}
	return ^uint64(0)
}

// listens reports whether a socket of the container's network namespace listens on the TCP port.
func (s *service) listens(port uint16) bool {
	for _, table := range []string{"tcp", "tcp6"} {
		content, err := os.ReadFile("/proc/" + strconv.Itoa(s.pid) + "/net/" + table)
		if err == nil && slices.Contains(listeners(content), port) {
			return true
		}
	}
	return false
}

// listeners reads the ports that are listened on from a table of /proc/net, as proc(5) has it.
func listeners(table []byte) []uint16 {
	const listening = "0A"
	var ports []uint16
	for line := range strings.Lines(string(table)) {
		f := strings.Fields(line)
		if len(f) < 4 || f[3] != listening {
			continue
		}
		number := f[1][strings.LastIndexByte(f[1], ':')+1:]
		if n, err := strconv.ParseUint(number, 16, 16); err == nil {
			ports = append(ports, uint16(n))
		}
	}
	return ports
}
