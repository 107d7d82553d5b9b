// Package ui owns the terminal: progress, tables, colours.
package ui

import (
	"io"
)

// Mode is auto, tty, plain or quiet.
type Mode string

// The modes of --progress.
const (
	Auto  Mode = "auto"
	TTY   Mode = "tty"
	Plain Mode = "plain"
	Quiet Mode = "quiet"
)

// Progress shows steps that run at once: BuildKit's look on a terminal, plain `#N` lines elsewhere.
// Its methods may be called from several goroutines.
type Progress struct{}

// NewProgress writes to w (a terminal is detected for Auto).
func NewProgress(w io.Writer, m Mode) *Progress { return &Progress{} }

// Step is one line.
type Step struct{}

// Step begins a step: "[2/3] RUN apt-get update".
func (p *Progress) Step(name string) *Step { return &Step{} }

// Close finishes the display.
func (p *Progress) Close() {}

// Log shows output of the step.
func (s *Step) Log(b []byte) {}

// Bytes shows how far a transfer is (total 0: unknown).
func (s *Step) Bytes(done, total int64) {}

// Cached marks it as taken from the cache.
func (s *Step) Cached() {}

// Done ends it.
func (s *Step) Done(err error) {}
