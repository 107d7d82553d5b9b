package runtime

import (
	"encoding/json"
	"fmt"
	"os"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/runtime/stage"
)

// listener connects to the supervisor of a filter's calls (linux.seccomp.listenerPath), and has the child
// send it the listener with the state of the process (runtime-spec, "The Container Process State").
func (c *starting) listener(p *preparer, plan *stage.Plan, s *specs.Spec, state stateFunc) error {
	if plan.SeccompFlags&unix.SECCOMP_FILTER_FLAG_NEW_LISTENER == 0 {
		return nil
	}
	if state == nil {
		return &UnsupportedError{"linux.seccomp.listenerPath"}
	}
	profile := s.Linux.Seccomp
	text, err := state(c.process.Pid, specs.StateCreating)
	if err != nil {
		return err
	}
	message := struct {
		specs.ContainerProcessState
		State json.RawMessage `json:"state"`
	}{
		ContainerProcessState: specs.ContainerProcessState{
			Version: s.Version, Fds: []string{specs.SeccompFdName}, Pid: c.process.Pid, Metadata: profile.ListenerMetadata,
		},
		State: text,
	}
	if plan.NotifyMessage, err = json.Marshal(message); err != nil {
		return fmt.Errorf("linux.seccomp.listenerPath: write state: %w", err)
	}
	sock, err := socketAt(profile.ListenerPath, unix.SOCK_STREAM, unix.Connect)
	if err != nil {
		return fmt.Errorf("linux.seccomp.listenerPath: connect to %s: %w", profile.ListenerPath, err)
	}
	p.files = append(p.files, os.NewFile(uintptr(sock), profile.ListenerPath))
	plan.NotifyFd = len(p.files)
	return nil
}

// stateFunc is StartOptions.HookState.
type stateFunc func(pid int, status specs.ContainerState) ([]byte, error)
