package runtime

import (
	"os"
	"strconv"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/vishvananda/netlink"
)

// TestNetDevices moves a device with its address, under another name.
func TestNetDevices(t *testing.T) {
	name := "dht" + strconv.Itoa(os.Getpid())
	b := newBox(t, "guest", "cat", "/proc/net/fib_trie", "/proc/net/dev")
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: name + "p"}
	if err := netlink.LinkAdd(veth); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = netlink.LinkDel(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name + "p"}}) })
	addr, err := netlink.ParseAddr("192.0.2.77/24")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.AddrAdd(veth, addr); err != nil {
		t.Fatal(err)
	}
	b.o.Spec.Linux.NetDevices = map[string]specs.LinuxNetDevice{name: {Name: "moved0"}}
	r := b.run()
	if r.Code != 0 || !strings.Contains(r.out, "192.0.2.77") || !strings.Contains(r.out, "moved0:") {
		t.Errorf("%+v", r)
	}
	if _, err := netlink.LinkByName(name); err == nil {
		t.Error("the device is still on the host")
	}
}

// TestNetDevicesErrors names the device.
func TestNetDevicesErrors(t *testing.T) {
	b := newBox(t, "guest")
	b.o.Spec.Linux.NetDevices = map[string]specs.LinuxNetDevice{"nosuch0": {}}
	if _, err := b.try(t.Context()); err == nil || !strings.Contains(err.Error(), "linux.netDevices[nosuch0]") {
		t.Error(err)
	}
	b.leave(specs.NetworkNamespace)
	if _, err := b.try(t.Context()); err == nil || !strings.Contains(err.Error(), "linux.netDevices needs") {
		t.Errorf("in the host's network: %v", err)
	}
	noChildren(t)
}

// TestOutOfRange: numbers that do not fit are not cut off.
func TestOutOfRange(t *testing.T) {
	b := newBox(t, "guest")
	b.o.Spec.Process.ConsoleSize = &specs.Box{Height: 1 << 16, Width: 80}
	if _, err := b.try(t.Context()); err == nil || !strings.Contains(err.Error(), "process.consoleSize") {
		t.Error(err)
	}
	b = newBox(t, "guest")
	zero := 0
	hooked(b, []specs.Hook{{Path: "/bin/true", Timeout: &zero}}, nil)
	if _, err := b.try(t.Context()); err == nil || !strings.Contains(err.Error(), "timeout") {
		t.Error(err)
	}
}
