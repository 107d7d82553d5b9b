// Package stage is the inside of a container's start: the program executes itself with a special
// argv[0] in the new namespaces, and the steps below turn that process into the container's first.
//
// It runs from an init function, before package main and before the initialisation of every larger
// package. For that it imports only package syscall and internal/linux/raw (see there); a test holds it
// to this. Every step may assume that nothing else runs in the container yet, but not that
// the container's files are friendly: paths are resolved inside the root by openat2, mounts are
// attached to descriptors, and what is found under /proc must be on a procfs.
package stage

import (
	"runtime"
	"syscall"
	_ "unsafe" // for go:linkname

	"github.com/deckhand-engine/deckhand/internal/linux/raw"
)

// The values of argv[0] that select a role.
const (
	ArgStart = "deckhand-start" // set up a new container
	ArgJoin  = "deckhand-join"  // the same, where others may be about already
	ArgExec  = "deckhand-exec"  // a further process in a running container
	ArgInit  = "deckhand-init"  // package pid1
)

// processArgs is os.Args without package os.
//
//go:linkname processArgs os.runtime_args
func processArgs() []string

func init() {
	args := processArgs()
	if len(args) == 0 {
		return
	}
	switch args[0] {
	case ArgStart:
		runtime.LockOSThread()
		run(startSteps)
	case ArgJoin:
		runtime.LockOSThread()
		hideFirst()
		run(startSteps)
	case ArgExec:
		runtime.LockOSThread()
		hideFirst()
		run(execSteps)
	}
}

// child is the state that steps hand on.
type child struct {
	plan *Plan
	sock int
	fds  []int    // descriptors that came with the plan; the first is the root mount
	root int      // the container's root
	dev  int      // its /dev when that is ours, else -1
	devs []device // clones of the host's device nodes
	exe  string   // the command's path, found by lookup

	isShut bool // see shut
}

type step struct {
	name string
	do   func(*child) error
}

// startSteps make a container out of a process that is alone in new namespaces.
var startSteps = []step{
	{"hide", hide},
	{"become root of the user namespace", becomeNamespaceRoot},
	{"begin a session", beginSession},
	{"separate the mount namespace", separateMounts},
	{"enter a cgroup namespace", enterCgroupNamespace},
	{"make a time namespace", makeTimeNamespace},
	{"take the host's device nodes", takeDevices},
	{"attach the root", attachRoot},
	{"", mountAll},
	{"populate /dev", populateDev},
	{"", makeDevices},
	{"wait for the hooks", waitHooks},
	{"", runCreateHooks},
	{"enter the root", enterRoot},
	{"", maskPaths},
	{"name the host", nameHost},
	{"bring up the loopback interface", bringUpLoopback},
	{"wait for the network", waitNetwork},
	{"", setSysctls},
	{"", protectPaths},
	{"open a terminal", openTerminal},
	{"", enterDirectory},
	{"make the root read-only", protectRoot},
	{"set the root's propagation", propagateRoot},
	{"begin a session keyring", beginKeyring},
	{"limit open files", limitFiles},
	{"", setAttributes},
	{"", becomeUser},
	{"", lookUpCommand},
	{"lock the door behind", closeBehind},
	{"wait to be let go", waitAtGate},
	{"", runStartHooks},
	{"hand descriptors on", handOn},
	{"", execute},
}

// execSteps run in a process that has entered a container's namespaces.
var execSteps = []step{
	{"begin a session", beginSession},
	{"open the root", openRoot},
	{"open a terminal", openTerminal},
	{"", enterDirectory},
	{"begin a session keyring", beginKeyring},
	{"limit open files", limitFiles},
	{"", setAttributes},
	{"", becomeUser},
	{"", lookUpCommand},
	{"lock the door behind", closeBehind},
	{"hand descriptors on", handOn},
	{"", execute},
}

