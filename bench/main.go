// Command bench measures deckhand against other engines on this machine, in one run, and writes ratios.
//
//	make bench            all of it, into bench/RESULTS.md; as root, with the packages of hack/install-deps bench
//	go run ./bench -only start,version -runs 20
//
// The subjects of one comparison take turns, so that a busy moment of the machine hits them all. Figures are
// medians of wall-clock time from starting the program to its end. The exit code is 1 if a ratio misses its bar.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// comparisons are what there is to measure, in the order of the report.
var comparisons = []struct {
	name    string
	measure func(context.Context, *lab) (*result, error)
}{
	{"version", compareVersion},
	{"start", compareStart},
	{"oci", compareOci},
	{"rebuild", compareRebuild},
	{"step", compareStep},
	{"import", compareImport},
	{"load", compareLoad},
	{"check", compareCheck},
	{"registry", compareRegistry},
}

func run(ctx context.Context, args []string, progress io.Writer) (err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(progress)
	only := flags.String("only", "", "the comparisons to run, separated by commas (all)")
	runs := flags.Int("runs", 40, "how often to run a quick command; slow ones run a quarter as often")
	report := flags.String("o", "bench/RESULTS.md", "the report; - for standard output")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := enterMountNamespace(ctx); err != nil {
		return err
	}
	l, err := newLab(ctx, *runs, progress)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := l.close(); err == nil {
			err = closeErr
		}
	}()
	var results []*result
	for _, c := range comparisons {
		if *only != "" && !strings.Contains(","+*only+",", ","+c.name+",") {
			continue
		}
		_, _ = fmt.Fprintf(progress, "bench: %s\n", c.name) // progress is best effort
		r, err := c.measure(ctx, l)
		if err != nil {
			return fmt.Errorf("compare %s: %w", c.name, err)
		}
		results = append(results, r)
	}
	if err := writeReport(ctx, *report, results); err != nil {
		return err
	}
	return missed(results)
}
