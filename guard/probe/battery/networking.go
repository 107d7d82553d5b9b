package battery

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/guard/probe"
)

func networking() []trial {
	return []trial{
		{"raw-socket", rawSocket},
		{"packet-socket", packetSocket},
		{"so-mark", soMark},
		{"bind-low-port", bindLowPort},
		{"change-network", changeNetwork},
		{"firewall", firewall},
		{"metadata", metadata},
		{"vsock", vsock},
		{"alg-socket", algSocket},
		{"engine-socket", engineSocket},
	}
}

// socket makes a socket and closes it.
func socket(family, kind, protocol int) error {
	return closing(unix.Socket(family, kind|unix.SOCK_CLOEXEC, protocol))
}

// noFamily are the errors of kernels that do not have a kind of socket.
func noFamily() []syscall.Errno {
	return []syscall.Errno{unix.EAFNOSUPPORT, unix.EPROTONOSUPPORT, unix.ESOCKTNOSUPPORT}
}

func rawSocket(s *scene) probe.Result {
	return s.settle(socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_TCP), decision{
		capabilities: []int{unix.CAP_NET_RAW},
		witness:      func() error { return socket(unix.AF_INET, unix.SOCK_RAW, 1<<20) },
		absent:       noFamily(),
	})
}

func packetSocket(s *scene) probe.Result {
	const all = unix.ETH_P_ALL<<8&0xff00 | unix.ETH_P_ALL>>8 // in the network's byte order
	return s.settle(socket(unix.AF_PACKET, unix.SOCK_RAW, all), decision{
		capabilities: []int{unix.CAP_NET_RAW},
		witness:      func() error { return socket(unix.AF_PACKET, 11, all) }, // no such type
		absent:       noFamily(),
	})
}

func soMark(s *scene) probe.Result {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return s.settle(err, decision{absent: noFamily()})
	}
	defer func() { _ = unix.Close(fd) }() // nothing was sent
	needed := []int{unix.CAP_NET_ADMIN}
	if kernelAtLeast(5, 17) {
		needed = append(needed, unix.CAP_NET_RAW)
	}
	return s.settle(unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, 1), decision{
		capabilities: needed,
		witness: func() error {
			return call(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MARK, nowhere, 0)
		},
	})
}

// bindLowPort takes the highest port below 1024: if that is refused, they all are.
func bindLowPort(s *scene) probe.Result {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return s.settle(err, decision{absent: noFamily()})
	}
	defer func() { _ = unix.Close(fd) }() // nothing was sent
	err = unix.Bind(fd, &unix.SockaddrInet4{Port: 1023, Addr: [4]byte{127, 0, 0, 1}})
	r := s.settle(err, decision{
		capabilities: []int{unix.CAP_NET_BIND_SERVICE},
		passed:       []syscall.Errno{unix.EADDRINUSE, unix.EADDRNOTAVAIL}, // looked at later
	})
	start := setting("net/ipv4/ip_unprivileged_port_start")
	if n, err := strconv.Atoi(start); err == nil && n < 1024 && !s.has(unix.CAP_NET_BIND_SERVICE) {
		r.Detail = "ports from " + start + " are for everybody"
	}
	return r
}

// metadata begins a connection to where clouds answer questions about the machine. No more than a SYN is sent.
func metadata(s *scene) probe.Result {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return s.settle(err, decision{absent: noFamily()})
	}
	defer func() { _ = unix.Close(fd) }() // nothing was asked
	err = unix.Connect(fd, &unix.SockaddrInet4{Port: 80, Addr: [4]byte{169, 254, 169, 254}})
	if errors.Is(err, unix.EINPROGRESS) {
		err = connected(fd)
	}
	switch {
	case errors.Is(err, unix.ENETUNREACH), errors.Is(err, unix.EHOSTUNREACH), errors.Is(err, unix.ENETDOWN):
		errno, _ := errors.AsType[syscall.Errno](err)
		return probe.Result{Verdict: probe.Denied, Errno: errno, By: probe.ByNamespace, Detail: "there is no route"}
	case errors.Is(err, unix.EINPROGRESS), errors.Is(err, unix.ECONNREFUSED), errors.Is(err, unix.ETIMEDOUT):
		return absent("a route leads to 169.254.169.254, and nothing answers there")
	}
	return s.settle(err, decision{by: probe.ByKernel}) // a firewall
}

// connected waits a little for a connection; EINPROGRESS if it takes longer.
func connected(fd int) error {
	const patienceMillis = 50
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, patienceMillis) //nolint:gosec // a descriptor
	if err != nil {
		return err
	}
	if n == 0 {
		return unix.EINPROGRESS
	}
	code, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return err
	}
	if code != 0 {
		return syscall.Errno(code)
	}
	return nil
}

func vsock(s *scene) probe.Result {
	return s.settle(socket(unix.AF_VSOCK, unix.SOCK_STREAM, 0), decision{
		absent: noFamily(),
		by:     probe.BySeccomp, // the kernel gives it to everybody
	})
}

func algSocket(s *scene) probe.Result {
	return s.settle(socket(unix.AF_ALG, unix.SOCK_SEQPACKET, 0), decision{
		absent: noFamily(),
		by:     probe.BySeccomp, // the kernel gives it to everybody
	})
}

// engineSockets are where container engines listen. Who may write there is root on the machine.
func engineSockets() []string {
	names := []string{
		"/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock", "/var/run/containerd/containerd.sock",
		"/run/podman/podman.sock", "/var/run/podman/podman.sock", "/run/crio/crio.sock", "/var/run/crio/crio.sock",
		"/run/k3s/containerd/containerd.sock", "/run/buildkit/buildkitd.sock",
	}
	user := "/run/user/" + strconv.Itoa(os.Getuid())
	names = append(names, user+"/docker.sock", user+"/podman/podman.sock")
	for _, variable := range []string{"DOCKER_HOST", "CONTAINER_HOST"} {
		if name, ok := strings.CutPrefix(os.Getenv(variable), "unix://"); ok {
			names = append(names, name)
		}
	}
	return names
}

// engineSocket connects to an engine's socket and hangs up.
func engineSocket(s *scene) probe.Result {
	var results []probe.Result
	for _, name := range engineSockets() {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			return s.settle(err, decision{by: probe.BySeccomp})
		}
		err = unix.Connect(fd, &unix.SockaddrUnix{Name: name})
		_ = unix.Close(fd) // nothing was sent
		r := s.settle(err, decision{
			by:     probe.ByOwner,
			passed: []syscall.Errno{unix.EAGAIN}, // it has many visitors
			absent: []syscall.Errno{unix.ENOENT, unix.ENOTDIR, unix.ECONNREFUSED, unix.EPROTOTYPE},
		})
		r.Detail = name
		results = append(results, r)
	}
	return best(results, "no engine's socket is here")
}
