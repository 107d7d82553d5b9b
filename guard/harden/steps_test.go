package harden_test

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"syscall"

	"github.com/deckhand-engine/deckhand/guard/observe"
)

// program is what a simulated program does: when it starts, while it is exercised, and when it is asked to end.
type program struct {
	start, exercise, stop []step
	deaf                  bool // it does not end when it is asked to
}

// step is a thing that a program does. Its error ends the program.
type step func(*process) error

// asked makes a step of a call with a result.
func asked(what string, call func(*process) syscall.Errno) step {
	return func(p *process) error {
		if errno := call(p); errno != 0 {
			return &failure{what, errno}
		}
		return nil
	}
}

// writes makes or changes a file.
func writes(name string) step {
	return asked("write "+name, func(p *process) syscall.Errno { return p.open(name, true) })
}

// reads opens a file.
func reads(name string) step {
	return asked("read "+name, func(p *process) syscall.Errno { return p.open(name, false) })
}

// makes makes a directory unless it is there.
func makes(name string) step {
	return asked("mkdir "+name, func(p *process) syscall.Errno {
		errno := p.mkdir(name, 0o755)
		if errno == syscall.EEXIST {
			return 0
		}
		return errno
	})
}

// moves renames a file.
func moves(from, to string) step {
	return asked("rename "+from, func(p *process) syscall.Errno { return p.rename(from, to) })
}

// owns gives a file away.
func owns(name string, id uint32) step {
	return asked("chown "+name, func(p *process) syscall.Errno { return p.chown(name, id, id) })
}

// listens binds an address: ":80", "unix:/run/x.sock".
func listens(address string) step {
	if strings.HasPrefix(address, ":") {
		address = "0.0.0.0" + address
	}
	return asked("bind "+address, func(p *process) syscall.Errno { return p.bind(address) })
}

// runs goes on as another program.
func runs(argv ...string) step {
	return func(p *process) error { return p.exec(argv) }
}

// enters changes the working directory.
func enters(dir string) step {
	return func(p *process) error {
		p.dir = p.absolute(dir)
		return nil
	}
}

// forks has a child do something.
func forks(steps ...step) step {
	return func(p *process) error {
		child := *p
		child.pid = p.run.nextPID()
		return child.all(steps)
	}
}

// becomes gives up root: setgroups, setgid, setuid.
func becomes(id uint32) step {
	return func(p *process) error {
		errno := p.setgid(id)
		if errno == 0 {
			errno = p.setuid(id)
		}
		if errno != 0 {
			return &failure{"become " + fmt.Sprint(id), errno}
		}
		return nil
	}
}

// becomesNamed is becomes, by a name: whoever has it already stays as he is.
func becomesNamed(name string) step {
	return func(p *process) error {
		if err := reads("/etc/passwd")(p); err != nil {
			return err
		}
		var id uint32
		if _, err := fmt.Sscanf(p.run.account(func(f []string) bool { return f[0] == name })[2], "%d", &id); err != nil {
			return fmt.Errorf("no user %s", name)
		}
		if p.uid == id {
			return nil
		}
		return becomes(id)(p)
	}
}

// socket opens one: "inet/raw".
func socket(kind string) step {
	return asked("socket "+kind, func(p *process) syscall.Errno {
		return p.privileged(observe.Call{Syscall: "socket", Socket: kind}, "CAP_NET_RAW")
	})
}

// chroots changes the root.
func chroots(dir string) step {
	return asked("chroot", func(p *process) syscall.Errno {
		return p.privileged(observe.Call{Syscall: "chroot", Path: dir}, "CAP_SYS_CHROOT")
	})
}

// calls makes system calls that always succeed, unless the filter refuses them.
func calls(names ...string) step {
	return func(p *process) error {
		for _, name := range names {
			if p.run.filtered(name) {
				return &failure{name, syscall.ENOSYS}
			}
		}
		return nil
	}
}

// all makes several steps one.
func all(steps ...step) step {
	return func(p *process) error { return p.all(steps) }
}

// survives goes on if a step fails.
func survives(s step) step {
	return func(p *process) error {
		_ = s(p)
		return nil
	}
}

// when makes steps only if something is so.
func when(is func(*process) bool, steps ...step) step {
	return func(p *process) error {
		if is(p) {
			return p.all(steps)
		}
		return nil
	}
}

func isRoot(p *process) bool { return p.uid == 0 }

func isRestarted(p *process) bool { return p.run.restarted }

// configured reports whether a file has a line that begins with a word.
func configured(name, word string) func(*process) bool {
	return func(p *process) bool {
		if p.open(name, false) != 0 {
			return false
		}
		_, n, _ := p.walk(name, true)
		return slices.ContainsFunc(strings.Split(n.content, "\n"), func(line string) bool {
			return strings.HasPrefix(strings.TrimSpace(line), word)
		})
	}
}

// insists fails unless something is so. No system call tells why.
func insists(is func(*process) bool) step {
	return func(p *process) error {
		if !is(p) {
			return errors.New("I will not work like this")
		}
		return nil
	}
}

func hasName(p *process) bool { return p.name() != "" }

func isCalled(name string) func(*process) bool {
	return func(p *process) bool { return p.name() == name }
}

// lists lists a directory.
func lists(dir string) step {
	return asked("list "+dir, func(p *process) syscall.Errno {
		return p.do(observe.Call{Syscall: "openat", Path: p.absolute(dir)}, func(c *observe.Call) syscall.Errno {
			_, n, errno := p.walk(c.Path, true)
			switch {
			case errno != 0:
				return errno
			case n.mode&fs.ModeDir == 0:
				return syscall.ENOTDIR
			case !p.may(n, 5):
				return syscall.EACCES
			}
			return 0
		})
	})
}
