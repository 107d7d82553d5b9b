package network

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// PortError is a host port that could not be taken.
type PortError struct {
	Port   Port
	Holder string // who has it, where that is known: "container 1f2e3d, pid 4711"
	Err    error
}

// Error uses docker's words, which scripts look for.
func (e *PortError) Error() string {
	text := "Bind for " + e.Port.host() + " failed: "
	switch {
	case errors.Is(e.Err, unix.EADDRINUSE):
		text += "port is already allocated"
		if e.Holder != "" {
			text += " (by " + e.Holder + ")"
		}
	case errors.Is(e.Err, unix.EADDRNOTAVAIL):
		text += e.Port.HostIP.String() + " is not an address of this machine"
	case errors.Is(e.Err, unix.EACCES):
		text += "only root may publish a port this low (see sysctl net.ipv4.ip_unprivileged_port_start)"
	default:
		text += e.Err.Error()
	}
	return text
}

// Unwrap gives the system's error.
func (e *PortError) Unwrap() error { return e.Err }

// sockets hold host ports: while they are open nobody else on the machine can bind them.
type sockets struct{ fds []int }

// take binds every port and returns them with the numbers chosen. On error the caller closes s.
func (s *sockets) take(ports []Port) ([]Port, error) {
	taken := make([]Port, 0, len(ports))
	for _, p := range ports {
		fd, chosen, err := takePort(p)
		if err != nil {
			return nil, err
		}
		s.fds = append(s.fds, fd)
		taken = append(taken, chosen)
	}
	return taken, nil
}

func (s *sockets) close() {
	for _, fd := range s.fds {
		_ = unix.Close(fd) // nothing was written
	}
	s.fds = nil
}

// takePort binds p, or the first free one of its range.
func takePort(p Port) (int, Port, error) {
	last := max(p.HostPort, p.HostPortEnd)
	for {
		fd, port, err := bindPort(p)
		if err == nil {
			p.HostPort, p.HostPortEnd = port, 0
			return fd, p, nil
		}
		if !errors.Is(err, unix.EADDRINUSE) || p.HostPort == last {
			return -1, p, &PortError{Port: p, Err: err}
		}
		p.HostPort++
	}
}

// bindPort makes a socket that keeps p for us. A TCP port is bound and listened on like a server's, so
// that a TIME_WAIT does not stand in the way but a listener does; then the listening ends. The port
// stays ours, and whoever connects before the container is attached is refused instead of left hanging.
func bindPort(p Port) (fd int, port uint16, err error) {
	kind := unix.SOCK_STREAM
	if p.Protocol == "udp" {
		kind = unix.SOCK_DGRAM
	}
	family, sa := sockaddr(p)
	if fd, err = unix.Socket(family, kind|unix.SOCK_CLOEXEC, 0); err != nil {
		return -1, 0, fmt.Errorf("open socket: %w", err)
	}
	defer func() {
		if err != nil {
			_ = unix.Close(fd) // the first error is the one to show
		}
	}()
	if p.Protocol == "udp" {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 0) // never read; best effort
	} else if err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return -1, 0, fmt.Errorf("set socket option: %w", err)
	}
	if err = unix.Bind(fd, sa); err != nil {
		return -1, 0, fmt.Errorf("bind: %w", err)
	}
	if p.Protocol != "udp" {
		if err = holdTCP(fd); err != nil {
			return -1, 0, err
		}
	}
	port, err = boundPort(fd)
	return fd, port, err
}

func holdTCP(fd int) error {
	if err := unix.Listen(fd, 1); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 0); err != nil {
		return fmt.Errorf("set socket option: %w", err)
	}
	if err := unix.Shutdown(fd, unix.SHUT_RD); err != nil {
		return fmt.Errorf("stop listening: %w", err)
	}
	return nil
}

func sockaddr(p Port) (family int, sa unix.Sockaddr) {
	if p.HostIP.Is6() {
		return unix.AF_INET6, &unix.SockaddrInet6{Port: int(p.HostPort), Addr: p.HostIP.As16()}
	}
	ip := netip.IPv4Unspecified()
	if p.HostIP.IsValid() {
		ip = p.HostIP
	}
	return unix.AF_INET, &unix.SockaddrInet4{Port: int(p.HostPort), Addr: ip.As4()}
}

func boundPort(fd int) (uint16, error) {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return 0, fmt.Errorf("read socket name: %w", err)
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return uint16(sa.Port), nil //nolint:gosec // G115: a port
	case *unix.SockaddrInet6:
		return uint16(sa.Port), nil //nolint:gosec // G115: a port
	}
	return 0, errors.New("read socket name: unknown family")
}
