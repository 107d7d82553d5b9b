package stage

import (
	"syscall"

	"github.com/deckhand-engine/deckhand/internal/linux/raw"
)

// waitAtGate waits for somebody to connect to the gate, and from then on reports to him instead of the
// parent: for the parent the start is over.
func waitAtGate(c *child) error {
	gate := c.plan.Gate
	if gate == 0 {
		return nil
	}
	if gate < 0 || gate >= len(c.fds) {
		return syscall.EBADF
	}
	if err := syscall.Close(c.sock); err != nil {
		return err
	}
	visitor, err := accept(c.fds[gate])
	if err != nil {
		return err
	}
	if visitor != c.sock { // the number is free again, so it is most likely that one
		if err := syscall.Dup3(visitor, c.sock, syscall.O_CLOEXEC); err != nil {
			return err
		}
		_ = syscall.Close(visitor) // a duplicate
	}
	// Of no avail where the visitor has left already: the command has been let go.
	_ = sendmsg(c.sock, []byte{MsgReady}, nil)
	return nil
}

func accept(gate int) (int, error) {
	for {
		fd, _, err := syscall.Accept4(gate, syscall.SOCK_CLOEXEC)
		if err != syscall.EINTR && err != syscall.ECONNABORTED {
			return fd, err
		}
	}
}

// handOn gives the descriptors that the command is to inherit their numbers, from 3 on.
func handOn(c *child) error {
	n := c.plan.Extra
	if n == 0 {
		return nil
	}
	if n < 0 || n > len(c.fds) {
		return syscall.EBADF
	}
	if err := c.clear(SocketFd + n); err != nil {
		return err
	}
	for i, fd := range c.fds[len(c.fds)-n:] {
		if err := syscall.Dup3(fd, SocketFd+i, 0); err != nil {
			return err
		}
	}
	return nil
}

// clear moves every descriptor of ours that is still needed to end or above.
func (c *child) clear(end int) error {
	moved := []*int{&c.sock}
	for i := range c.fds {
		moved = append(moved, &c.fds[i])
	}
	for _, fd := range moved {
		if *fd >= end {
			continue
		}
		high, err := raw.DupAbove(*fd, end)
		if err != nil {
			return err
		}
		*fd = high
	}
	return nil
}
