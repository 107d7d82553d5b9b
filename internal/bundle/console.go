package bundle

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// consoleSocket is a socket of the caller's that takes the master of a container's terminal.
type consoleSocket struct{ fd int }

// openConsole connects to the console socket, where there is one.
func openConsole(path string, p *specs.Process) (*consoleSocket, error) {
	if path == "" {
		return nil, nil //nolint:nilnil // none is wanted
	}
	if !p.Terminal {
		return nil, errors.New("a console socket needs process.terminal")
	}
	return dialConsole(path)
}

// dialConsole connects to it; the path goes by the directory's descriptor, since an address has room
// for 107 bytes.
func dialConsole(path string) (*consoleSocket, error) {
	dir, err := unix.Open(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open console socket %s: %w", path, err)
	}
	defer func() { _ = unix.Close(dir) }() // O_PATH
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open console socket: %w", err)
	}
	name := "/proc/self/fd/" + strconv.Itoa(dir) + "/" + filepath.Base(path)
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: name}); err != nil {
		_ = unix.Close(fd) // nothing was sent
		return nil, fmt.Errorf("open console socket %s: %w", path, err)
	}
	return &consoleSocket{fd}, nil
}

func (s *consoleSocket) close() {
	if s != nil {
		_ = unix.Close(s.fd) // what was sent is with the kernel
	}
}

// send passes the master on, and closes ours.
func (s *consoleSocket) send(master *os.File) error {
	defer func() { _ = master.Close() }() // the other side has its own
	err := unix.Sendmsg(s.fd, []byte(master.Name()), unix.UnixRights(int(master.Fd())), nil, unix.MSG_NOSIGNAL)
	if err != nil {
		return fmt.Errorf("send the terminal to the console socket: %w", err)
	}
	return nil
}
