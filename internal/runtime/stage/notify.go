package stage

import (
	"runtime"
	"syscall"

	"github.com/deckhand-engine/deckhand/internal/linux/raw"
)

// handListenerOver has another thread send the listener of the filter to its supervisor: that thread is
// not bound by the filter, which may well put sendmsg to the supervisor, who does not hear yet.
func (c *child) handListenerOver(l *raw.Listener) {
	runtime.GOMAXPROCS(2) // one for each: neither gives its own away
	started := make(chan struct{})
	go func() {
		runtime.LockOSThread()
		close(started)
		for {
			if fd, ok := l.Await(); ok {
				c.sendListener(fd)
				l.Done()
				select {} // until execve
			}
			runtime.Gosched()
		}
	}()
	<-started
}

// sendListener ends the process where the listener cannot be sent: calls would wait for ever.
func (c *child) sendListener(fd int) {
	err := error(syscall.EBADF)
	if n := c.plan.NotifyFd - 1; n < len(c.fds) {
		err = sendmsg(c.fds[n], c.plan.NotifyMessage, syscall.UnixRights(fd))
	}
	if err != nil {
		c.abort(fail("send the seccomp listener", err))
	}
	_ = syscall.Close(fd) // the supervisor has it
}
