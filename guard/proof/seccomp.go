package proof

import (
	"errors"
	"fmt"
	"slices"

	"github.com/moby/profiles/seccomp"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// seccompJSON is a filter in the words that Docker's format and the OCI runtime's share, so that engines, containerd
// and the kubelet read the same file.
type seccompJSON struct {
	DefaultAction   specs.LinuxSeccompAction `json:"defaultAction"`
	DefaultErrnoRet uint                     `json:"defaultErrnoRet"`
	Architectures   []specs.Arch             `json:"architectures"`
	Syscalls        []seccompRule            `json:"syscalls"`
}

type seccompRule struct {
	Names   []string                 `json:"names"`
	Action  specs.LinuxSeccompAction `json:"action"`
	Args    []specs.LinuxSeccompArg  `json:"args,omitempty"`
	Comment string                   `json:"comment,omitempty"`
}

// SeccompProfile is a filter, in Docker's format, that allows the named system calls as far as Docker's default
// profile does for a container with the capabilities (clone only without new namespaces), and nothing else: all others
// fail with ENOSYS, as in a kernel that does not have them, so that programs fall back to older ones. The names may
// be in any order; those that an architecture does not have are passed over there. A name that cannot be one is an
// error, and so is a list of which nothing is left.
func SeccompProfile(syscalls, capabilities []string) ([]byte, error) {
	return filter(syscalls, capabilities, nil)
}

// Permitted are those of the system calls that Docker's default profile lets through, with some arguments at least,
// for a container with the capabilities: sorted, without doubles.
func Permitted(syscalls, capabilities []string) []string {
	permitted := map[string]bool{}
	for _, rule := range defaults(capabilities) {
		for _, name := range rule.Names {
			permitted[name] = true
		}
	}
	return slices.DeleteFunc(sorted(syscalls), func(name string) bool { return !permitted[name] })
}

// defaults are the rules of Docker's default profile that allow something, on the architectures that containers are
// made for and for a container with the capabilities.
func defaults(capabilities []string) []seccompRule {
	has := func(name string) bool { return slices.Contains(capabilities, name) }
	foreign := func(arches []string) bool {
		return len(arches) > 0 && !slices.Contains(arches, "amd64") && !slices.Contains(arches, "arm64")
	}
	var out []seccompRule
	for _, rule := range seccomp.DefaultProfile().Syscalls {
		in, ex := rule.Includes, rule.Excludes
		switch {
		case rule.Action != specs.ActAllow:
		case in != nil && (foreign(in.Arches) || slices.ContainsFunc(in.Caps, func(c string) bool { return !has(c) })):
		case ex != nil && slices.ContainsFunc(ex.Caps, has):
		default:
			out = append(out, seccompRule{Names: rule.Names, Action: rule.Action, Args: rule.Args})
		}
	}
	return out
}

// filter is a filter that allows the service's system calls, and those that an engine needs to start it.
func filter(syscalls, capabilities, engine []string) ([]byte, error) {
	names := sorted(syscalls)
	for _, name := range names {
		if !isSyscall(name) {
			return nil, fmt.Errorf("make seccomp profile: %q is no system call's name", name)
		}
	}
	rules := narrowed(names, capabilities)
	if len(rules) == 0 {
		return nil, errors.New("make seccomp profile: no system call is allowed, nothing could be started")
	}
	engine = slices.DeleteFunc(sorted(engine), func(name string) bool { return slices.Contains(rules[0].Names, name) })
	if len(engine) > 0 {
		rules = append(rules, seccompRule{
			Names: engine, Action: specs.ActAllow, Comment: "runc and crun need these to start a container, the service does not",
		})
	}
	out, err := encode(seccompJSON{
		DefaultAction: specs.ActErrno, DefaultErrnoRet: uint(unix.ENOSYS),
		Architectures: []specs.Arch{specs.ArchX86_64, specs.ArchAARCH64},
		Syscalls:      rules,
	}, "  ")
	if err != nil {
		return nil, fmt.Errorf("make seccomp profile: %w", err)
	}
	return out, nil
}

// narrowed are the default rules for the names only: first those that are allowed with any arguments.
func narrowed(names, capabilities []string) []seccompRule {
	var whole []string
	var some []seccompRule
	for _, rule := range defaults(capabilities) {
		own := slices.DeleteFunc(sorted(rule.Names), func(name string) bool { return !slices.Contains(names, name) })
		switch {
		case len(own) == 0:
		case len(rule.Args) == 0:
			whole = append(whole, own...)
		default:
			some = append(some, seccompRule{Names: own, Action: rule.Action, Args: rule.Args})
		}
	}
	if len(whole) == 0 {
		return nil
	}
	whole = sorted(whole)
	some = slices.DeleteFunc(some, func(r seccompRule) bool { return slices.Contains(whole, r.Names[0]) })
	return append([]seccompRule{{Names: whole, Action: specs.ActAllow}}, some...)
}

// isSyscall reports whether a system call could have the name: letters, digits and underscores.
func isSyscall(name string) bool {
	return name != "" && len(name) <= 64 && !slices.ContainsFunc([]byte(name), func(b byte) bool {
		return b != '_' && (b < 'a' || b > 'z') && (b < '0' || b > '9')
	})
}

// starters are the system calls that runc and crun make between the load of the filter and the service's execve:
// runc is a Go program that closes what it has open. Measured with runc 1.1 and crun 1.8; those that newer versions
// prefer are among them.
func starters() []string {
	return []string{
		"close", "close_range", "epoll_ctl", "epoll_pwait", "execve", "exit", "exit_group", "fcntl", "fstat", "fstatfs", "futex",
		"getdents64", "getpid", "gettid", "madvise", "mmap", "munmap", "nanosleep", "newfstatat", "openat", "openat2", "prctl",
		"read", "readlinkat", "rt_sigprocmask", "rt_sigreturn", "sched_yield", "sigaltstack", "statx", "tgkill", "write",
	}
}

// privilegedStarters are those that come on top where no_new_privs is not set: the filter is then loaded first, while
// there is still the privilege to, and the user is taken on under it.
func privilegedStarters() []string {
	return []string{
		"capget", "capset", "chdir", "faccessat2", "fchown", "getcwd", "getegid", "geteuid", "getgid", "getppid", "getuid",
		"setgid", "setgroups", "setresgid", "setresuid", "setuid", "umask",
	}
}

// seccomp is seccomp.json.
func (p *Proof) seccomp() ([]byte, error) {
	if len(p.Syscalls) == 0 {
		return nil, errNothing
	}
	return SeccompProfile(p.Syscalls, p.Profile.Capabilities)
}

// runcSeccomp is seccomp-runc.json.
func (p *Proof) runcSeccomp() ([]byte, error) {
	if len(p.Syscalls) == 0 {
		return nil, errNothing
	}
	engine := starters()
	if p.Profile.Escalates {
		engine = append(engine, privilegedStarters()...)
	}
	return filter(p.Syscalls, p.Profile.Capabilities, engine)
}
