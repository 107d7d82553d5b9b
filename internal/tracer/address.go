package tracer

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const maxAddressBytes = 128 // sizeof(struct sockaddr_storage)

// address is a socket address as a program passed it.
type address struct {
	family int
	text   string // "0.0.0.0:80", "unix:@name"; empty: unknown
	path   string // of a unix socket in the file system, as it was given
}

// parseAddress reads a struct sockaddr. ok: it has a family.
func parseAddress(b []byte) (a address, ok bool) {
	if len(b) < 2 {
		return address{family: -1}, false
	}
	a.family = int(binary.LittleEndian.Uint16(b))
	rest := b[2:]
	switch a.family {
	case unix.AF_INET:
		if len(rest) >= 6 {
			a.text = netip.AddrPortFrom(netip.AddrFrom4([4]byte(rest[2:6])), binary.BigEndian.Uint16(rest)).String()
		}
	case unix.AF_INET6:
		a.text = inet6(rest)
	case unix.AF_UNIX:
		a.text, a.path = unixAddress(rest)
	}
	return a, true
}

// inet6 reads what follows the family of a struct sockaddr_in6: port, flow, address, and a scope that may be missing.
func inet6(b []byte) string {
	if len(b) < 22 {
		return ""
	}
	ip := netip.AddrFrom16([16]byte(b[6:22]))
	if len(b) >= 26 {
		if scope := binary.LittleEndian.Uint32(b[22:]); scope != 0 {
			ip = ip.WithZone(strconv.FormatUint(uint64(scope), 10))
		}
	}
	return netip.AddrPortFrom(ip, binary.BigEndian.Uint16(b)).String()
}

// unixAddress reads a unix socket's name: none, abstract, or a path that may lack its zero byte (unix(7)).
func unixAddress(b []byte) (text, path string) {
	if len(b) == 0 {
		return "unix:", ""
	}
	if b[0] == 0 {
		return "unix:@" + string(b[1:]), ""
	}
	path, _, _ = strings.Cut(string(b), "\x00")
	return "unix:" + path, path
}

// socketName is observe.Call's Socket. An unknown type is left out.
func socketName(family, kind int) string {
	if kind < 0 {
		return familyName(family)
	}
	return familyName(family) + "/" + kindName(kind)
}

func familyName(family int) string {
	switch family {
	case unix.AF_UNIX:
		return "unix"
	case unix.AF_INET:
		return "inet"
	case unix.AF_INET6:
		return "inet6"
	case unix.AF_NETLINK:
		return "netlink"
	case unix.AF_PACKET:
		return "packet"
	case unix.AF_ALG:
		return "alg"
	case unix.AF_VSOCK:
		return "vsock"
	case unix.AF_BLUETOOTH:
		return "bluetooth"
	case unix.AF_UNSPEC:
		return "unspec"
	}
	return strconv.Itoa(family)
}

func kindName(kind int) string {
	switch kind {
	case unix.SOCK_STREAM:
		return "stream"
	case unix.SOCK_DGRAM:
		return "dgram"
	case unix.SOCK_RAW:
		return "raw"
	case unix.SOCK_RDM:
		return "rdm"
	case unix.SOCK_SEQPACKET:
		return "seqpacket"
	case unix.SOCK_DCCP:
		return "dccp"
	case unix.SOCK_PACKET:
		return "packet"
	}
	return strconv.Itoa(kind)
}
