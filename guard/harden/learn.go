package harden

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/deckhand-engine/deckhand/guard/observe"
	"github.com/deckhand-engine/deckhand/guard/proof"
)

// mostLessons is how often a list of system calls may turn out to be too short.
const mostLessons = 4

// lesson is what the last watched run of a candidate taught.
type lesson struct {
	candidate candidate
	refused   []string // system calls that it asks for and lives without
	tolerated []observe.Call
}

// learn finds the system calls that a candidate needs, and proves the result.
func (s *session) learn(ctx context.Context, c candidate) (*lesson, error) {
	out, err := s.try(ctx, test{phase: Learning, title: "watched, for its system calls", candidate: c, observe: true})
	if err != nil {
		return nil, err
	}
	if !out.Passed {
		return nil, &UnprovenError{Reason: "what was found does not work while it is watched", Outcome: *out}
	}
	l := &lesson{candidate: c, tolerated: tolerated(out.Record)}
	asked := union(s.asked, names(out.Record))
	l.candidate.syscalls = s.permitted(c, asked, always())
	if err := s.widen(ctx, l); err != nil {
		return nil, err
	}
	if err := s.narrow(ctx, l); err != nil {
		return nil, err
	}
	if err := s.confirm(ctx, l); err != nil {
		return nil, err
	}
	l.refused = without(asked, l.candidate.syscalls)
	return l, nil
}

// permitted joins lists of system calls, without what no container is let do.
func (s *session) permitted(c candidate, a, b []string) []string {
	return proof.Permitted(union(a, b), s.profile(c).Capabilities)
}

// without are the names that others lack.
func without(names, others []string) []string {
	var out []string
	for _, n := range names {
		if !slices.Contains(others, n) {
			out = append(out, n)
		}
	}
	return out
}

// always are allowed even if they were not seen: how a program ends and comes back from a signal, what a kernel without a
// usable vDSO is asked for the time, and what libraries do to their own memory and threads once in a while, which no
// trial can be relied on to show. They reach nothing but the process itself.
func always() []string {
	return []string{
		"brk", "clock_getres", "clock_gettime", "clock_nanosleep", "exit", "exit_group", "futex", "getcpu", "getpid", "gettid",
		"gettimeofday", "madvise", "mmap", "mprotect", "mremap", "munmap", "nanosleep", "restart_syscall", "rt_sigprocmask",
		"rt_sigreturn", "sched_yield", "time",
	}
}

// tolerated are the refusals of a run that passed, each kind once.
func tolerated(r *observe.Record) []observe.Call {
	const most = 40
	all := denials(r)
	return all[:min(most, len(all))]
}

// names are the system calls of a record, sorted.
func names(r *observe.Record) []string {
	return slices.Sorted(maps.Keys(r.Syscalls))
}

// widen sees that the candidate works with its list. What a service asks for is not the same in each run: where it does
// not work, the list grows.
func (s *session) widen(ctx context.Context, l *lesson) error {
	var out *Outcome
	for range mostLessons {
		var err error
		out, err = s.try(ctx, test{phase: Learning, title: "with its own system calls", candidate: l.candidate, fresh: out != nil})
		if err != nil || out.Passed {
			return err
		}
		if _, err := s.grow(ctx, l); err != nil {
			return err
		}
	}
	return &UnprovenError{Reason: "the service does not work with the system calls that it was seen to use", Outcome: *out}
}

// grow adds what the candidate asks for, watched under its own filter; if that is nothing new, what it asks for without
// one; and if that is nothing new either, what it asked for as root. It reports whether there was anything to add.
func (s *session) grow(ctx context.Context, l *lesson) (bool, error) {
	known := l.candidate.syscalls
	for _, syscalls := range [][]string{known, nil} {
		c := candidate{repairs: l.candidate.repairs, syscalls: syscalls}
		out, err := s.try(ctx, test{phase: Learning, title: "watched, for what it lacks", candidate: c, observe: true, fresh: true})
		if err != nil {
			return false, err
		}
		if out.Record != nil {
			l.candidate.syscalls = s.permitted(c, l.candidate.syscalls, names(out.Record))
		}
		if len(l.candidate.syscalls) > len(known) {
			return true, nil
		}
	}
	l.candidate.syscalls = s.permitted(l.candidate, known, names(s.asRoot.Record))
	return len(l.candidate.syscalls) > len(known), nil
}

// confirm plays the result once more, twice, unwatched and unremembered. A system call that is seldom made may be missing
// still; who fails for any other reason now does not work.
func (s *session) confirm(ctx context.Context, l *lesson) error {
	const times = 2
	for lessons, passed := 0, 0; passed < times; {
		title := fmt.Sprintf("the result, %d of %d", passed+1, times)
		out, err := s.try(ctx, test{phase: Proving, title: title, candidate: l.candidate, fresh: true})
		if err != nil {
			return err
		}
		if passed++; out.Passed {
			continue
		}
		lessons, passed = lessons+1, 0
		if grew, err := s.grow(ctx, l); err != nil || !grew || lessons == mostLessons {
			return errors.Join(err, &UnprovenError{Reason: "what was found does not work every time", Outcome: *out})
		}
	}
	return nil
}

// narrow takes privileged system calls away that the service asks for and does not need.
func (s *session) narrow(ctx context.Context, l *lesson) error {
	var risky, others []string
	for _, name := range l.candidate.syscalls {
		if isRisky(name) {
			risky = append(risky, name)
		} else {
			others = append(others, name)
		}
	}
	now := risky
	kept, err := minimal(ctx, risky, func(ctx context.Context, names []string) (bool, error) {
		c := candidate{repairs: l.candidate.repairs, syscalls: union(others, names)}
		title := "without " + listNames(without(now, names))
		out, err := s.try(ctx, test{phase: Learning, title: title, candidate: c})
		if err == nil && out.Passed {
			now = names
		}
		return err == nil && out.Passed, err
	})
	if err != nil {
		return err
	}
	l.candidate.syscalls = union(others, kept)
	return nil
}

// isRisky reports whether a system call is worth taking away from a service that asks for it without need: it changes
// who somebody is, what belongs to whom or what others do, or reaches into parts of the kernel that few need. Calls
// that keep data or make secrets (fsync, flock, getrandom) are never taken away, though many a service would not
// notice.
func isRisky(name string) bool {
	switch name {
	case "chroot", "mknod", "mknodat", "mount", "umount2", "pivot_root", "unshare", "setns", "ptrace", "capset", "bpf",
		"perf_event_open", "keyctl", "add_key", "request_key", "personality", "io_uring_setup", "io_uring_enter", "io_uring_register",
		"userfaultfd", "setrlimit", "setpriority", "sched_setscheduler", "sched_setparam", "sched_setattr", "ioprio_set",
		"setuid", "setgid", "setgroups", "setreuid", "setregid", "setresuid", "setresgid", "setfsuid",
		"setfsgid", "chown", "fchown", "lchown", "fchownat", "process_vm_readv", "process_vm_writev", "pidfd_getfd",
		"name_to_handle_at", "open_by_handle_at", "fanotify_init", "fanotify_mark", "seccomp",
		"mlockall", "syslog":
		return true
	}
	return false
}

func listNames(names []string) string {
	const most = 4
	if len(names) > most {
		return strings.Join(names[:most], ", ") + ", …"
	}
	return strings.Join(names, ", ")
}
