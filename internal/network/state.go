package network

import (
	"errors"
	"fmt"
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

// lock takes the machine-wide lock for changing what containers share. It is held for milliseconds.
func (c config) lock() (unlock func(), err error) {
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
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
		err := unix.Flock(int(f.Fd()), how)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
