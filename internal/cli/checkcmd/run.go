package checkcmd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"

	"github.com/deckhand-engine/deckhand/docs"
	"github.com/deckhand-engine/deckhand/guard"
	"github.com/deckhand-engine/deckhand/guard/check"
	"github.com/deckhand-engine/deckhand/guard/policy"
	"github.com/deckhand-engine/deckhand/guard/report"
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
	c, err := o.checker(std, args[0])
	if err != nil {
		return err
	}
	defer std.status.Clear()
	if o.fix || o.diff {
		if err := o.fixAll(ctx, std, c, args); err != nil {
			return err
		}
	}
	out, err := o.openOutput(std.status.Around(std.out))
	if err != nil {
		return err
	}
	sum, err := o.report(ctx, std, c, args, out)
	std.status.Clear()
	if err != nil {
		out.discard()
		return err
	}
	if err := out.finish(0o644); err != nil {
		return err
	}
	return o.verdict(c, sum)
}

// report checks all arguments and writes what is found.
func (o *options) report(ctx context.Context, std files, c *check.Checker, args []string, out io.Writer) (sum report.Summary, err error) {
	if !ui.IsTerminal(std.out) || o.output != "" { // a person sees each document as soon as it is checked
		buffer := bufio.NewWriterSize(out, 64<<10)
		defer func() { err = errors.Join(err, buffer.Flush()) }()
		out = buffer
	}
	w, err := report.New(o.format, out, report.Options{
		Colour: o.colored(std.out), Width: o.width(std.out), Version: version.Number(), Page: docs.Page, Policy: c.Policy,
	})
	if err != nil {
		return sum, err
	}
	if o.quiet {
		w = silent{}
	}
	var base policy.Baseline
	n := 0
	run := check.RunOptions{Kind: o.textKind(), SkipUnknown: o.skip, Stdin: std.in, Jobs: o.jobs, Done: func(path string) {
		n++
		std.status.Set("checked " + strconv.Itoa(n) + ", now " + path)
	}}
	err = c.Run(ctx, args, run, func(doc *guard.Document) error {
		sum.Add(doc)
		if o.writeBaseline != "" {
			base.Add(c.Policy, doc)
		}
		return w.Document(doc)
	})
	if err != nil {
		return sum, err
	}
	if o.writeBaseline != "" {
		if err := base.Write(o.writeBaseline); err != nil {
			return sum, err
		}
	}
	return sum, w.Close(sum)
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

// output is where findings go: standard output, or a file that appears whole or not at all.
type output struct {
	io.Writer
	temp *os.File // nil: Writer is used as it is
	name string
}

// openOutput opens --output.
func (o *options) openOutput(std io.Writer) (*output, error) {
	if o.output == "" || o.output == "-" {
		return &output{Writer: std}, nil
	}
	if info, err := os.Stat(o.output); err == nil && !info.Mode().IsRegular() {
		f, err := os.OpenFile(o.output, os.O_WRONLY, 0)
		if err != nil {
			return nil, fmt.Errorf("open output: %w", err)
		}
		return &output{Writer: f}, nil
	}
	temp, err := os.CreateTemp(filepath.Dir(o.output), "."+filepath.Base(o.output)+".*")
	if err != nil {
		return nil, fmt.Errorf("open output: %w", err)
	}
	return &output{temp, temp, o.output}, nil
}

// finish makes the file appear.
func (o *output) finish(mode fs.FileMode) error {
	if o.temp == nil {
		return nil
	}
	if err := errors.Join(o.temp.Chmod(mode), o.temp.Sync(), o.temp.Close(), os.Rename(o.temp.Name(), o.name)); err != nil {
		o.discard()
		return fmt.Errorf("write %s: %w", o.name, err)
	}
	return nil
}

// discard leaves nothing behind.
func (o *output) discard() {
	if o.temp != nil {
		_ = o.temp.Close()           // it may be closed
		_ = os.Remove(o.temp.Name()) // it may be gone
	}
}

func (o *options) log(w io.Writer) *slog.Logger {
	if !o.debug {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}
