package runtime

import (
	"os"
	"strconv"
	"strings"
	"testing"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/linux/cgroup"
)

// TestDevicesOfAdmin: a container with CAP_SYS_ADMIN can take nodev away from its mounts. The device
// nodes of a layer or volume must stay shut nevertheless.
func TestDevicesOfAdmin(t *testing.T) {
	groups := 0
	admin := func(args ...string) *box {
		b := newBox(t, args...).asRoot()
		set := append([]string{"CAP_SYS_ADMIN"}, b.o.Spec.Process.Capabilities.Bounding...)
		b.o.Spec.Process.Capabilities = &specs.LinuxCapabilities{Bounding: set, Effective: set, Permitted: set}
		groups++
		g, err := cgroup.New("test-devices-" + strconv.Itoa(os.Getpid()) + "-" + strconv.Itoa(groups))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = g.Remove() })
		b.o.Cgroup = g.Dir
		return b
	}
	b := admin("guest", "undev", "/", "/node")
	loopNode(t, b.upper("node"))
	if r := b.run(); r.Code != 1 || !strings.Contains(r.err, "open /node: operation not permitted") {
		t.Errorf("a node in the root: %+v", r)
	}
	b = admin("guest", "reopen", "/dev/null", "x")
	b.want("")
	dir := volume(t)
	loopNode(t, dir+"/node")
	b = admin("guest", "undev", "/dev", "/dev/loop").mount(bindMount(dir+"/node", "/dev/loop", "dev"))
	if r := b.run(); r.Code != 0 {
		t.Errorf("a device given by name: %+v", r)
	}
}

// TestDevicesWithoutUserns: root without a user namespace could make the node himself.
func TestDevicesWithoutUserns(t *testing.T) {
	b := newBox(t, "guest", "mknod", "/dev/node").asRoot()
	b.o.Spec.Linux.Namespaces = withoutNamespace(b.o.Spec, specs.UserNamespace)
	b.o.Spec.Linux.UIDMappings, b.o.Spec.Linux.GIDMappings = nil, nil
	if _, err := b.try(t.Context()); err == nil || !strings.Contains(err.Error(), "cgroup") {
		t.Errorf("without a cgroup: %v", err)
	}
	g, err := cgroup.New("test-devices-" + strconv.Itoa(os.Getpid()) + "-real")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Remove() })
	b.o.Cgroup, b.o.Stdio = g.Dir, Stdio{}
	if r := b.run(); r.Code != 1 || !strings.Contains(r.err, "operation not permitted") {
		t.Errorf("%+v", r)
	}
}

// loopNode makes a block device that everybody may read.
func loopNode(t *testing.T, path string) {
	t.Helper()
	if err := unix.Mknod(path, unix.S_IFBLK|0o666, int(unix.Mkdev(7, 0))); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
}
