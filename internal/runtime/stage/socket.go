package stage

import "syscall"

// Messages from the child to the parent: one packet each, the first byte says which.
const (
	MsgConsole = 'C' // the pty master comes along as a descriptor
	MsgReady   = 'R' // the next step executes the command; the end of the socket means it did
	MsgError   = 'E' // a Failure
	MsgHooks   = 'H' // the parent's hooks are due
)

// SocketFd is where the child finds its end of the socket pair.
const SocketFd = 3

// packetBytes is the largest packet sent; a longer plan takes several.
const packetBytes = 64 << 10

// MaxFds is how many descriptors can come with a plan (SCM_MAX_FD).
const MaxFds = 253

// SendPlan sends an encoded plan and the descriptors it refers to.
func SendPlan(sock int, plan []byte, fds []int) error {
	n := len(plan)
	head := []byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)}
	first := min(n, packetBytes-len(head))
	var rights []byte
	if len(fds) > 0 {
		rights = syscall.UnixRights(fds...)
	}
	if err := sendmsg(sock, append(head, plan[:first]...), rights); err != nil {
		return err
	}
	for rest := plan[first:]; len(rest) > 0; {
		n := min(len(rest), packetBytes)
		if err := sendmsg(sock, rest[:n], nil); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

func receivePlan(sock int) (*Plan, []int, error) {
	buf := make([]byte, packetBytes)
	n, fds, err := Receive(sock, buf, MaxFds)
	if err != nil {
		return nil, nil, err
	}
	if n < 4 {
		return nil, nil, syscall.ECONNRESET // the parent died or gave up
	}
	size := int(buf[0]) | int(buf[1])<<8 | int(buf[2])<<16 | int(buf[3])<<24
	data := buf[4:n]
	for len(data) < size {
		more := make([]byte, packetBytes)
		n, _, err := Receive(sock, more, 0)
		if err != nil {
			return nil, nil, err
		}
		if n == 0 {
			return nil, nil, syscall.ECONNRESET
		}
		data = append(data, more[:n]...)
	}
	p := new(Plan)
	return p, fds, p.Unmarshal(data)
}

// Receive reads one packet and up to maxFds descriptors, which are close-on-exec. At the end of the
// socket n is 0.
func Receive(sock int, buf []byte, maxFds int) (n int, fds []int, err error) {
	var oob []byte
	if maxFds > 0 {
		oob = make([]byte, syscall.CmsgSpace(4*maxFds))
	}
	var oobn int
	for {
		n, oobn, _, _, err = syscall.Recvmsg(sock, buf, oob, syscall.MSG_CMSG_CLOEXEC)
		if err != syscall.EINTR {
			break
		}
	}
	if err != nil || oobn == 0 {
		return n, nil, err
	}
	msgs, err := syscall.ParseSocketControlMessage(oob[:oobn])
	if err != nil {
		return 0, nil, err
	}
	for i := range msgs {
		f, err := syscall.ParseUnixRights(&msgs[i])
		if err != nil {
			return 0, nil, err
		}
		fds = append(fds, f...)
	}
	return n, fds, nil
}

func sendmsg(sock int, data, rights []byte) error {
	for {
		err := syscall.Sendmsg(sock, data, rights, nil, syscall.MSG_NOSIGNAL)
		if err != syscall.EINTR {
			return err
		}
	}
}
