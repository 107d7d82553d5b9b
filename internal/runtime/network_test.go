package runtime

import (
	"errors"
	"os"
	"strconv"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/linux/cgroup"
)

// TestNetworkCallback gets the container's network namespace, before the command runs.
func TestNetworkCallback(t *testing.T) {
	b := newBox(t, "guest", "links", "/proc/self/ns/net")
	var seen string
	b.o.Network = func(_ ctxt, netns *os.File, pid int) error {
		var err error
		seen, err = os.Readlink("/proc/self/fd/" + strconv.Itoa(int(netns.Fd())))
		if err == nil && pid <= 1 {
			err = errors.New("no pid")
		}
		return err
	}
	b.o.Spec.Linux.Sysctl = map[string]string{"net.ipv4.ping_group_range": "0 1000"}
	r := b.run()
	if r.out != seen+"\n" || seen == "" {
		t.Errorf("ran in %q, set up %q", r.out, seen)
	}
}

func TestNetworkError(t *testing.T) {
	b := newBox(t, "guest")
	sentinel := errors.New("no network")
	b.o.Network = func(ctxt, *os.File, int) error { return sentinel }
	if _, err := b.try(t.Context()); !errors.Is(err, sentinel) {
		t.Error(err)
	}
	noChildren(t)
}

// TestJoinNetwork starts a container in another one's network namespace.
func TestJoinNetwork(t *testing.T) {
	first := newBox(t, "guest", "sleep", "1m")
	p := first.start()
	path := "/proc/" + strconv.Itoa(p.Pid) + "/ns/net"
	want, err := os.Readlink(path)
	if err != nil {
		t.Fatal(err)
	}
	b := newBox(t, "guest", "links", "/proc/self/ns/net")
	for i := range b.o.Spec.Linux.Namespaces {
		if n := &b.o.Spec.Linux.Namespaces[i]; n.Type == "network" {
			n.Path = path
		}
	}
	b.want(want)
	ours, err := os.Readlink("/proc/self/ns/net")
	if err != nil || ours == want {
		t.Errorf("we are in %s now (%v)", ours, err)
	}
}

// TestParallel starts many at once; nothing may be left but the test's own things.
func TestParallel(t *testing.T) {
	var wg sync.WaitGroup
	var boxes []*box
	for range 50 {
		boxes = append(boxes, newBox(t, "guest", "exit", "5"))
	}
	before := leftovers(t)
	for i, b := range boxes {
		wg.Go(func() {
			g, err := cgroup.New("test-parallel-" + strconv.Itoa(os.Getpid()) + "-" + strconv.Itoa(i))
			if err != nil {
				t.Error(err)
				return
			}
			b.o.Cgroup = g.Dir
			p, err := Start(t.Context(), b.o)
			if err != nil {
				t.Error(err)
			} else if exit, err := p.Wait(); err != nil || exit.Code != 5 {
				t.Errorf("%+v, %v", exit, err)
			}
			if err := g.Remove(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	noChildren(t)
	if after := leftovers(t); after != before {
		t.Errorf("before %+v, after %+v", before, after)
	}
}

type left struct{ files, mounts int }

// leftovers counts open descriptors and mounts.
func leftovers(t *testing.T) left {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for fd := range 2048 {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
			n++
		}
	}
	return left{files: n, mounts: len(mounts)}
}
