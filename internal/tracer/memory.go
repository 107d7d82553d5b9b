package tracer

import (
	"bytes"
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	pageBytes    = 4096 // the smallest there is: no read crosses into a page that may be missing
	shortBytes   = 256  // most paths are shorter
	maxPathBytes = unix.PathMax
	maxArgvBytes = 8 << 10
	maxArgvCount = 256
)

// memory reads a tracee's memory. It has room for one call's strings, and makes no garbage.
type memory struct {
	buf   [maxArgvBytes]byte
	local unix.Iovec
	far   [2]remoteIovec
}

// remoteIovec is unix.RemoteIovec, whose sizes are int.
type remoteIovec struct{ base, len uintptr }

// read fills the buffer with up to n bytes from an address. Fewer come where the memory ends.
func (m *memory) read(tid int, addr uint64, n int) []byte {
	if addr == 0 || n <= 0 {
		return nil
	}
	n = min(n, len(m.buf))
	m.local.Base = &m.buf[0]
	m.local.SetLen(n)
	first := min(n, pageBytes-int(addr%pageBytes))
	count := 1
	m.far[0] = remoteIovec{uintptr(addr), uintptr(first)}
	if first < n {
		m.far[1] = remoteIovec{uintptr(addr) + uintptr(first), uintptr(n - first)}
		count = 2
	}
	got, _, errno := unix.RawSyscall6(unix.SYS_PROCESS_VM_READV, uintptr(tid), uintptr(unsafe.Pointer(&m.local)), 1, //nolint:gosec // what the kernel takes
		uintptr(unsafe.Pointer(&m.far[0])), uintptr(count), 0) //nolint:gosec // what the kernel takes
	if errno != 0 {
		return nil
	}
	return m.buf[:got]
}

// text reads a string that ends with a zero byte. ok: it was read to its end.
func (m *memory) text(tid int, addr uint64, limit int) (s string, ok bool) {
	for n := min(shortBytes, limit); ; n = limit {
		b := m.read(tid, addr, n)
		if before, _, found := bytes.Cut(b, []byte{0}); found {
			return string(before), true
		}
		if n >= limit || len(b) < n {
			return string(b), false
		}
	}
}

// words reads numbers of eight bytes.
func (m *memory) words(tid int, addr uint64, n int) []uint64 {
	b := m.read(tid, addr, n*8)
	out := make([]uint64, len(b)/8)
	for i := range out {
		out[i] = binary.LittleEndian.Uint64(b[i*8:])
	}
	return out
}

// argv reads a list of strings that ends with a null pointer.
func (m *memory) argv(tid int, addr uint64) (list []string, ok bool) {
	pointers := m.words(tid, addr, maxArgvCount+1)
	left := maxArgvBytes
	for _, p := range pointers {
		if p == 0 {
			return list, true
		}
		s, whole := m.text(tid, p, left)
		list = append(list, s)
		if left -= len(s) + 1; !whole || left <= 0 {
			return list, false
		}
	}
	return list, false
}
