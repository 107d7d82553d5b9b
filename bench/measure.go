package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"slices"
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
	bars     []bar
}

// ratio is how many times b's median a's is.
func (r *result) ratio(a, b string) float64 { return float64(r.median[a]) / float64(r.median[b]) }

// measure runs the subjects in turn, two rounds unmeasured and then so many measured, and adds their medians.
func (r *result) measure(ctx context.Context, runs int, subjects ...subject) error {
	times := map[string][]time.Duration{}
	warmUp := min(2, runs/4)
	for round := range runs + warmUp {
		for _, s := range subjects {
			took, err := s.once(ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
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

// once runs the command and returns its wall-clock time.
func (s subject) once(ctx context.Context) (time.Duration, error) {
	if s.before != nil {
		if err := s.before(ctx); err != nil {
			return 0, err
		}
	}
	var output bytes.Buffer
	cmd := exec.CommandContext(ctx, s.args[0], s.args[1:]...)
	cmd.Stdout, cmd.Stderr = &output, &output
	start := time.Now() //nolint:forbidigo // measuring time is the purpose
	err := cmd.Run()
	took := time.Since(start)
	if err != nil {
		return 0, fmt.Errorf("run %v: %w\n%s", s.args, err, output.Bytes())
	}
	if s.after != nil {
		return took, s.after(ctx)
	}
	return took, nil
}

func median(times []time.Duration) time.Duration {
	slices.Sort(times)
	n := len(times)
	return (times[(n-1)/2] + times[n/2]) / 2
}
