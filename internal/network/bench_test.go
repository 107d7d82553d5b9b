package network

import (
	"context"
	"os"
	"testing"
)

// BenchmarkBridge is what a container's start and end pay for the bridge, without and with a port; the
// namespace itself is not counted.
func BenchmarkBridge(b *testing.B) {
	for name, ports := range map[string][]string{"plain": nil, "port": {"127.0.0.1:0:80"}, "udp": {"0:53/udp"}} {
		b.Run(name, func(b *testing.B) {
			m := newMachine(b)
			m.run(b)
			specs := mustPorts(b, ports...)
			for b.Loop() {
				b.StopTimer()
				ns, err := makeNetns()
				check(b, err)
				b.StartTimer()
				n, err := m.cfg.open(b.Context(), Options{ID: "b", Mode: Bridge, Ports: specs})
				check(b, err)
				check(b, n.Attach(b.Context(), ns, os.Getpid()))
				check(b, n.Release(context.Background()))
				b.StopTimer()
				check(b, ns.Close())
				b.StartTimer()
			}
		})
	}
}

// BenchmarkSteps shows the parts.
func BenchmarkSteps(b *testing.B) {
	b.Run("new", func(b *testing.B) {
		m := newMachine(b)
		m.run(b)
		for b.Loop() {
			n, err := m.cfg.open(b.Context(), Options{ID: "b", Mode: Bridge})
			check(b, err)
			check(b, n.Release(context.Background()))
		}
	})
	b.Run("attach", func(b *testing.B) {
		m := newMachine(b)
		n := m.open(b)
		for b.Loop() {
			b.StopTimer()
			ns, err := makeNetns()
			check(b, err)
			b.StartTimer()
			check(b, n.Attach(b.Context(), ns, os.Getpid()))
			b.StopTimer()
			check(b, ns.Close())
			b.StartTimer()
		}
	})
	b.Run("sweep", func(b *testing.B) {
		m := newMachine(b)
		m.run(b)
		for b.Loop() {
			check(b, m.cfg.sweep(b.Context()))
		}
	})
}
