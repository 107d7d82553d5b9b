// Package network gives a container its network: none, the host's, a bridge with NAT, or pasta.
//
// The bridge, its address and the nftables table are shared by every container of the machine and are
// made by whoever needs them first. What belongs to one container (an address, host ports, elements of
// two nftables maps) is held by the process that called New: the kernel frees the locks and sockets
// when that process dies, and the next command removes the map elements (Sweep).
//
// This package does not create network namespaces and sets no sysctl that a container is promised;
// both are the runtime's.
package network

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
)

// Mode is how a container is connected.
type Mode string

// The modes.
const (
	None   Mode = "none"   // loopback only
	Host   Mode = "host"   // the host's own namespace
	Bridge Mode = "bridge" // veth, NAT; root only
	Pasta  Mode = "pasta"  // user-mode networking; for ordinary users
)

// Options for New.
type Options struct {
	ID       string
	Mode     Mode
	Hostname string
	Ports    []Port
	Rootless bool
	Log      *slog.Logger // warnings; nil discards them
}

// Network is one container's reserved network: address and host ports are taken by New and kept until
// Release or the death of this process.
type Network struct {
	cfg      config
	opts     Options
	ports    []Port
	resolv   []byte
	hosts    []byte
	reserved sockets

	base    *base        // Bridge
	lease   *lease       // Bridge
	rules   *ruleset     // Bridge
	helper  *pastaHelper // Pasta
	mu      sync.Mutex   // guards released and published
	release bool
	publish bool
}

// ErrRootless is wrapped by errors about a network that an ordinary user cannot have.
var ErrRootless = errors.New("needs root")

// DefaultMode is the network of a container for which none was asked: the bridge as root, pasta
// otherwise. The error, where pasta cannot work, says what to type instead.
func DefaultMode(rootless bool) (Mode, error) {
	if !rootless {
		return Bridge, nil
	}
	if err := PastaUsable(); err != nil {
		return "", err
	}
	return Pasta, nil
}

// ParseMode reads the value of --network. "default" and "" are DefaultMode's.
func ParseMode(s string, rootless bool) (Mode, error) {
	switch m := Mode(s); m {
	case "", "default":
		return DefaultMode(rootless)
	case None, Host, Bridge, Pasta:
		return m, nil
	}
	return "", fmt.Errorf("network %s not found: the networks are bridge, host, none and pasta", s)
}

// New reserves; the bridge and the nftables base are made when missing. Errors say what to type instead.
// The caller calls Release on the result, whether or not it was attached.
func New(ctx context.Context, o Options) (*Network, error) { return defaultConfig().open(ctx, o) }

func (c config) open(ctx context.Context, o Options) (*Network, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if strings.ContainsFunc(o.Hostname, func(r rune) bool { return r <= ' ' || r == '#' || r == 0x7f }) {
		return nil, fmt.Errorf("invalid hostname %q", o.Hostname)
	}
	n := &Network{cfg: c, opts: o}
	err := n.reserve(ctx)
	if err == nil {
		err = n.nameFiles()
	}
	if err != nil {
		_ = n.Release(context.WithoutCancel(ctx)) // the first error is the one to show
		return nil, err
	}
	return n, nil
}

func (n *Network) reserve(ctx context.Context) error {
	switch n.opts.Mode {
	case None:
		return nil
	case Host:
		if len(n.opts.Ports) > 0 {
			n.opts.Log.Warn("Published ports are discarded when using host network mode")
		}
		return nil
	case Bridge:
		return n.openBridge(ctx)
	case Pasta:
		return n.openPasta()
	default:
		return fmt.Errorf("network %s not found: the networks are bridge, host, none and pasta", n.opts.Mode)
	}
}

// openBridge makes sure of the bridge and takes an address and the host ports.
func (n *Network) openBridge(ctx context.Context) error {
	if n.opts.Rootless || os.Geteuid() != 0 {
		return fmt.Errorf("the bridge network %w: use --network pasta, host or none", ErrRootless)
	}
	for _, p := range n.opts.Ports {
		if p.HostIP.Is6() {
			return &PortError{Port: p, Err: errors.New("the bridge network publishes IPv4 addresses only")}
		}
	}
	var err error
	if n.rules, err = openRuleset(n.cfg); err != nil {
		return err
	}
	if n.base, err = n.cfg.ensureBase(ctx, n.rules, n.opts.Log); err != nil {
		return err
	}
	if n.lease, err = n.cfg.takeAddress(n.base.Subnet); err != nil {
		return err
	}
	if n.lease.stale {
		if err := n.lease.purge(n.rules, n.lease.addr); err != nil {
			return err
		}
	}
	if n.ports, err = n.reserved.take(n.opts.Ports); err != nil {
		return n.cfg.explainPort(err)
	}
	return n.lease.write(leaseRecord{ID: n.opts.ID, PID: os.Getpid(), Ports: n.ports})
}

// Attach connects the container's network namespace (called by the runtime while the child mounts).
func (n *Network) Attach(ctx context.Context, netns *os.File, pid int) error {
	switch n.opts.Mode {
	case Bridge:
		return n.attachBridge(ctx, netns)
	case Pasta:
		return n.attachPasta(ctx, pid)
	case None, Host:
	}
	return nil
}

// Address is the container's address, invalid unless Bridge.
func (n *Network) Address() netip.Addr {
	if n.lease == nil {
		return netip.Addr{}
	}
	return n.lease.addr
}

// Ports are the published ports with the host ports chosen; none with Host and None.
func (n *Network) Ports() []Port { return slices.Clone(n.ports) }

// ResolvConf is the content for the container's /etc/resolv.conf.
func (n *Network) ResolvConf() []byte { return n.resolv }

// Hosts is the content for /etc/hosts.
func (n *Network) Hosts() []byte { return n.hosts }

// Release frees address and ports; the second call does nothing. The veth goes with the container's
// namespace.
func (n *Network) Release(ctx context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.release {
		return nil
	}
	n.release = true
	var err error
	if n.publish {
		err = n.cfg.unpublish(n.rules, elements(n.ports, n.lease.addr))
	}
	if n.helper != nil {
		err = errors.Join(err, n.helper.stop(ctx))
	}
	n.reserved.close()
	if n.lease != nil {
		err = errors.Join(err, n.lease.drop())
	}
	if n.rules != nil {
		err = errors.Join(err, n.closeRules())
	}
	return err
}

// closeRules closes in the background after elements were removed: the kernel then lets the closing wait
// for an RCU grace period, some 10 ms in which the caller has other things to do.
func (n *Network) closeRules() error {
	if !n.publish {
		return n.rules.close()
	}
	go func() { _ = n.rules.close() }() // nothing is buffered
	return nil
}
