package stage

import (
	"syscall"

	"github.com/deckhand-engine/deckhand/internal/linux/raw"
)

// executeInit becomes package pid1 instead of the command: the program executes itself once more, by
// the sealed descriptor that came with the plan, as the container's user and under its filter, so
// that no thread is left with more rights than the command has. The socket goes along, for the error
// of a command that cannot be executed.
func (c *child) executeInit(envv []*byte) error {
	exe := c.plan.InitFd
	if exe <= 0 || exe >= len(c.fds) {
		return fail("find our program", syscall.EBADF)
	}
	terminal := ""
	if c.plan.Terminal {
		terminal = "tty"
	}
	argv, err := syscall.SlicePtrFromStrings(append([]string{ArgInit, terminal, c.exe}, c.plan.Args...))
	if err != nil {
		return fail("arguments", err)
	}
	if err := raw.ClearCloseOnExec(c.sock); err != nil {
		return fail("keep the socket", err)
	}
	filter := c.takeFilter()
	if err := c.limitResources(); err != nil {
		return err
	}
	loading, executing := raw.Execveat(filter, c.fds[exe], argv, envv)
	if loading != nil {
		return notLoaded(loading)
	}
	return fail("execute the init", executing)
}

// ReportNotExecuted tells the parent why path could not be executed, and returns the exit code.
func ReportNotExecuted(path string, err error) int {
	f, _ := notExecuted(path, err).(*Failure) //nolint:errorlint // it is one
	_ = sendmsg(SocketFd, f.Marshal(), nil)   // nobody is left to tell
	return f.Code
}
