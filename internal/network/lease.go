package network

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// maxAddresses is how much of a large subnet is used.
const maxAddresses = 1 << 16

// addresses is the file of a subnet's addresses: one byte each, 1 while it is in use, and locked (an
// open file description lock) by whoever uses it. A byte that is 1 and not locked was a dead process's.
// Nothing is created or removed on disk for a container without ports.
type addresses struct {
	cfg    config
	subnet netip.Prefix
	file   *os.File
}

// lease is an address that is ours as long as the file is open.
type lease struct {
	addresses
	addr  netip.Addr
	stale bool // a dead process had it last
}

// leaseRecord is what is noted about a container with ports, for error texts and rebuilding the rules.
type leaseRecord struct {
	ID    string
	PID   int
	Ports []Port
}

func (c config) openAddresses(subnet netip.Prefix) (*addresses, error) {
	path := filepath.Join(c.dir, "addresses-"+strings.ReplaceAll(subnet.String(), "/", "-"))
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open network addresses: %w", err)
	}
	return &addresses{cfg: c, subnet: subnet, file: f}, nil
}

func (a *addresses) close() { _ = a.file.Close() } // unlocks; single bytes were written

// unlock gives up what tryLock took.
func (a *addresses) unlock(n uint32) {
	lk := unix.Flock_t{Type: unix.F_UNLCK, Start: int64(n), Len: 1}
	_ = unix.FcntlFlock(a.file.Fd(), unix.F_OFD_SETLK, &lk) // closing does it at the latest
}

// used reads the byte of an address.
func (a *addresses) used(n uint32) (bool, error) {
	var b [1]byte
	if _, err := a.file.ReadAt(b[:], int64(n)); err != nil && !errors.Is(err, io.EOF) {
		return false, fmt.Errorf("read address: %w", err)
	}
	return b[0] != 0, nil
}

// tryLock locks one address; not ok where somebody has it.
func (a *addresses) tryLock(n uint32) (ok bool, err error) {
	lk := unix.Flock_t{Type: unix.F_WRLCK, Start: int64(n), Len: 1}
	for {
		err = unix.FcntlFlock(a.file.Fd(), unix.F_OFD_SETLK, &lk)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EACCES):
			return false, nil
		case !errors.Is(err, unix.EINTR):
			return false, fmt.Errorf("lock address: %w", err)
		}
	}
}

// alive reports whether another open file holds the address.
func (a *addresses) alive(addr netip.Addr) bool {
	lk := unix.Flock_t{Type: unix.F_WRLCK, Start: int64(a.number(addr)), Len: 1}
	return unix.FcntlFlock(a.file.Fd(), unix.F_OFD_GETLK, &lk) == nil && lk.Type != unix.F_UNLCK
}

func (a *addresses) number(addr netip.Addr) uint32 {
	return toUint(addr) - toUint(a.subnet.Masked().Addr())
}

func (a *addresses) mark(n uint32, used byte) error {
	if _, err := a.file.WriteAt([]byte{used}, int64(n)); err != nil {
		return fmt.Errorf("mark address: %w", err)
	}
	return nil
}

// takeAddress reserves a free address of the subnet. It starts at a random place: an address is then
// rarely used again while its last owner's namespace is still being torn down.
func (c config) takeAddress(subnet netip.Prefix) (*lease, error) {
	size := uint32(maxAddresses)
	if bits := 32 - subnet.Bits(); bits < 16 {
		size = 1 << bits
	}
	if size < 4 {
		return nil, fmt.Errorf("network %s is too small for a container", subnet)
	}
	a, err := c.openAddresses(subnet)
	if err != nil {
		return nil, err
	}
	usable := size - 3            // network, gateway, broadcast
	start := rand.Uint32N(usable) //nolint:gosec // G404: spreads, hides nothing
	for i := range usable {
		n := 2 + (start+i)%usable
		switch ok, err := a.tryLock(n); {
		case err != nil:
			a.close()
			return nil, err
		case ok:
			return a.claim(n)
		}
	}
	a.close()
	return nil, fmt.Errorf("no free address in %s: all %d are in use by containers", subnet, usable)
}

// claim makes the locked address n a lease, or closes a.
func (a *addresses) claim(n uint32) (*lease, error) {
	stale, err := a.used(n)
	if err == nil {
		err = a.mark(n, 1)
	}
	if err != nil {
		a.close()
		return nil, err
	}
	return &lease{addresses: *a, addr: nth(a.subnet, n), stale: stale}, nil
}

func (c config) recordPath(addr netip.Addr) string {
	return filepath.Join(c.dir, "ports-"+addr.String())
}

func (l *lease) write(r leaseRecord) error {
	if len(r.Ports) == 0 {
		return nil
	}
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("record ports: %w", err)
	}
	if err := os.WriteFile(l.cfg.recordPath(l.addr), data, 0o600); err != nil {
		return fmt.Errorf("record ports: %w", err)
	}
	return nil
}

// drop gives the address back.
func (l *lease) drop() error {
	defer l.close()
	return l.forget(l.addr)
}

// forget removes what is noted about a locked address.
func (a *addresses) forget(addr netip.Addr) error {
	if err := os.Remove(a.cfg.recordPath(addr)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("release address: %w", err)
	}
	return a.mark(a.number(addr), 0)
}

// held is an address in use.
type held struct {
	addr   netip.Addr
	record leaseRecord // empty for a container without ports
}

// list returns the living leases, and the dead ones, which it locks until a is closed.
func (a *addresses) list() (living []held, dead []netip.Addr, err error) {
	data, err := io.ReadAll(io.NewSectionReader(a.file, 0, maxAddresses))
	if err != nil {
		return nil, nil, fmt.Errorf("list addresses: %w", err)
	}
	for n := range uint32(len(data)) { //nolint:gosec // G115: at most maxAddresses
		if data[n] == 0 {
			continue
		}
		addr := nth(a.subnet, n)
		locked, err := a.tryLock(n)
		if err != nil {
			return nil, nil, err
		}
		if !locked {
			living = append(living, held{addr, a.cfg.readRecord(addr)})
			continue
		}
		if used, err := a.used(n); err == nil && !used {
			a.unlock(n) // given back since it was read
			continue
		}
		dead = append(dead, addr)
	}
	return living, dead, nil
}

// readRecord reads what it can: one that is being written, or is not there, is an empty one.
func (c config) readRecord(addr netip.Addr) leaseRecord {
	var rec leaseRecord
	data, err := os.ReadFile(c.recordPath(addr))
	if err != nil || json.Unmarshal(data, &rec) != nil {
		return leaseRecord{}
	}
	return rec
}

// nth is the n-th address of the subnet.
func nth(subnet netip.Prefix, n uint32) netip.Addr {
	v := toUint(subnet.Masked().Addr()) + n
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}) //nolint:gosec // G115: the four bytes of v
}

func toUint(addr netip.Addr) uint32 {
	a := addr.As4()
	return uint32(a[0])<<24 | uint32(a[1])<<16 | uint32(a[2])<<8 | uint32(a[3])
}
