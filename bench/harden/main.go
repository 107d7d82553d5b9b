// Command harden hardens the services in the directories beside it, one after the other, and writes what came of it.
//
//	go run ./bench/harden                          all of them, into bench/harden/RESULTS.md; as root
//	go run ./bench/harden -only redis,nginx        these, to standard output
//	go run ./bench/harden -plain                   no hardening: see that the services and their checks work as they are
//
// It believes no proof: what was written is built and run again, and its processes are looked at from outside. With
// DECKHAND_DATA_ROOT set it uses that store and leaves the images there; without, nothing is left. The exit code is
// 1 if a service failed or a bar is missed.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx, os.Args[1:], os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench/harden:", err)
		os.Exit(1) //nolint:forbidigo // only main exits
	}
}

// options are the flags.
type options struct {
	only     string
	report   string
	plain    bool
	timeout  time.Duration
	programs string // directory with deckhand and the others; empty: they are built
	proofs   string // directory that keeps what harden writes; empty: it goes
}

// parse reads the command line.
func parse(args []string, progress io.Writer) (*options, error) {
	var o options
	flags := flag.NewFlagSet("bench/harden", flag.ContinueOnError)
	flags.SetOutput(progress)
	flags.StringVar(&o.only, "only", "", "the `SERVICES` to run, separated by commas (all)")
	flags.StringVar(&o.report, "o", "", "the report's `FILE`; - for standard output (bench/harden/RESULTS.md, - with -only)")
	flags.BoolVar(&o.plain, "plain", false, "run the services and their checks as they are, and harden nothing")
	flags.DurationVar(&o.timeout, "timeout", 15*time.Minute, "what one service may take")
	flags.StringVar(&o.programs, "programs", "", "use the programs in `DIR`, do not build them")
	flags.StringVar(&o.proofs, "proofs", "", "keep what harden writes, in `DIR`/SERVICE")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	switch {
	case flags.NArg() > 0:
		return nil, fmt.Errorf("unexpected argument %q: services are named with -only", flags.Arg(0))
	case o.report == "" && o.only != "":
		o.report = "-"
	case o.report == "":
		o.report = root + "/RESULTS.md"
	}
	return &o, nil
}

func run(ctx context.Context, args []string, progress io.Writer) (err error) {
	o, err := parse(args, progress)
	if err != nil {
		return err
	}
	services, err := loadServices(os.DirFS("."), o.only)
	if err != nil {
		return err
	}
	l, err := newLab(ctx, o, progress)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := l.close(); err == nil {
			err = closeErr
		}
	}()
	if o.plain {
		return runPlain(ctx, l, services, o.timeout)
	}
	rows := make([]*row, 0, len(services))
	for _, s := range services {
		r := l.measure(ctx, s, o.timeout)
		if ctx.Err() != nil {
			return ctx.Err() // what was cut short says nothing about the service
		}
		l.say("%s", r.line())
		rows = append(rows, r)
	}
	if err := writeReport(o.report, rows); err != nil {
		return err
	}
	return verdict(rows)
}

// runPlain plays each service as it is, and fails with the names of those that do not work.
func runPlain(ctx context.Context, l *lab, services []*service, timeout time.Duration) error {
	var failed []string
	for _, s := range services {
		line, err := l.plain(ctx, s, timeout)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			failed = append(failed, s.name)
			line = "FAILED: " + err.Error()
		}
		l.say("%s: %s", s.name, line)
	}
	if len(failed) > 0 {
		return fmt.Errorf("these do not work as they are: %s", strings.Join(failed, ", "))
	}
	return nil
}
