package main

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
)

// bar is a figure of the whole run and what it is held to.
type bar struct {
	name   string
	of     func(*row) float64 // NaN: not known
	format string
	bound  float64
	least  bool // the bound is the least, not the most
}

// bars are what the medians are held to.
var bars = []bar{
	{name: "seconds", of: func(r *row) float64 { return r.took.Seconds() }, format: "%.1f", bound: 60},
	{name: "share of the time in the service and its checks", of: (*row).share, format: "%.2f", bound: 0.7, least: true},
	{name: "start, watched : start", of: (*row).overhead, format: "%.2f", bound: 2},
}

// share is the part of the time in which the service ran or its checks did.
func (r *row) share() float64 { return r.proof.Times["service"] / r.proof.Times["total"] }

// overhead is how many times a start takes when it is watched.
func (r *row) overhead() float64 { return r.proof.Times["observe"] / r.proof.Times["unobserved"] }

// median is over the rows that have a proof and know the figure; NaN where there is none.
func (b *bar) median(rows []*row) float64 {
	var figures []float64
	for _, r := range rows {
		if r.proof == nil {
			continue
		}
		if figure := b.of(r); !math.IsNaN(figure) && !math.IsInf(figure, 0) {
			figures = append(figures, figure)
		}
	}
	if len(figures) == 0 {
		return math.NaN()
	}
	slices.Sort(figures)
	n := len(figures)
	return (figures[(n-1)/2] + figures[n/2]) / 2
}

// missed reports whether the median of the rows is on the wrong side of the bound, or not known.
func (b *bar) missed(rows []*row) bool {
	got := b.median(rows)
	if b.least {
		return !(got >= b.bound)
	}
	return !(got <= b.bound)
}

// columns are the table's, from the left.
var columns = []struct {
	title string
	cell  func(*row) string
}{
	{"repairs", (*row).repairs},
	{"capabilities", func(r *row) string { return orNone(r.proof.Profile.Capabilities) }},
	{"writable", (*row).writable},
	{"syscalls", func(r *row) string { return strconv.Itoa(len(r.proof.Syscalls)) }},
	{"probes allowed", func(r *row) string { return fmt.Sprintf("%d → %d", allowed(r.proof.Before), allowed(r.proof.After)) }},
	{"trials", func(r *row) string { return strconv.Itoa(len(r.proof.Trials)) }},
	{"seconds", func(r *row) string { return fmt.Sprintf("%.1f", r.took.Seconds()) }},
	{"in the service", func(r *row) string { return figure("%.0f %%", 100*r.share()) }},
	{"watched : plain", func(r *row) string { return figure("%.2f", r.overhead()) }},
}

// repairs are those of the row, each with what it is about.
func (r *row) repairs() string {
	var cells []string
	for _, repair := range r.proof.Repairs {
		about := repair.Path
		if about == "" {
			about = repair.Value
		}
		if about == "" {
			about = strings.Join(repair.Argv, " ")
		}
		cells = append(cells, strings.TrimSpace(string(repair.Kind)+" "+about))
	}
	return orNone(cells)
}

// writable are the paths that can be written to.
func (r *row) writable() string {
	var paths []string
	p := &r.proof.Profile
	if p.ReadWrite {
		paths = append(paths, "/")
	}
	for _, t := range p.Tmpfs {
		paths = append(paths, t.Path)
	}
	for _, v := range p.Volumes {
		paths = append(paths, v.Path+" (kept)")
	}
	return orNone(paths)
}

func orNone(items []string) string {
	if len(items) == 0 {
		return "none"
	}
	return strings.Join(items, "<br>")
}

// figure formats a number that may be unknown.
func figure(format string, number float64) string {
	if math.IsNaN(number) || math.IsInf(number, 0) {
		return "?"
	}
	return fmt.Sprintf(format, number)
}

// writeReport writes the rows as Markdown.
func writeReport(name string, rows []*row) error {
	text := report(rows)
	if name == "-" {
		_, err := os.Stdout.WriteString(text)
		return err
	}
	return os.WriteFile(name, []byte(text), 0o644) //nolint:gosec // a document
}

func report(rows []*row) string {
	var b strings.Builder
	b.WriteString("# Hardened\n\nWritten by `go run ./bench/harden`; do not edit.\n\n" +
		"Each service was hardened by `deckhand harden --check-host` with no other hint than its check and, where it has one, " +
		"its exercise. What that wrote was then built and run again with `deckhand run --profile`, its check passed before and after a restart, and all its " +
		"processes were looked at from outside: user, capabilities, no_new_privs, seccomp, read-only root.\n\n")
	hardened := 0
	b.WriteString("| service | result |")
	for _, c := range columns {
		b.WriteString(" " + c.title + " |")
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---|", len(columns)) + "\n")
	for _, r := range rows {
		r.write(&b)
		if r.hardened() {
			hardened++
		}
	}
	fmt.Fprintf(&b, "\n%d of %d services are hardened: no capability, no root, a read-only root filesystem, no_new_privs and a "+
		"seccomp profile of their own.\n\n| median | measured | bar | |\n|---|---:|---:|---|\n", hardened, len(rows))
	for _, bar := range bars {
		relation, verdict := "at most", "ok"
		if bar.least {
			relation = "at least"
		}
		if bar.missed(rows) {
			verdict = "**missed**"
		}
		fmt.Fprintf(&b, "| %s | %s | %s %g | %s |\n", bar.name, figure(bar.format, bar.median(rows)), relation, bar.bound, verdict)
	}
	return b.String()
}

func (r *row) write(b *strings.Builder) {
	cells := []string{r.service, r.result()}
	for _, c := range columns {
		if r.proof == nil {
			cells = append(cells, "")
			continue
		}
		cells = append(cells, c.cell(r))
	}
	for i, cell := range cells {
		cells[i] = strings.ReplaceAll(cell, "|", `\|`)
	}
	fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | "))
}

// verdict is an error that lists the services that failed and the bars that were missed.
func verdict(rows []*row) error {
	var lines []string
	for _, r := range rows {
		if r.failure != nil {
			lines = append(lines, r.service+" failed")
		}
	}
	for _, bar := range bars {
		if bar.missed(rows) {
			lines = append(lines, fmt.Sprintf("%s: %s, the bar is %g", bar.name, figure(bar.format, bar.median(rows)), bar.bound))
		}
	}
	if len(lines) == 0 {
		return nil
	}
	return fmt.Errorf("missed:\n  %s", strings.Join(lines, "\n  "))
}
