package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/runtime/stage"
)

// ErrNotWaiting says that no process waits at a gate: it has been let go or has ended.
var ErrNotWaiting = errors.New("no process waits to be started")

// OpenGate lets the command go that waits at a gate (StartOptions.Gate), removes the gate, and returns
// when the command has been executed. A *CommandError says that it could not be, ErrNotWaiting that
// nobody waited. Any process may call it that may connect to the socket; when ctx ends the command is
// on its way nevertheless.
func OpenGate(ctx context.Context, path string) error {
	sock, err := socketAt(path, unix.SOCK_SEQPACKET, unix.Connect)
	if errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, unix.ENOENT) {
		err = ErrNotWaiting
	}
	if err != nil {
		return fmt.Errorf("open gate %s: %w", path, err)
	}
	defer closeFd(sock)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove gate: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = unix.Shutdown(sock, unix.SHUT_RDWR) }) // ends the wait below
	defer stop()
	c := &starting{sock: sock}
	if err := c.awaitCommand(); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("open gate %s: %w", path, context.Cause(ctx))
		}
		return err
	}
	return nil
}

// makeGate makes the socket that the command is to wait at.
func makeGate(path string) (*os.File, error) {
	sock, err := socketAt(path, unix.SOCK_SEQPACKET, func(fd int, at unix.Sockaddr) error {
		if err := unix.Fchmod(fd, 0o600); err != nil { // the mode that bind gives
			return err
		}
		if err := unix.Bind(fd, at); err != nil {
			return err
		}
		return unix.Listen(fd, 1)
	})
	if err != nil {
		return nil, fmt.Errorf("make gate %s: %w", path, err)
	}
	return os.NewFile(uintptr(sock), path), nil
}

// socketAt calls do with a new socket and the address of path, which goes by the directory's
// descriptor: an address has room for 107 bytes.
func socketAt(path string, kind int, do func(fd int, at unix.Sockaddr) error) (int, error) {
	dir, err := unix.Open(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	defer closeFd(dir)
	sock, err := unix.Socket(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	name := "/proc/self/fd/" + strconv.Itoa(dir) + "/" + filepath.Base(path)
	if err := do(sock, &unix.SockaddrUnix{Name: name}); err != nil {
		closeFd(sock)
		return -1, err
	}
	return sock, nil
}

// makeGate makes the gate, if there is to be one, for the child to wait at.
func (c *starting) makeGate(p *preparer, plan *stage.Plan, path string) error {
	if path == "" {
		return nil
	}
	f, err := makeGate(path)
	if err != nil {
		return err
	}
	c.gate = path
	plan.Gate = len(p.files)
	p.files = append(p.files, f)
	return nil
}
