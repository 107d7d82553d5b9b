package harden

import (
	"context"
	"slices"

	"github.com/deckhand-engine/deckhand/guard/observe"
	"github.com/deckhand-engine/deckhand/guard/proof"
	"github.com/deckhand-engine/deckhand/guard/repair"
)

// minimise drops every repair that the service does not need, and makes the others smaller where that will do.
func (s *session) minimise(ctx context.Context, c candidate) (candidate, error) {
	fixed, free := s.kept(c)
	slices.SortStableFunc(free, func(a, b repair.Repair) int { return price(b) - price(a) }) // the dearest go first
	works := func(ctx context.Context, repairs []repair.Repair) (bool, error) {
		next, gone := c.only(slices.Concat(fixed, repairs)), missing(free, repairs)
		out, err := s.try(ctx, test{phase: Minimising, title: "without " + list(gone), candidate: next})
		switch {
		case err != nil:
			return false, err
		case out.Passed:
			free = repairs
		case len(gone) == 1:
			s.without[gone[0].String()] = out.Reason
		}
		return out.Passed, nil
	}
	repairs, err := minimal(ctx, free, works)
	if err != nil {
		return c, err
	}
	return s.shrink(ctx, c.only(slices.Concat(fixed, repairs)))
}

// price orders repairs by how much they give away or change: where one of two will do, the dearer goes.
func price(r repair.Repair) int {
	order := []repair.Kind{
		repair.Tmpfs, repair.Port, repair.Mode, repair.Chown, repair.Volume, repair.StripCaps, repair.Environ, repair.Workdir,
		repair.Passwd, repair.Entrypoint, repair.Config, repair.Capability, repair.ReadWrite, repair.Root,
	}
	return slices.Index(order, r.Kind)
}

// kept divides the repairs into those that the user wants in any case and the others.
func (s *session) kept(c candidate) (fixed, free []repair.Repair) {
	for _, r := range c.repairs {
		if r.Kind == repair.Capability && slices.Contains(s.o.Keep, r.Value) {
			fixed = append(fixed, r)
		} else {
			free = append(free, r)
		}
	}
	return fixed, free
}

// missing are the repairs that the second list lacks.
func missing(all, some []repair.Repair) []repair.Repair {
	return slices.DeleteFunc(slices.Clone(all), func(r repair.Repair) bool {
		return slices.ContainsFunc(some, func(o repair.Repair) bool { return same(o, r) })
	})
}

// shrink gives the user a directory without what is in it, where that will do.
func (s *session) shrink(ctx context.Context, c candidate) (candidate, error) {
	for i, r := range c.repairs {
		if !r.Recursive {
			continue
		}
		r.Recursive = false
		repairs := slices.Clone(c.repairs)
		repairs[i] = r
		out, err := s.try(ctx, test{phase: Minimising, title: "with " + r.String() + " only", candidate: c.only(repairs)})
		if err != nil {
			return c, err
		}
		if out.Passed {
			c = c.only(repairs)
		}
	}
	return c, nil
}

// lesson is what the last watched run of a candidate taught.
type lesson struct {
	candidate candidate
	refused   []string // system calls that it asks for and lives without
	tolerated []observe.Call
}

// learn finds the system calls that a candidate needs.
func (s *session) learn(ctx context.Context, c candidate) (*lesson, error) {
	out, err := s.try(ctx, test{phase: Learning, title: "watched, for its system calls", candidate: c, observe: true})
	if err != nil {
		return nil, err
	}
	if !out.Passed {
		return nil, &UnprovenError{Reason: "what was found does not work while it is watched", Outcome: *out}
	}
	l := &lesson{candidate: c, tolerated: tolerated(out.Record)}
	asked := names(out.Record)
	l.candidate.syscalls = s.permitted(c, asked, always())
	if err := s.widen(ctx, l); err != nil {
		return nil, err
	}
	if err := s.narrow(ctx, l); err != nil {
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

// always are allowed even if they were not seen: how a program ends and comes back from a signal, and what a kernel
// without a usable vDSO is asked for the time.
func always() []string {
	return []string{
		"clock_getres", "clock_gettime", "exit", "exit_group", "getcpu", "gettimeofday", "restart_syscall", "rt_sigreturn", "time",
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
	var out []string
	for name := range r.Syscalls {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

// widen sees that the service works with the list. What it asks for is not the same in each run: where it does not
// work, what it was refused is added, and then what it asked for as root.
func (s *session) widen(ctx context.Context, l *lesson) error {
	const most = 4
	for range most {
		out, err := s.try(ctx, test{phase: Learning, title: "with its own system calls", candidate: l.candidate})
		if err != nil || out.Passed {
			return err
		}
		watched, err := s.try(ctx, test{phase: Learning, title: "the same, watched", candidate: l.candidate, observe: true, fresh: true})
		if err != nil {
			return err
		}
		more := s.permitted(l.candidate, l.candidate.syscalls, names(watched.Record))
		if len(more) == len(l.candidate.syscalls) {
			more = s.permitted(l.candidate, more, names(s.asRoot.Record))
		}
		if len(more) == len(l.candidate.syscalls) {
			return &UnprovenError{Reason: "the service does not work with the system calls that it was seen to use", Outcome: *out}
		}
		l.candidate.syscalls = more
	}
	return &UnprovenError{Reason: "the service asks for other system calls in each run"}
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
	text := ""
	for i, n := range names {
		if i == most {
			return text + ", …"
		}
		if i > 0 {
			text += ", "
		}
		text += n
	}
	return text
}
