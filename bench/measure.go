package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"slices"
	"syscall"
	"time"
)

// subject is one command of a comparison.
type subject struct {
	name   string
	args   []string
	before func(context.Context) error // not measured
	after  func(context.Context) error // not measured
}

// bar is what a ratio is held to.
type bar struct {
	subject, to string
	atMost      float64
}

// result is a comparison that was measured.
type result struct {
	title    string
	note     string
	subjects []string
	median   map[string]time.Duration
	peak     map[string]int64 // most memory of one run, in KiB
	bars     []bar
	peaks    []peakBar
}

// peakBar is what the memory of a subject is held to: a size, or so many times what another needs.
type peakBar struct {
	subject   string
	atMostMiB float64
	to        string
	atMost    float64
}

// String names the figure.
func (b peakBar) String() string {
	if b.to != "" {
		return "peak memory of " + b.subject + " : " + b.to
	}
	return "peak memory of " + b.subject + ", MiB"
}

// measured is the figure that a bar on memory is about, and its bound.
func (r *result) measured(b peakBar) (got, most float64) {
	if b.to != "" {
		return float64(r.peak[b.subject]) / float64(r.peak[b.to]), b.atMost
	}
	return float64(r.peak[b.subject]) / 1024, b.atMostMiB
}

// ratio is how many times b's median a's is.
func (r *result) ratio(a, b string) float64 { return float64(r.median[a]) / float64(r.median[b]) }

// measure runs the subjects in turn, two rounds unmeasured and then so many measured, and adds their medians.
func (r *result) measure(ctx context.Context, runs int, subjects ...subject) error {
	times := map[string][]time.Duration{}
	if r.peak == nil {
		r.peak = map[string]int64{}
	}
	warmUp := min(2, runs/4)
	for round := range runs + warmUp {
		for _, s := range subjects {
			took, peak, err := s.once(ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			r.peak[s.name] = max(r.peak[s.name], peak)
			if round >= warmUp {
				times[s.name] = append(times[s.name], took)
			}
		}
	}
	if r.median == nil {
		r.median = map[string]time.Duration{}
	}
	for _, s := range subjects {
		r.subjects = append(r.subjects, s.name)
		r.median[s.name] = median(times[s.name])
	}
	return nil
}

// once runs the command and returns its wall-clock time and its peak of memory in KiB.
func (s subject) once(ctx context.Context) (took time.Duration, peak int64, err error) {
	if s.before != nil {
		if err := s.before(ctx); err != nil {
			return 0, 0, err
		}
	}
	var output bytes.Buffer
	cmd := exec.CommandContext(ctx, s.args[0], s.args[1:]...)
	cmd.Stdout, cmd.Stderr = &output, &output
	start := time.Now() //nolint:forbidigo // measuring time is the purpose
	err = cmd.Run()
	took = time.Since(start)
	if err != nil {
		return 0, 0, fmt.Errorf("run %v: %w\n%s", s.args, err, output.Bytes())
	}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		peak = usage.Maxrss
	}
	if s.after != nil {
		err = s.after(ctx)
	}
	return took, peak, err
}

func median(times []time.Duration) time.Duration {
	slices.Sort(times)
	n := len(times)
	return (times[(n-1)/2] + times[n/2]) / 2
}
