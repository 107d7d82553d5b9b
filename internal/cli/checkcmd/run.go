package checkcmd

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"sync/atomic"

	"github.com/deckhand-engine/deckhand/docs"
	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/check"
	"github.com/deckhand-engine/deckhand/guard/policy"
	"github.com/deckhand-engine/deckhand/guard/report"
	"github.com/deckhand-engine/deckhand/internal/outfile"
	"github.com/deckhand-engine/deckhand/internal/ui"
	"github.com/deckhand-engine/deckhand/internal/version"
)

// run is `deckhand check`.
func (o *options) run(ctx context.Context, std files, args []string) error {
	if err := o.check(); err != nil {
		return &usageError{err}
	}
	switch {
	case o.rules:
		return listRules(std.out)
	case o.explain != "":
		return explain(std.out, o.explain)
	case len(args) == 0:
		args = []string{"."}
	}
	if o.texts == nil && slices.ContainsFunc(args, isText) {
		return o.becomeWhole()
	}
	c, err := o.checker(std, args[0])
	if err != nil {
		return err
	}
	defer std.status.Clear()
	unfixed := 0
	if o.fix || o.diff {
		if unfixed, err = o.fixAll(ctx, std, c, args); err != nil {
			return err
		}
	}
	sum, err := o.write(ctx, std, c, args)
	if err != nil {
		return err
	}
	sum.Failed += unfixed
	return o.verdict(c, sum)
}

// write checks all arguments, and writes the report and the baseline: whole or not at all, where they are files.
func (o *options) write(ctx context.Context, std files, c *check.Checker, args []string) (sum report.Summary, err error) {
	out := outfile.As(std.status.Around(std.out))
	if o.output != "" && o.output != "-" {
		if out, err = outfile.Open(o.output); err != nil {
			return sum, err
		}
	}
	defer out.Discard()
	sum, base, err := o.report(ctx, std, c, args, out)
	std.status.Clear()
	if err == nil && o.writeBaseline != "" {
		err = writeBaseline(o.writeBaseline, base)
	}
	if err != nil {
		return sum, err
	}
	return sum, out.Finish(0o644)
}

// writeBaseline puts a baseline into a file.
func writeBaseline(name string, base *policy.Baseline) error {
	out, err := outfile.Open(name)
	if err != nil {
		return err
	}
	defer out.Discard()
	if err := base.Encode(out); err != nil {
		return err
	}
	return out.Finish(0o644)
}

// report checks all arguments and writes what is found. The baseline is only made where one is asked for.
func (o *options) report(ctx context.Context, std files, c *check.Checker, args []string, out io.Writer) (report.Summary, *policy.Baseline, error) {
	if ui.IsTerminal(std.out) && o.output == "" { // a person sees each document as soon as it is checked
		return o.reportTo(ctx, std, c, args, out)
	}
	buffer := bufio.NewWriterSize(out, 64<<10)
	sum, base, err := o.reportTo(ctx, std, c, args, buffer)
	if flushErr := buffer.Flush(); err == nil {
		err = flushErr
	}
	return sum, base, err
}

func (o *options) reportTo(ctx context.Context, std files, c *check.Checker, args []string, out io.Writer) (sum report.Summary, base *policy.Baseline, err error) {
	w, err := report.New(o.format, out, report.Options{
		Colour: o.colored(std.out), Width: o.width(std.out), Version: version.Number(), Page: docs.Page, Policy: c.Policy,
	})
	if err != nil {
		return sum, nil, err
	}
	if o.quiet {
		w = silent{}
	}
	base = &policy.Baseline{}
	var n atomic.Int64
	run := o.runOptions(std.in)
	run.Now = func(path string) { std.status.Set(doing(n.Load(), path)) }
	err = c.Run(ctx, args, run, func(doc *guard.Document) error {
		n.Add(1)
		sum.Add(doc)
		if o.writeBaseline != "" {
			base.Add(c.Policy, doc)
		}
		return w.Document(doc)
	})
	if err != nil {
		return sum, nil, err
	}
	return sum, base, w.Close(sum)
}

// doing says how far a check is.
func doing(checked int64, path string) string {
	if path == "-" {
		path = "standard input"
	}
	if checked == 0 {
		return "checking " + path
	}
	return "checked " + strconv.FormatInt(checked, 10) + ", now " + path
}

// runOptions are those of every run.
func (o *options) runOptions(in io.Reader) check.RunOptions {
	return check.RunOptions{Kind: o.textKind(), SkipUnknown: o.skip, Stdin: in, Jobs: o.jobs}
}

// silent is the writer of --quiet.
type silent struct{}

// Document writes nothing.
func (silent) Document(*guard.Document) error { return nil }

// Close writes nothing.
func (silent) Close(report.Summary) error { return nil }

// verdict turns what was found into the exit code.
func (o *options) verdict(c *check.Checker, sum report.Summary) error {
	switch {
	case sum.Failed > 0:
		return errFailures
	case o.writeBaseline != "":
		return nil
	case c.Policy.Fails(sum.Errors, sum.Warnings, sum.Infos):
		return errFindings
	}
	return nil
}

func (o *options) colored(w io.Writer) bool {
	return o.color == "always" || o.color == "auto" && o.output == "" && ui.Colored(w)
}

func (o *options) width(w io.Writer) int {
	if o.output != "" {
		return 0
	}
	cols, _ := ui.Size(w)
	return cols
}

func (o *options) log(w io.Writer) *slog.Logger {
	if !o.debug {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
