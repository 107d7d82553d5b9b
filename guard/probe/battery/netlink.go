package battery

import (
	"encoding/binary"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/guard/probe"
)

// message is a netlink message: its header and what follows.
func message(kind, flags uint16, sequence uint32, body []byte) []byte {
	b := binary.NativeEndian.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(body))) //nolint:gosec // small
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = binary.NativeEndian.AppendUint16(b, flags)
	b = binary.NativeEndian.AppendUint32(b, sequence)
	b = binary.NativeEndian.AppendUint32(b, 0)
	b = append(b, body...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// ask sends messages and returns the error of the first answer.
func ask(protocol int, messages []byte) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }() // its answer was read
	if err := unix.Sendto(fd, messages, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	buf := make([]byte, 8192)
	n, _, err := unix.Recvfrom(fd, buf, 0)
	if err != nil {
		return err
	}
	if n < unix.SizeofNlMsghdr+4 || binary.NativeEndian.Uint16(buf[4:]) != unix.NLMSG_ERROR {
		return unix.EBADMSG
	}
	if code := int32(binary.NativeEndian.Uint32(buf[unix.SizeofNlMsghdr:])); code != 0 { //nolint:gosec // a negative errno
		return syscall.Errno(-code) //nolint:gosec // an errno
	}
	return nil
}

// byNetwork decides over the settings of a network namespace. A filter is not asked once there is a socket.
func byNetwork() decision {
	return decision{
		capabilities: []int{unix.CAP_NET_ADMIN},
		witness: func() error {
			return ask(unix.NETLINK_ROUTE, message(unix.NLMSG_NOOP, unix.NLM_F_ACK|unix.NLM_F_REQUEST, 1, nil))
		},
		absent: append(noFamily(), unix.EOPNOTSUPP, unix.ENODEV),
	}
}

// changeNetwork gives the loopback interface an address that nobody uses, and takes it away.
func changeNetwork(s *scene) probe.Result {
	body := []byte{unix.AF_INET, 32, 0, unix.RT_SCOPE_HOST}
	body = binary.NativeEndian.AppendUint32(body, 1)               // lo
	body = append(body, 8, 0, unix.IFA_LOCAL, 0, 127, 82, 195, 77) // little-endian, as all machines we run on
	body = append(body, 8, 0, unix.IFA_ADDRESS, 0, 127, 82, 195, 77)
	const flags = unix.NLM_F_REQUEST | unix.NLM_F_ACK
	err := ask(unix.NETLINK_ROUTE, message(unix.RTM_NEWADDR, flags|unix.NLM_F_CREATE|unix.NLM_F_EXCL, 1, body))
	if err == nil {
		_ = ask(unix.NETLINK_ROUTE, message(unix.RTM_DELADDR, flags, 2, body)) // who may add it may delete it
	}
	return s.settle(err, byNetwork())
}

// firewall adds a table to nftables and deletes it, in one transaction: nothing of it is ever in force.
func firewall(s *scene) probe.Result {
	const (
		newTable, deleteTable = unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_NEWTABLE, unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_DELTABLE
		begin, end            = unix.NFNL_MSG_BATCH_BEGIN, unix.NFNL_MSG_BATCH_END
	)
	batch := []byte{unix.AF_UNSPEC, 0, 0, unix.NFNL_SUBSYS_NFTABLES} // the subsystem in the network's byte order
	table := []byte{unix.NFPROTO_IPV4, 0, 0, 0, 19, 0, unix.NFTA_TABLE_NAME, 0}
	table = append(table, "deckhand-probe\x00\x00"...)
	var b []byte
	b = append(b, message(begin, unix.NLM_F_REQUEST, 1, batch)...)
	b = append(b, message(newTable, unix.NLM_F_REQUEST|unix.NLM_F_ACK|unix.NLM_F_CREATE|unix.NLM_F_EXCL, 2, table)...)
	b = append(b, message(deleteTable, unix.NLM_F_REQUEST|unix.NLM_F_ACK, 3, table)...)
	b = append(b, message(end, unix.NLM_F_REQUEST, 4, batch)...)
	d := byNetwork()
	d.absent = append(d.absent, unix.EINVAL, unix.ENOENT) // no nftables in this kernel
	return s.settle(ask(unix.NETLINK_NETFILTER, b), d)
}
