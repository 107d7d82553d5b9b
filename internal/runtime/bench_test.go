package runtime

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/deckhand-engine/deckhand/internal/linux/cgroup"
	"github.com/deckhand-engine/deckhand/internal/linux/seccomp"
)

// BenchmarkStart runs `guest true`, which is a Go program, as `run --rm --network none -u 9000` would.
// The median is reported: the mean is somebody else's load.
func BenchmarkStart(b *testing.B) {
	for name, change := range map[string]func(*box){
		"plain": func(*box) {},
		"no userns": func(x *box) {
			x.o.Spec.Linux.Namespaces = x.o.Spec.Linux.Namespaces[1:]
			x.o.Spec.Linux.UIDMappings, x.o.Spec.Linux.GIDMappings = nil, nil
		},
		"no network": func(x *box) { x.o.Spec.Linux.Namespaces = withoutNamespace(x.o.Spec, "network") },
	} {
		b.Run(name, func(b *testing.B) {
			x := newBox(b, "true").withHostPrograms()
			profile, err := seccomp.Default(nil)
			if err != nil {
				b.Fatal(err)
			}
			x.o.Spec.Linux.Seccomp = profile
			change(x)
			var times, starts []time.Duration
			for i := range b.N {
				begin := time.Now()
				started := runOnce(b, x, strconv.Itoa(i))
				times = append(times, time.Since(begin))
				starts = append(starts, started.Sub(begin))
			}
			report(b, times, "median-ms")
			report(b, starts, "started-ms")
		})
	}
}

func runOnce(b *testing.B, x *box, id string) time.Time {
	b.Helper()
	g, err := cgroup.New("bench-" + strconv.Itoa(os.Getpid()) + "-" + id)
	if err != nil {
		b.Fatal(err)
	}
	x.o.Cgroup = g.Dir
	p, err := Start(b.Context(), x.o)
	if err != nil {
		b.Fatal(err)
	}
	started := time.Now()
	if _, err := p.Wait(); err != nil {
		b.Fatal(err)
	}
	if err := g.Remove(); err != nil {
		b.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(x.base, "work", "work")); err != nil {
		b.Fatal(err)
	}
	return started
}

func report(b *testing.B, times []time.Duration, unit string) {
	b.Helper()
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, unit)
}
