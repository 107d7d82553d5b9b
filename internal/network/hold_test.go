package network

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// hold is another process: it takes a network, attaches it and waits to be killed.
func hold() int {
	cfg := defaultConfig()
	cfg.dir = os.Getenv(holdEnv)
	var ports []Port
	for s := range strings.SplitSeq(os.Getenv("PORTS"), ",") {
		ps, err := ParsePorts(s)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		ports = append(ports, ps...)
	}
	n, err := cfg.open(context.Background(), Options{ID: "held", Mode: Bridge, Ports: ports})
	var ns *os.File
	if err == nil {
		ns, err = makeNetns()
	}
	if err == nil {
		err = n.Attach(context.Background(), ns, os.Getpid())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("held")
	time.Sleep(time.Minute)
	return 1
}

func askOn(t *testing.T, c net.Conn) string {
	t.Helper()
	_ = c.SetDeadline(time.Now().Add(time.Second))
	if _, err := c.Write([]byte("?")); err != nil {
		return err.Error()
	}
	buf := make([]byte, 100)
	n, err := c.Read(buf)
	if err != nil {
		return err.Error()
	}
	name, _, _ := strings.Cut(string(buf[:n]), " ")
	return name
}

// TestParallel starts 50 at once on a machine that has no bridge yet, and frees them at once.
func TestParallel(t *testing.T) {
	m := newMachine(t)
	const count = 50
	nets := make([]*Network, count)
	namespaces := make([]*os.File, count)
	for i := range namespaces {
		namespaces[i] = newNetns(t)
	}
	var wg sync.WaitGroup
	for i := range count {
		wg.Go(func() {
			n, err := m.cfg.open(t.Context(), Options{ID: fmt.Sprint(i), Mode: Bridge, Ports: []Port{
				{ContainerPort: 80, Protocol: "tcp", HostPort: 20000, HostPortEnd: 20999},
				{ContainerPort: 53, Protocol: "udp"},
			}})
			if err == nil {
				nets[i] = n
				err = n.Attach(t.Context(), namespaces[i], os.Getpid())
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	seen := map[any]bool{}
	for i, n := range nets {
		for _, key := range []any{n.Address(), n.Ports()[0].HostPort, -int(n.Ports()[1].HostPort)} {
			if seen[key] {
				t.Errorf("%v was given twice", key)
			}
			seen[key] = true
		}
		serve(t, namespaces[i], "tcp4", ":80", fmt.Sprint(i))
	}
	for i, n := range nets {
		got, _, err := ask(t, nil, "tcp4", fmt.Sprintf("127.0.0.1:%d", n.Ports()[0].HostPort))
		if got != fmt.Sprint(i) {
			t.Errorf("%d answered %q, %v", i, got, err)
		}
	}
	for _, n := range nets {
		wg.Go(func() {
			if err := n.Release(context.Background()); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			if err := m.cfg.sweep(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := m.elements(t); len(got) != 0 {
		t.Errorf("left: %v", got)
	}
	if living, dead := m.leased(t); len(living)+len(dead) != 0 {
		t.Errorf("left: %v %v", living, dead)
	}
}
