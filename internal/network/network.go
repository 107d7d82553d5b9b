// Package network gives a container its network: none, the host's, a bridge with NAT, or pasta.
package network

import (
	"context"
	"errors"
	"net/netip"
	"os"
)

// Mode is how a container is connected.
type Mode string

// The modes.
const (
	None   Mode = "none"
	Host   Mode = "host"
	Bridge Mode = "bridge"
	Pasta  Mode = "pasta"
)

// Port is one published port.
type Port struct {
	HostIP        netip.Addr // unspecified: every address
	HostPort      uint16     // 0: chosen
	ContainerPort uint16
	Protocol      string // tcp or udp
}

// ParsePorts reads docker's -p syntax ([ip:][host[-end]:]ctr[-end][/proto]).
func ParsePorts(s string) ([]Port, error) { return nil, errors.ErrUnsupported }

// String is docker ps's form: 0.0.0.0:8080->80/tcp.
func (p Port) String() string { return "" }

// Options for New.
type Options struct {
	ID       string
	Mode     Mode
	Hostname string
	Ports    []Port
	Rootless bool
}

// Network is one container's reserved network: address and host ports are taken by New and kept until
// Release or the death of this process.
type Network struct{}

// New reserves; the bridge and the nftables base are made when missing. Errors say what to type instead.
func New(ctx context.Context, o Options) (*Network, error) { return nil, errors.ErrUnsupported }

// Attach connects the container's network namespace (called by the runtime while the child mounts).
func (n *Network) Attach(ctx context.Context, netns *os.File, pid int) error {
	return errors.ErrUnsupported
}

// Address is the container's address, invalid unless Bridge.
func (n *Network) Address() netip.Addr { return netip.Addr{} }

// Ports are the published ports with the host ports chosen.
func (n *Network) Ports() []Port { return nil }

// ResolvConf is the content for the container's /etc/resolv.conf, Hosts for /etc/hosts.
func (n *Network) ResolvConf() []byte { return nil }

// Hosts is the content for /etc/hosts.
func (n *Network) Hosts() []byte { return nil }

// Release frees address and ports.
func (n *Network) Release(ctx context.Context) error { return nil }

// Sweep clears what dead processes left; cheap when there is nothing.
func Sweep(ctx context.Context) error { return nil }
