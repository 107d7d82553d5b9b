package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// writeReport writes the results as Markdown.
func writeReport(ctx context.Context, name string, results []*result) error {
	var b strings.Builder
	b.WriteString("# Measured\n\nWritten by `make bench`; do not edit. Medians of wall-clock time, the subjects of a table taking turns.\n\n")
	fmt.Fprintf(&b, "%s\n", machineLine(ctx))
	for _, r := range results {
		r.write(&b)
	}
	if name == "-" {
		_, err := os.Stdout.WriteString(b.String())
		return err
	}
	return os.WriteFile(name, []byte(b.String()), 0o644) //nolint:gosec // a document
}

func (r *result) write(b *strings.Builder) {
	fmt.Fprintf(b, "\n## %s\n\n", r.title)
	if r.note != "" {
		fmt.Fprintf(b, "%s\n\n", r.note)
	}
	b.WriteString("| | median |\n|---|---:|\n")
	for _, name := range r.subjects {
		fmt.Fprintf(b, "| %s | %s |\n", name, milliseconds(r.median[name]))
	}
	b.WriteString("\n| ratio | measured | at most | |\n|---|---:|---:|---|\n")
	verdict := func(got, most float64) string {
		if got > most {
			return "**missed**"
		}
		return "ok"
	}
	for _, bar := range r.bars {
		got := r.ratio(bar.subject, bar.to)
		fmt.Fprintf(b, "| %s : %s | %.2f | %g | %s |\n", bar.subject, bar.to, got, bar.atMost, verdict(got, bar.atMost))
	}
	for _, bar := range r.peaks {
		got, most := r.measured(bar)
		fmt.Fprintf(b, "| %s | %.2f | %g | %s |\n", bar, got, most, verdict(got, most))
	}
}

// missed is an error that lists the ratios above their bars.
func missed(results []*result) error {
	var lines []string
	for _, r := range results {
		for _, bar := range r.bars {
			if got := r.ratio(bar.subject, bar.to); got > bar.atMost {
				lines = append(lines, fmt.Sprintf("%s takes %.2f times %s, at most %g", bar.subject, got, bar.to, bar.atMost))
			}
		}
		for _, bar := range r.peaks {
			if got, most := r.measured(bar); got > most {
				lines = append(lines, fmt.Sprintf("%s: %.2f, at most %g", bar, got, most))
			}
		}
	}
	if len(lines) == 0 {
		return nil
	}
	return fmt.Errorf("missed:\n  %s", strings.Join(lines, "\n  "))
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
}

// machineLine says what the figures were measured on.
func machineLine(ctx context.Context) string {
	cpu := "unknown CPU"
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, rest, ok := strings.Cut(string(info), "model name"); ok {
			cpu, _, _ = strings.Cut(strings.TrimLeft(rest, "\t: "), "\n")
		}
	}
	kernel := "unknown kernel"
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		kernel = "Linux " + unix.ByteSliceToString(u.Release[:])
	}
	parts := []string{fmt.Sprintf("%s, %d cores, %s, %s", cpu, runtime.NumCPU(), kernel, runtime.Version())}
	for _, program := range []string{"crun", "runc", "podman", "buildah"} {
		if out, err := exec.CommandContext(ctx, program, "--version").Output(); err == nil {
			first, _, _ := strings.Cut(string(out), "\n")
			parts = append(parts, first)
		}
	}
	return strings.Join(parts, ", ") + ", measured " + time.Now().UTC().Format("2006-01-02") + "." //nolint:forbidigo // the report's date
}
