package features

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// inNetns calls fn on a thread with a new network namespace, which goes with it.
func inNetns(fn func() error) error {
	return onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("make network namespace: %w", err)
		}
		return fn()
	})
}

// bridge makes a bridge with one end of a veth pair in it.
func (p *prober) bridge() Feature {
	err := inNetns(func() error {
		bridge := &netlink.Bridge{LinkAttrs: named("deckhand-br")}
		if err := netlink.LinkAdd(bridge); err != nil {
			return fmt.Errorf("add a bridge: %w", err)
		}
		veth := &netlink.Veth{LinkAttrs: named("deckhand-a"), PeerName: "deckhand-b"}
		veth.MasterIndex = bridge.Index
		if err := netlink.LinkAdd(veth); err != nil {
			return fmt.Errorf("add a veth pair: %w", err)
		}
		return nil
	})
	return outcome(err, "", "sudo modprobe -a bridge veth")
}

func named(name string) netlink.LinkAttrs {
	a := netlink.NewLinkAttrs()
	a.Name = name
	return a
}

// nftables masquerades, as the bridge network does.
func (p *prober) nftables() Feature {
	err := inNetns(func() error {
		c, err := nftables.New()
		if err != nil {
			return fmt.Errorf("open nftables: %w", err)
		}
		table := c.AddTable(&nftables.Table{Name: "deckhand-info", Family: nftables.TableFamilyIPv4})
		chain := c.AddChain(&nftables.Chain{
			Name: "postrouting", Table: table, Type: nftables.ChainTypeNAT,
			Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource,
		})
		c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{&expr.Masq{}}})
		if err := c.Flush(); err != nil {
			return fmt.Errorf("masquerade: %w", err)
		}
		return nil
	})
	return outcome(err, "", "sudo modprobe -a nf_tables nft_masq")
}

const forwardingPath = "/proc/sys/net/ipv4/ip_forward"

// forwarding is turned on with the first bridge: it is enough that it can be, so the value is written back.
func (p *prober) forwarding() Feature {
	b, err := os.ReadFile(forwardingPath)
	if err != nil {
		return no(err.Error(), "")
	}
	if strings.TrimSpace(string(b)) != "0" {
		return yes("on")
	}
	err = os.WriteFile(forwardingPath, b, 0)
	return outcome(err, "off; the first bridge network turns it on", "sudo sysctl -w net.ipv4.ip_forward=1")
}

const tunDevice = "/dev/net/tun"

func (p *prober) pasta() Feature {
	path, err := exec.LookPath("pasta")
	if err != nil {
		return no("not installed: --network host and none work", "sudo apt install passt")
	}
	f, err := os.OpenFile(tunDevice, os.O_RDWR, 0)
	if err != nil {
		return no(fmt.Sprintf("%s: %v: --network host and none work", tunDevice, errors.Unwrap(err)),
			"sudo modprobe tun && sudo chmod 666 "+tunDevice)
	}
	_ = f.Close() // nothing written
	return yes(path)
}

// lowPorts is about publishing: inside, containers may listen on every port.
func (p *prober) lowPorts() Feature {
	b, err := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start")
	if err != nil {
		return no(err.Error(), "")
	}
	first, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return no("net.ipv4.ip_unprivileged_port_start: "+err.Error(), "")
	}
	if first > 80 {
		return no(fmt.Sprintf("you can publish ports from %d up", first), "sudo sysctl -w net.ipv4.ip_unprivileged_port_start=80")
	}
	return yes(fmt.Sprintf("you can publish ports from %d up", first))
}
