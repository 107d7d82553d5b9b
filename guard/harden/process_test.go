package harden_test

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/deckhand-engine/deckhand/guard/observe"
)

// process is one of a simulated container: what it may do is decided as the kernel would.
type process struct {
	run      *run
	pid      int
	uid, gid uint32
	caps     []string
	env      map[string]string
	dir      string
	argv     []string
	exe      string
	program  program
}

// absolute is a path as the process sees it: "~" is $HOME.
func (p *process) absolute(name string) string {
	if rest, ok := strings.CutPrefix(name, "~/"); ok {
		name = path.Join(p.env["HOME"], rest)
	}
	if !path.IsAbs(name) {
		name = path.Join(p.dir, name)
	}
	return path.Clean(name)
}

func (p *process) can(capability string) bool { return slices.Contains(p.caps, capability) }

// may reports whether the process has the permission bits.
func (p *process) may(n *node, bits fs.FileMode) bool {
	if p.can("CAP_DAC_OVERRIDE") {
		return bits&1 == 0 || n.mode.IsDir() || n.mode&0o111 != 0
	}
	switch {
	case n.uid == p.uid:
		return n.mode>>6&bits == bits
	case n.gid == p.gid:
		return n.mode>>3&bits == bits
	}
	return n.mode&bits == bits
}

// walk finds a file. name is where it is, or where it would be made, with the error that it is missing; empty where
// the walk ended before.
func (p *process) walk(from string, last bool) (name string, n *node, errno syscall.Errno) {
	rest, at := strings.Split(strings.Trim(from, "/"), "/"), "/"
	for links := 0; len(rest) > 0 && rest[0] != ""; {
		switch dir := p.run.stat(at); {
		case !dir.mode.IsDir():
			return "", nil, syscall.ENOTDIR
		case !p.may(dir, 1):
			return "", nil, syscall.EACCES
		}
		next := path.Join(at, rest[0])
		rest = rest[1:]
		f := p.run.stat(next)
		switch {
		case f == nil && len(rest) > 0:
			return "", nil, syscall.ENOENT
		case f == nil:
			return next, nil, syscall.ENOENT
		case f.mode&fs.ModeSymlink != 0 && (last || len(rest) > 0):
			if links++; links > 40 {
				return "", nil, syscall.ELOOP
			}
			target := f.link
			if !path.IsAbs(target) {
				target = path.Join(at, target)
			}
			rest = append(strings.Split(strings.Trim(path.Clean(target), "/"), "/"), rest...)
			at = "/"
		default:
			at = next
		}
	}
	return at, p.run.stat(at), 0
}

// do makes a system call: the filter comes first, and what comes of it is recorded.
func (p *process) do(c observe.Call, kernel func(*observe.Call) syscall.Errno) syscall.Errno {
	if p.run.filtered(c.Syscall) {
		c.Errno, c.Filtered = syscall.ENOSYS, true
	} else {
		c.Errno = kernel(&c)
	}
	c.Count = 1
	c.Process = observe.Process{PID: p.pid, Parent: 1, Comm: path.Base(p.exe), Exe: p.exe, UID: p.uid}
	p.run.record(&c)
	return c.Errno
}

// mayMake decides whether a file can be made where walk ended.
func (p *process) mayMake(name string) syscall.Errno {
	switch {
	case p.run.mountAt(name).readOnly:
		return syscall.EROFS
	case !p.may(p.run.stat(path.Dir(name)), 3):
		return syscall.EACCES
	}
	return 0
}

func (p *process) open(name string, write bool) syscall.Errno {
	c := observe.Call{Syscall: "openat", Path: p.absolute(name), Writes: write, Creates: write}
	return p.do(c, func(c *observe.Call) syscall.Errno {
		at, n, errno := p.walk(c.Path, true)
		switch {
		case errno == syscall.ENOENT && at != "" && write:
			if errno := p.mayMake(at); errno != 0 {
				return errno
			}
			p.run.make(at, &node{mode: 0o644, uid: p.uid, gid: p.gid})
		case errno != 0:
			return errno
		case !write && !p.may(n, 4) || write && !p.may(n, 2):
			return syscall.EACCES
		case write && n.mode.IsDir():
			return syscall.EISDIR
		case write && p.run.mountAt(at).readOnly && !within(at, "/dev"):
			return syscall.EROFS
		}
		return 0
	})
}

func (p *process) mkdir(name string, mode fs.FileMode) syscall.Errno {
	c := observe.Call{Syscall: "mkdir", Path: p.absolute(name), Writes: true, Creates: true}
	return p.do(c, func(c *observe.Call) syscall.Errno {
		at, _, errno := p.walk(c.Path, true)
		switch {
		case errno == 0:
			return syscall.EEXIST
		case errno != syscall.ENOENT || at == "":
			return errno
		}
		if errno := p.mayMake(at); errno != 0 {
			return errno
		}
		p.run.make(at, &node{mode: fs.ModeDir | mode, uid: p.uid, gid: p.gid})
		return 0
	})
}

func (p *process) rename(from, to string) syscall.Errno {
	c := observe.Call{Syscall: "rename", Path: p.absolute(from), To: p.absolute(to), Writes: true, Creates: true}
	return p.do(c, func(c *observe.Call) syscall.Errno {
		at, n, errno := p.walk(c.Path, false)
		dest, _, other := p.walk(c.To, false)
		switch {
		case errno != 0:
			return errno
		case dest == "":
			return other
		case p.run.mountAt(at) != p.run.mountAt(dest):
			return syscall.EXDEV
		}
		if errno := p.mayMake(at); errno != 0 {
			return errno
		}
		if errno := p.mayMake(dest); errno != 0 {
			return errno
		}
		delete(p.run.mountAt(at).files, at)
		p.run.make(dest, n)
		return 0
	})
}

