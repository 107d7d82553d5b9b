package rootless

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// joinerCode is where joiner_<arch>.s was linked to. It is made of system calls and jumps within
// itself, so that it also runs anywhere else.
func joinerCode() *[joinerSize]byte

// joinerSize is a bound on its length: what follows it is carried along and never reached.
const joinerSize = 256

// waitOrder as the joiner's argv[0] makes it wait until its standard input ends.
const waitOrder = "\xff"

// joinOrder is the joiner's argv[0] for joining a user namespace: the descriptor, the length of a
// message, and the message, to be written if it fails.
func joinOrder(fd int) (string, error) {
	const message = "deckhand: enter user namespace: the kernel refused\n"
	if fd < 1 || fd >= 0xff {
		return "", fmt.Errorf("descriptor %d is out of range: close some of the files this program inherits", fd)
	}
	return string([]byte{byte(fd), byte(len(message))}) + message, nil
}

// joiner makes an executable of the joiner's code in memory; the caller closes it. Its argv is an
// order, the program to execute, and that program's argv.
func joiner() (*os.File, error) {
	const name = "deckhand-join"
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_EXEC)
	if errors.Is(err, unix.EINVAL) { // MFD_EXEC is of Linux 6.3
		fd, err = unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	}
	if err != nil {
		return nil, fmt.Errorf("make executable in memory (is sysctl vm.memfd_noexec 2?): %w", err)
	}
	f := os.NewFile(uintptr(fd), name)
	if _, err := f.Write(joinerELF()); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("write executable in memory: %w", err)
	}
	return f, nil
}

// joinerELF is the smallest static executable around the code: a header, a segment to execute, and
// a stack that is not executable.
func joinerELF() []byte {
	const (
		base     = 0x400000
		headers  = 64 + 2*56
		entry    = base + headers
		readExec = 5
		readWrit = 6
		page     = 0x1000
	)
	type segment struct {
		Type, Flags                                    uint32
		Offset, Vaddr, Paddr, FileSize, MemSize, Align uint64
	}
	var b bytes.Buffer
	for _, part := range []any{
		[16]byte{0x7f, 'E', 'L', 'F', 2, 1, 1}, // 64-bit, little-endian, version 1
		[2]uint16{2, machine}, uint32(1),       // ET_EXEC
		uint64(entry), uint64(64), uint64(0), uint32(0), // program headers follow, no sections
		[6]uint16{64, 56, 2, 0, 0, 0}, //
		segment{1, readExec, 0, base, base, headers + joinerSize, headers + joinerSize, page}, // PT_LOAD
		segment{Type: 0x6474e551, Flags: readWrit, Align: 16},                                 // PT_GNU_STACK
		joinerCode()[:],
	} {
		_ = binary.Write(&b, binary.LittleEndian, part) // a Buffer takes everything
	}
	return b.Bytes()
}

func procFD(f *os.File) string { return "/proc/self/fd/" + strconv.Itoa(int(f.Fd())) }
