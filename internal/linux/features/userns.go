package features

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/moby/sys/user"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/linux/rootless"
)

const nobody = 65534

func (p *prober) userNamespaces() Feature {
	return namespaceOutcome(tryFork(&syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS}), "")
}

// unprivilegedNamespaces tries as a user without any privilege.
func (p *prober) unprivilegedNamespaces() Feature {
	err := onThread(func() error {
		// raw system calls change this thread only
		for _, call := range [...]uintptr{unix.SYS_SETRESGID, unix.SYS_SETRESUID} {
			if _, _, errno := unix.RawSyscall(call, nobody, nobody, nobody); errno != 0 {
				return fmt.Errorf("become nobody: %w", errno)
			}
		}
		return tryFork(&syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS})
	})
	return namespaceOutcome(err, "deckhand works without root")
}

func namespaceOutcome(err error, detail string) Feature {
	if err == nil {
		return yes(detail)
	}
	if forbidden, ok := errors.AsType[*rootless.ForbiddenError](rootless.Refusal(err)); ok {
		return no(forbidden.Why, forbidden.Fix)
	}
	return no(err.Error(), "")
}

func (p *prober) subordinateIDs() Feature {
	if p.inside {
		return yes(fmt.Sprintf("%d ids mapped here", rootless.IDCount()))
	}
	s, err := rootless.Lookup()
	if err != nil {
		return no(err.Error(), "")
	}
	if p.root {
		return yes("not needed by root")
	}
	if s.Missing != "" {
		return no(s.Missing+": containers see one user id only", s.Fix)
	}
	return mappedOutcome(s, s.Try())
}

func mappedOutcome(s *rootless.SubIDs, err error) Feature {
	var unmapped *rootless.MapError
	var forbidden *rootless.ForbiddenError
	switch {
	case err == nil:
		return yes(fmt.Sprintf("%d uids, %d gids", count(s.UIDs), count(s.GIDs)))
	case errors.As(err, &unmapped):
		return no(unmapped.Error(), unmapped.Fix())
	case errors.As(err, &forbidden):
		return no(forbidden.Why, forbidden.Fix)
	}
	return no(err.Error(), "")
}

func count(ranges []user.SubID) (n int64) {
	for _, r := range ranges {
		n += r.Count
	}
	return n
}
