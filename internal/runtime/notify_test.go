package runtime

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// supervise takes one listener from a socket, answers the first call with an error, and gives the state
// that came along.
func supervise(l *net.UnixListener, errno unix.Errno) (*specs.ContainerProcessState, error) {
	conn, err := l.AcceptUnix()
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	text, oob := make([]byte, 64<<10), make([]byte, 128)
	n, oobn, _, _, err := conn.ReadMsgUnix(text, oob)
	if err != nil {
		return nil, err
	}
	state := &specs.ContainerProcessState{}
	if err := json.Unmarshal(text[:n], state); err != nil {
		return nil, err
	}
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil || len(messages) != 1 {
		return nil, fmt.Errorf("%d messages: %w", len(messages), err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return nil, err
	}
	defer closeFd(fds[0])
	const receive, send = 0xc0502100, 0xc0182101
	var call [80]byte
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fds[0]), receive, uintptr(unsafe.Pointer(&call))); e != 0 {
		return nil, e
	}
	answer := struct {
		id         [8]byte
		value      int64
		err, flags int32
	}{id: [8]byte(call[:8]), err: -int32(errno)}
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fds[0]), send, uintptr(unsafe.Pointer(&answer))); e != 0 {
		return nil, e
	}
	return state, nil
}

// TestSeccompListener has a supervisor decide a call, of the first process and of one that enters. The
// filter takes sendmsg from the container, and without no_new_privs it is loaded early.
func TestSeccompListener(t *testing.T) {
	for name, tt := range map[string]struct{ noNewPrivileges, exec bool }{
		"start": {true, false}, "exec": {true, true}, "start, early": {false, false}, "exec, early": {false, true},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "supervisor")
			l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			b := newBox(t, "guest", "mkdir", "/tmp/dir")
			b.o.HookState = func(pid int, status specs.ContainerState) ([]byte, error) {
				return json.Marshal(specs.State{ID: "box", Pid: pid, Status: status})
			}
			var p *Process
			if tt.exec {
				b.o.Spec.Process.Args = []string{"guest", "sleep", "1m"}
				p = b.start()
			}
			b.o.Spec.Process.NoNewPrivileges = tt.noNewPrivileges
			b.o.Spec.Linux.Seccomp = &specs.LinuxSeccomp{
				DefaultAction: specs.ActAllow, ListenerPath: path, ListenerMetadata: "meta",
				Syscalls: []specs.LinuxSyscall{{Names: []string{"mkdirat", "mkdir"}, Action: specs.ActNotify}},
			}
			type heard struct {
				state *specs.ContainerProcessState
				err   error
			}
			done := make(chan heard, 1)
			go func() {
				state, err := supervise(l, unix.EXDEV)
				done <- heard{state, err}
			}()
			var r result
			if tt.exec {
				r = execState(t, b, p, "guest", "mkdir", "/tmp/dir")
			} else {
				r = b.run()
			}
			if r.Code != 1 || !strings.Contains(r.err, "invalid cross-device link") {
				t.Errorf("%+v", r)
			}
			h := <-done
			if h.err != nil {
				t.Fatal(h.err)
			}
			pid := h.state.Pid
			want := &specs.ContainerProcessState{
				Version: specs.Version, Fds: []string{"seccompFd"}, Pid: pid, Metadata: "meta",
				State: specs.State{ID: "box", Pid: pid, Status: specs.StateCreating},
			}
			if diff := cmp.Diff(want, h.state); diff != "" || pid <= 0 {
				t.Error(diff)
			}
		})
	}
}

// execState runs a command with the box's HookState.
func execState(t *testing.T, b *box, p *Process, args ...string) result {
	t.Helper()
	out, outDone := collect(t)
	errs, errDone := collect(t)
	proc := *b.o.Spec.Process
	proc.Args = args
	e, err := Exec(t.Context(), ExecOptions{
		Pid: p.Pid, Spec: b.o.Spec, Process: &proc, Stdio: Stdio{Out: out, Err: errs}, HookState: b.o.HookState,
	})
	_ = out.Close()
	_ = errs.Close()
	if err != nil {
		t.Fatal(err)
	}
	exit, err := e.Wait()
	if err != nil {
		t.Fatal(err)
	}
	return result{exit, <-outDone, <-errDone}
}

// TestSeccompListenerMissing: without a supervisor nothing starts.
func TestSeccompListenerMissing(t *testing.T) {
	b := newBox(t, "guest")
	b.o.Spec.Linux.Seccomp = &specs.LinuxSeccomp{
		DefaultAction: specs.ActAllow, ListenerPath: "/no/such/socket",
		Syscalls: []specs.LinuxSyscall{{Names: []string{"mkdir", "mkdirat"}, Action: specs.ActNotify}},
	}
	var unsupported *UnsupportedError
	if _, err := b.try(t.Context()); !errors.As(err, &unsupported) {
		t.Errorf("without a state: %v", err)
	}
	b.o.HookState = func(int, specs.ContainerState) ([]byte, error) { return []byte("{}"), nil }
	b.o.Stdio = Stdio{}
	if _, err := b.try(t.Context()); err == nil || !strings.Contains(err.Error(), "linux.seccomp.listenerPath: connect to /no/such/socket") {
		t.Errorf("without a socket: %v", err)
	}
	noChildren(t)
}