func (p *process) chown(name string, uid, gid uint32) syscall.Errno {
	c := observe.Call{Syscall: "fchownat", Path: p.absolute(name), Writes: true, ID: int64(uid), Group: int64(gid)}
	return p.do(c, func(c *observe.Call) syscall.Errno {
		at, n, errno := p.walk(c.Path, true)
		switch {
		case errno != 0:
			return errno
		case p.run.mountAt(at).readOnly:
			return syscall.EROFS
		case !p.can("CAP_CHOWN") && (n.uid != p.uid || uid != p.uid || gid != p.gid):
			return syscall.EPERM
		}
		n.uid, n.gid = uid, gid
		return 0
	})
}

// bind listens on "0.0.0.0:80" or "unix:/run/x.sock".
func (p *process) bind(address string) syscall.Errno {
	c := observe.Call{Syscall: "bind", Address: address, Socket: "inet/stream"}
	file, isUnix := strings.CutPrefix(address, "unix:")
	if isUnix {
		c.Socket, c.Path, c.Writes, c.Creates = "unix/stream", file, true, true
	}
	return p.do(c, func(*observe.Call) syscall.Errno {
		if isUnix {
			at, _, errno := p.walk(file, true)
			if errno != syscall.ENOENT || at == "" {
				return errno
			}
			return p.mayMake(at)
		}
		var port int
		_, _ = fmt.Sscanf(address[strings.LastIndexByte(address, ':')+1:], "%d", &port)
		if port < p.run.portStart && !p.can("CAP_NET_BIND_SERVICE") {
			return syscall.EACCES
		}
		p.run.bound = append(p.run.bound, fmt.Sprint(port, "/tcp"))
		return 0
	})
}

// privileged makes a call that a capability decides, and nothing else.
func (p *process) privileged(c observe.Call, capability string) syscall.Errno {
	return p.do(c, func(*observe.Call) syscall.Errno {
		if !p.can(capability) {
			return syscall.EPERM
		}
		return 0
	})
}

// setgid takes on a group, as initgroups and setgid do.
func (p *process) setgid(gid uint32) syscall.Errno {
	if errno := p.privileged(observe.Call{Syscall: "setgroups"}, "CAP_SETGID"); errno != 0 {
		return errno
	}
	return p.do(observe.Call{Syscall: "setgid", ID: int64(gid)}, func(*observe.Call) syscall.Errno {
		if !p.can("CAP_SETGID") && gid != p.gid {
			return syscall.EPERM
		}
		p.gid = gid
		return 0
	})
}

func (p *process) setuid(uid uint32) syscall.Errno {
	return p.do(observe.Call{Syscall: "setuid", ID: int64(uid)}, func(*observe.Call) syscall.Errno {
		if !p.can("CAP_SETUID") && uid != p.uid {
			return syscall.EPERM
		}
		if p.uid == 0 && uid != 0 {
			p.caps = nil
		}
		p.uid = uid
		return 0
	})
}

// exec runs a program in the process's place, up to the end of its start.
func (p *process) exec(argv []string) error {
	errno := syscall.ENOENT
	for _, dir := range []string{"/usr/bin", "/usr/sbin", "/bin"} {
		name := argv[0]
		if !strings.Contains(name, "/") {
			name = path.Join(dir, name)
		}
		if errno = p.execve(name, argv); errno != syscall.ENOENT {
			break
		}
	}
	if errno != 0 {
		return &failure{what: "exec " + argv[0], errno: errno}
	}
	for _, name := range []string{"brk", "mmap", "read", "close", "exit_group"} {
		if p.run.filtered(name) {
			return &failure{what: name, errno: syscall.ENOSYS}
		}
	}
	return p.all(p.program.start)
}

func (p *process) execve(name string, argv []string) syscall.Errno {
	c := observe.Call{Syscall: "execve", Path: name, Argv: argv, Dir: p.dir}
	return p.do(c, func(*observe.Call) syscall.Errno {
		at, n, errno := p.walk(name, true)
		switch {
		case errno != 0:
			return errno
		case !p.may(n, 1) || !n.mode.IsRegular():
			return syscall.EACCES
		case n.caps != "" && !slices.Contains(p.run.bounding, strings.ToUpper(n.caps)):
			return syscall.EPERM
		}
		p.exe, p.argv, p.program = at, argv, p.run.lab.programs[at]
		return 0
	})
}

// all makes steps one after another, until one fails.
func (p *process) all(steps []step) error {
	for _, s := range steps {
		if err := s(p); err != nil {
			return err
		}
	}
	return nil
}

// name is the user's in /etc/passwd; empty: it has none. Whoever looks reads the file.
func (p *process) name() string {
	if p.open("/etc/passwd", false) != 0 {
		return ""
	}
	return p.run.account(func(f []string) bool { return f[2] == fmt.Sprint(p.uid) })[0]
}

// account is the first line of /etc/passwd that matches; it has seven empty fields where there is none.
func (r *run) account(matches func([]string) bool) []string {
	if n := r.stat("/etc/passwd"); n != nil {
		for line := range strings.Lines(n.content) {
			if f := strings.Split(strings.TrimSuffix(line, "\n"), ":"); len(f) == 7 && matches(f) {
				return f
			}
		}
	}
	return make([]string, 7)
}

// environment is what a process begins with.
func (r *run) environment(uid uint32) map[string]string {
	env := map[string]string{"HOME": r.account(func(f []string) bool { return f[2] == fmt.Sprint(uid) })[5]}
	if env["HOME"] == "" {
		env["HOME"] = "/"
	}
	for _, e := range r.image.config.Env {
		name, value, _ := strings.Cut(e, "=")
		maps.Copy(env, map[string]string{name: value})
	}
	return env
}
