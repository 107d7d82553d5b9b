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

	"golang.org/x/sys/unix"
)

// config says where things are; tests change it.
type config struct {
	dir     string // state that a reboot may forget
	bridge  string
	table   string
	subnets []netip.Prefix // candidates, in order

	resolvConf   string
	resolvedConf string // systemd-resolved's list of real servers
	hostsFile    string
}

// candidates avoid what docker (172.17-31, 192.168), podman (10.88 and up), CRI-O (10.85), libvirt
// (192.168.122) and Kubernetes distributions (10.42, 10.43, 10.96, 10.244) take by default.
func candidates() []netip.Prefix {
	return []netip.Prefix{
		netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 87}), 16),
		netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 86}), 16),
		netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 187}), 16),
		netip.PrefixFrom(netip.AddrFrom4([4]byte{172, 16, 128}), 17),
		netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 168, 224}), 20),
	}
}

func defaultConfig() config {
	return config{
		dir: "/run/deckhand/net", bridge: "deckhand0", table: "deckhand", subnets: candidates(),
		resolvConf: "/etc/resolv.conf", resolvedConf: "/run/systemd/resolve/resolv.conf", hostsFile: "/etc/hosts",
	}
}

func (c config) leaseDir() string { return filepath.Join(c.dir, "addresses") }

// lock takes the machine-wide lock for changing what containers share. It is held for milliseconds.
func (c config) lock() (unlock func(), err error) {
	if err := os.MkdirAll(c.leaseDir(), 0o700); err != nil {
		return nil, fmt.Errorf("make network state: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(c.dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open network lock: %w", err)
	}
	if err := flock(f, unix.LOCK_EX); err != nil {
		_ = f.Close() // nothing was written
		return nil, fmt.Errorf("lock network: %w", err)
	}
	return func() { _ = f.Close() }, nil // closing unlocks
}

func flock(f *os.File, how int) error {
	for {
		err := unix.Flock(int(f.Fd()), how) //nolint:gosec // G115: a descriptor fits an int
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// lease is an address that is ours as long as the file is locked.
type lease struct {
	addr  netip.Addr
	file  *os.File
	stale bool // the file was a dead process's
}

// leaseRecord is what a lease file says about its container, for error texts and rebuilding the rules.
type leaseRecord struct {
	ID    string
	PID   int
	Ports []Port
}

// takeAddress reserves a free address of the subnet. It starts at a random place: an address is then
// rarely used again while its last owner's namespace is still being torn down.
func (c config) takeAddress(subnet netip.Prefix) (*lease, error) {
	size := uint32(1) << (32 - subnet.Bits())
	if size < 4 {
		return nil, fmt.Errorf("network %s is too small for a container", subnet)
	}
	usable := size - 3 // network, gateway, broadcast
	start := rand.Uint32N(usable)
	for i := range usable {
		addr := nth(subnet, 2+(start+i)%usable)
		l, err := c.tryAddress(addr)
		if err != nil {
			return nil, err
		}
		if l != nil {
			return l, nil
		}
	}
	return nil, fmt.Errorf("no free address in %s: all %d are in use by containers", subnet, usable)
}

// tryAddress returns nil when somebody has the address.
func (c config) tryAddress(addr netip.Addr) (*lease, error) {
	path := filepath.Join(c.leaseDir(), addr.String())
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		if errors.Is(err, os.ErrNotExist) {
			if err := os.MkdirAll(c.leaseDir(), 0o700); err != nil {
				return nil, fmt.Errorf("make network state: %w", err)
			}
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reserve address: %w", err)
		}
		l, again, err := claim(f, addr)
		if l == nil {
			_ = f.Close() // nothing was written
		}
		if !again {
			return l, err
		}
	}
}

// claim locks the open file f; again means that it was removed in between.
func claim(f *os.File, addr netip.Addr) (l *lease, again bool, err error) {
	err = flock(f, unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("lock address: %w", err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil { //nolint:gosec // G115: a descriptor fits an int
		return nil, false, fmt.Errorf("stat address: %w", err)
	}
	if st.Nlink == 0 {
		return nil, true, nil
	}
	return &lease{addr: addr, file: f, stale: st.Size > 0}, false, nil
}

func (l *lease) write(r leaseRecord) error {
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write address: %w", err)
	}
	if err := l.file.Truncate(0); err != nil {
		return fmt.Errorf("write address: %w", err)
	}
	if _, err := l.file.WriteAt(data, 0); err != nil {
		return fmt.Errorf("write address: %w", err)
	}
	return nil
}

// drop removes the file while it is still locked, so that nobody can lock a file without a name.
func (l *lease) drop() error {
	err := os.Remove(l.file.Name())
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	_ = l.file.Close() // unlocks; the content is gone anyway
	if err != nil {
		return fmt.Errorf("release address: %w", err)
	}
	return nil
}

// held is a lease file found by leases.
type held struct {
	addr   netip.Addr
	record leaseRecord
}

// leases lists the living leases and opens the dead ones, locked; the caller drops or closes those.
func (c config) leases() (living []held, dead []*lease, err error) {
	entries, err := os.ReadDir(c.leaseDir())
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("list addresses: %w", err)
	}
	for _, e := range entries {
		addr, err := netip.ParseAddr(e.Name())
		if err != nil {
			continue // not ours
		}
		f, err := os.OpenFile(filepath.Join(c.leaseDir(), e.Name()), os.O_RDWR, 0)
		if err != nil {
			continue // removed meanwhile
		}
		l, again, err := claim(f, addr)
		if err == nil && !again && l != nil {
			dead = append(dead, l)
			continue
		}
		if err == nil && !again {
			living = append(living, held{addr, readRecord(f)})
		}
		_ = f.Close() // nothing was written
	}
	return living, dead, nil
}

// readRecord reads what it can: a record that is being written reads as an empty one.
func readRecord(r io.Reader) leaseRecord {
	var rec leaseRecord
	if err := json.NewDecoder(r).Decode(&rec); err != nil {
		return leaseRecord{}
	}
	return rec
}

// nth is the n-th address of the subnet.
func nth(subnet netip.Prefix, n uint32) netip.Addr {
	a := subnet.Masked().Addr().As4()
	v := uint32(a[0])<<24 | uint32(a[1])<<16 | uint32(a[2])<<8 | uint32(a[3])
	v += n
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}) //nolint:gosec // G115: the four bytes of v
}
