package tracer

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/deckhand-engine/deckhand/internal/linux/seccomp"
	"github.com/deckhand-engine/deckhand/internal/runtime"
)

// workloads are what services do when they start, and the worst case for each kind of stop.
var workloads = map[string][]string{
	// An entrypoint: a shell that starts small programs.
	"shell": {"/bin/sh", "-c", "i=0; while [ $i -lt 40 ]; do i=$((i+1)); /bin/true; x=$(echo $i | /bin/cat); done"},
	// A service: an interpreter that loads its libraries, opens files and a socket, and computes.
	"service": {"/usr/bin/perl", "-e", `
		use strict; use warnings; use POSIX; use IO::Socket; use File::Temp; use Data::Dumper; use Getopt::Long;
		my $s = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => 8080, Listen => 5);
		for my $n (1 .. 50) { open(my $f, ">", "/home/user/$n"); print $f "x" x 8192; close $f }
		my %h; $h{$_ % 1000} .= "x" for 1 .. 200000;`},
	// Calls that are only counted.
	"counted": {"/usr/bin/perl", "-e", `for (1 .. 20000) { syscall(39) }`},
	// Calls that are followed to their end.
	"followed": {"/usr/bin/perl", "-e", `for (1 .. 20000) { -r "/etc/passwd" }`},
	"opened":   {"/usr/bin/perl", "-e", `for (1 .. 5000) { open(my $f, "<", "/etc/passwd") }`},
}

// BenchmarkWatch runs workloads under docker's filter, without a tracer and with one. The median is reported: the
// mean is somebody else's load.
func BenchmarkWatch(b *testing.B) {
	for _, name := range []string{"shell", "service", "counted", "followed", "opened"} {
		for _, kind := range []string{"plain", "denials", "watched"} {
			b.Run(name+"/"+kind, func(b *testing.B) {
				profile, err := seccomp.Default(nil)
				if err != nil {
					b.Fatal(err)
				}
				var times []time.Duration
				var calls uint64
				for range b.N {
					took, n := runWorkload(b, workloads[name], profile, kind)
					times = append(times, took)
					calls = n
				}
				slices.Sort(times)
				b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, "median-ms")
				b.ReportMetric(float64(calls), "calls")
			})
		}
	}
}

func runWorkload(b *testing.B, args []string, profile *specs.LinuxSeccomp, kind string) (took time.Duration, calls uint64) {
	b.Helper()
	x := newBox(b, args...)
	switch kind {
	case "plain":
		x.o.Spec.Linux.Seccomp, x.o.Attach = profile, nil
	case "denials":
		x.o.Spec.Linux.Seccomp = DenialsFilter(profile)
	default:
		x.o.Spec.Linux.Seccomp = Filter(profile)
	}
	errs, err := os.Create(filepath.Join(x.base, "errors"))
	if err != nil {
		b.Fatal(err)
	}
	defer errs.Close()
	x.o.Stdio = runtime.Stdio{Err: errs}
	begin := time.Now()
	p, err := runtime.Start(b.Context(), x.o)
	if err != nil {
		b.Fatal(err)
	}
	exit, err := p.Wait()
	took = time.Since(begin)
	if said, _ := os.ReadFile(errs.Name()); err != nil || exit.Code != 0 || len(said) > 0 {
		b.Fatal(exit, err, strings.TrimSpace(string(said)))
	}
	for _, n := range x.tracer.Record().Syscalls {
		calls += n
	}
	return took, calls
}
