package stage

import (
	"syscall"

	"github.com/deckhand-engine/deckhand/internal/linux/raw"
)

// lookUpCommand finds the command as the user it will run as, by the rules (and with the words) of
// runc and docker.
func lookUpCommand(c *child) error {
	name := c.plan.Args[0]
	if name == "" {
		return notRun(127, name, "executable file not found in $PATH")
	}
	for i := range len(name) {
		if name[i] == '/' {
			c.exe = name
			return checkCommand(name)
		}
	}
	for _, dir := range splitList(c.plan.SearchPath) {
		path := dir + "/" + name
		if dir == "" {
			path = "./" + name
		}
		if checkCommand(path) == nil {
			c.exe = path
			return nil
		}
	}
	return notRun(127, name, "executable file not found in $PATH")
}

// checkCommand reports whether path can be executed: a file that the user has the right to.
func checkCommand(path string) error {
	var st syscall.Stat_t
	if err := syscall.Stat(path, &st); err != nil {
		errno, _ := err.(syscall.Errno) //nolint:errorlint // package syscall returns errnos
		if errno == syscall.EACCES {
			return notRun(126, path, errno.Error())
		}
		return notRun(127, path, "stat "+path+": "+errno.Error())
	}
	if st.Mode&syscall.S_IFMT == syscall.S_IFDIR {
		return notRun(126, path, syscall.EISDIR.Error())
	}
	// A filter that is loaded already may refuse the question (EPERM, ENOSYS): execve will tell then.
	if st.Mode&0o111 == 0 || raw.Access(path, 1) == syscall.EACCES { //nolint:errorlint // errno
		return notRun(126, path, syscall.EACCES.Error())
	}
	return nil
}

// notRun is docker's message for a command that cannot be executed.
func notRun(code int, name, why string) error {
	return &Failure{Code: code, Path: name, What: `exec: "` + name + `": ` + why}
}

// splitList splits PATH at its colons.
func splitList(list string) []string {
	var dirs []string
	start := 0
	for i := 0; i <= len(list); i++ {
		if i == len(list) || list[i] == ':' {
			dirs = append(dirs, list[start:i])
			start = i + 1
		}
	}
	return dirs
}

// closeBehind makes sure that the command inherits nothing but its standard files, and that it ends
// with the parent: setresuid has cleared the death signal, and the parent may have died before.
func closeBehind(c *child) error {
	if err := c.shut(); err != nil {
		return err
	}
	if err := c.dieWithParent(); err != nil {
		return err
	}
	return sendmsg(c.sock, []byte{MsgReady}, nil) // EPIPE: the parent is gone
}

// shut has execve close every descriptor from 3 on, once: a filter that is loaded early may refuse it later.
// What is opened after it closes on execve anyway.
func (c *child) shut() error {
	if c.isShut {
		return nil
	}
	c.isShut = true
	return raw.CloseRangeCloexec(3)
}

// execute loads the seccomp filter and becomes the command. What it needs is allocated before the
// filter, which may refuse every other system call.
func execute(c *child) error {
	p := c.plan
	argv, err := syscall.SlicePtrFromStrings(p.Args)
	if err != nil {
		return notRun(126, p.Args[0], err.Error())
	}
	envv, err := syscall.SlicePtrFromStrings(p.Env)
	if err != nil {
		return fail("environment", err)
	}
	path, err := syscall.BytePtrFromString(c.exe)
	if err != nil {
		return err
	}
	if p.Init {
		return c.executeInit(envv)
	}
	filter := c.takeFilter()
	if err := c.limitResources(); err != nil {
		return err
	}
	loading, executing := raw.Execve(filter, path, argv, envv)
	if loading != nil {
		return notLoaded(loading)
	}
	return notExecuted(c.exe, executing)
}

// takeFilter is the seccomp filter, once; nil where there is none, or where it has been loaded.
func (c *child) takeFilter() *raw.Filter {
	program := c.plan.Seccomp
	if len(program) == 0 {
		return nil
	}
	c.plan.Seccomp = nil
	f := &raw.Filter{Program: program, Flags: c.plan.SeccompFlags}
	if c.plan.NotifyFd > 0 {
		f.Listener = &raw.Listener{}
		c.handListenerOver(f.Listener)
	}
	return f
}

// loadFilter loads the filter ahead of execve. It should let pass what Go's runtime may want until then.
func (c *child) loadFilter() error {
	f := c.takeFilter()
	if f == nil {
		return nil
	}
	if err := c.shut(); err != nil {
		return fail("lock the door behind", err)
	}
	if err := c.limitResources(); err != nil { // the filter may not know the call
		return err
	}
	return notLoaded(f.Load())
}

func notLoaded(err error) error { return fail("load the seccomp filter", err) }

// notExecuted is the error of execve itself.
func notExecuted(path string, err error) error {
	errno, ok := err.(syscall.Errno) //nolint:errorlint // errno
	if !ok {
		return fail("exec "+path, err)
	}
	code := 126
	if errno == syscall.ENOENT || errno == syscall.ENOTDIR {
		code = 127
	}
	return &Failure{Code: code, Path: path, What: "exec " + path + ": " + errno.Error()}
}