// hideFirst makes this process not dumpable, in a container where others may be curious.
func hideFirst() {
	if err := hide(nil); err != nil {
		(&child{sock: SocketFd}).abort(fail("hide", err))
	}
}

// hide makes this process not dumpable until execve: nobody in the container may trace it or open its
// files in /proc. In a new container it comes after the map of ids, which an ordinary user could not
// write for a process that is.
func hide(*child) error { return raw.Prctl(raw.PR_SET_DUMPABLE, 0, 0) }

// run carries out the steps; it returns only by execve or exit.
func run(steps []step) {
	c := &child{sock: SocketFd, root: -1, dev: -1}
	syscall.CloseOnExec(c.sock)
	plan, fds, err := receivePlan(c.sock)
	if err != nil {
		c.abort(fail("receive the plan", err))
	}
	c.plan, c.fds = plan, fds
	for _, s := range steps {
		if err := s.do(c); err != nil {
			if s.name != "" {
				err = fail(s.name, err)
			}
			c.abort(err)
		}
	}
}

// abort reports err to the parent and ends the process.
func (c *child) abort(err error) {
	f, ok := err.(*Failure) //nolint:errorlint // every step returns a plain Failure or errno
	if !ok {
		f, _ = fail("start", err).(*Failure) //nolint:errorlint // fail makes Failures
	}
	_ = sendmsg(c.sock, f.Marshal(), nil) // nobody is left to tell
	code := f.Code
	if code == 0 {
		code = 125
	}
	syscall.Exit(code) //nolint:revive // this process has no main: it ends here or by execve
}

// beginSession leaves the caller's session and terminal, and ties the set-up to the parent's life.
func beginSession(c *child) error {
	if _, err := syscall.Setsid(); err != nil && err != syscall.EPERM {
		return err
	}
	return raw.Prctl(raw.PR_SET_PDEATHSIG, uintptr(syscall.SIGKILL), 0)
}

// dieWithParent has the kernel kill the command when the thread that forked it ends, or leave it alone:
// until now it would have ended with the parent.
func (c *child) dieWithParent() error {
	sig := syscall.SIGKILL
	if c.plan.ParentDeathUnwanted {
		sig = 0
	}
	return raw.Prctl(raw.PR_SET_PDEATHSIG, uintptr(sig), 0)
}

func separateMounts(c *child) error {
	if c.plan.HostMounts {
		return nil
	}
	return syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_SLAVE, "")
}

// enterCgroupNamespace comes after the parent's CLONE_INTO_CGROUP, so that the container's cgroup is
// the namespace's root.
func enterCgroupNamespace(c *child) error {
	if !c.plan.NewCgroup {
		return nil
	}
	return syscall.Unshare(cloneNewCgroup)
}

// makeTimeNamespace makes one that the command enters by its execve, and its hooks as they are forked.
func makeTimeNamespace(c *child) error {
	if !c.plan.NewTime {
		return nil
	}
	if err := syscall.Unshare(cloneNewTime); err != nil {
		return err
	}
	if c.plan.TimeOffsets == "" {
		return nil
	}
	fd, err := raw.Openat2(raw.AT_FDCWD, "/proc/self/timens_offsets", syscall.O_WRONLY, 0, 0)
	if err != nil {
		return fail("open /proc/self/timens_offsets", err)
	}
	if err := checkProc(fd); err != nil { // the namespace may have been joined
		return err
	}
	if _, err := syscall.Write(fd, []byte(c.plan.TimeOffsets)); err != nil {
		return fail("set its offsets", err)
	}
	return syscall.Close(fd)
}

const (
	cloneNewCgroup = 0x02000000
	cloneNewTime   = 0x80
)

func beginKeyring(c *child) error {
	if c.plan.KeepSessionKeyring {
		return nil
	}
	err := raw.NewSessionKeyring()
	if err == syscall.ENOSYS { //nolint:errorlint // errno; a kernel without keyrings has none to leak
		return nil
	}
	return err
}
