package hardencmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/deckhand-engine/deckhand/docs"
	"github.com/deckhand-engine/deckhand/guard/probe"
	"github.com/deckhand-engine/deckhand/guard/probe/report"
	"github.com/deckhand-engine/deckhand/internal/hint"
	"github.com/deckhand-engine/deckhand/internal/outfile"
	"github.com/deckhand-engine/deckhand/internal/ui"
	"github.com/deckhand-engine/deckhand/internal/version"
)

// dockerDefaults is the value of --against.
const dockerDefaults = "docker-defaults"

// defaultUser is who is tried besides the image's own where nobody is named.
const defaultUser = "9000"

// probeOptions are the flags of probe.
type probeOptions struct {
	users, profiles []string
	against         string
	format, output  string
	color           string
	all             bool
	failOn          string
	noDefault       bool // nobody is tried but those who are named
}

func newProbe(std files, g *global) *cobra.Command {
	o := &probeOptions{}
	cmd := &cobra.Command{
		Use:   "probe [OPTIONS] IMAGE",
		Short: "Show what an attacker could do in an image's containers",
		Long: `Show what an attacker could do in an image's containers.

Somebody executes code in a container: what next? Each probe is a real system call, made harmlessly inside a container of
the image: once as it is, with the image's own user, and once as each --user and as each --profile says. The table shows
what is allowed in each. Nothing of the image itself is started, and it needs to hold nothing: FROM scratch works.

Exit status: 0 done, 3 something at or above --fail-on is allowed, 1 it could not be done, 125 wrong usage, 130 interrupted.`,
		Example: `  deckhand probe redis:7
  deckhand probe --user 9000 --profile hardened --against docker-defaults redis:7
  deckhand probe --format html -o redis.html redis:7
  deckhand probe --profile hardened --fail-on high redis:7`,
		Args: oneImage,
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(cmd.Context(), std, g, args[0])
		},
		DisableFlagsInUseLine: true,
		DisableAutoGenTag:     true,
	}
	o.addFlags(cmd.Flags())
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return wrongProbe(err) })
	for name, values := range map[string][]string{
		"format": report.Formats(), "against": {dockerDefaults}, "fail-on": failOnValues(), "color": colors(),
	} {
		// The error is for a flag that does not exist; these do.
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
	_ = cmd.RegisterFlagCompletionFunc("user", cobra.NoFileCompletions) // likewise
	return cmd
}

func oneImage(_ *cobra.Command, args []string) error {
	if len(args) == 1 && args[0] == "" {
		return wrongProbe(errors.New("the image's name is empty"))
	}
	if len(args) != 1 {
		return wrongProbe(fmt.Errorf("probe needs exactly one argument, the image, and got %d", len(args)))
	}
	return nil
}

func (o *probeOptions) addFlags(f *pflag.FlagSet) {
	f.StringArrayVarP(&o.users, "user", "u", nil, "try it as `USER[:GROUP]` too, by name or number (default "+defaultUser+"); may be repeated")
	f.StringArrayVar(&o.profiles, "profile", nil, "try it as the profile in `DIR` says too; may be repeated")
	f.StringVar(&o.against, "against", "", "try it with what another engine gives too: `ENGINE` is "+dockerDefaults)
	f.StringVar(&o.format, "format", report.FormatTable, "how it is written: `FORMAT` is "+strings.Join(report.Formats(), ", "))
	f.StringVarP(&o.output, "output", "o", "", "write it to `FILE` instead of standard output")
	f.StringVar(&o.color, "color", "auto", "colours in the table: `WHEN` is auto, always or never")
	f.BoolVar(&o.all, "all", false, "show also what is allowed nowhere")
	f.StringVar(&o.failOn, "fail-on", "off", "the least `SEVERITY` that may not be allowed: high, medium, low, or off; to the users and profiles named, or else as it is")
}

func colors() []string { return []string{"auto", "always", "never"} }

func failOnValues() []string {
	values := []string{"off"}
	for _, s := range probe.Severities() {
		values = append(values, string(s))
	}
	return values
}

// check refuses values that do not exist.
func (o *probeOptions) check() error {
	for _, f := range []struct {
		name, value string
		known       []string
	}{
		{"format", o.format, report.Formats()},
		{"fail-on", o.failOn, failOnValues()},
		{"color", o.color, colors()},
		{"against", o.against, []string{"", dockerDefaults}},
	} {
		if !slices.Contains(f.known, f.value) {
			return fmt.Errorf("--%s %s: there are %s", f.name, f.value, strings.TrimPrefix(strings.Join(f.known, ", "), ", "))
		}
	}
	if slices.Contains(o.users, "") {
		return errors.New("--user names nobody")
	}
	if slices.Contains(o.profiles, "") {
		return errors.New("--profile names no directory")
	}
	return nil
}

// run is `deckhand probe`.
func (o *probeOptions) run(ctx context.Context, std files, g *global, image string) error {
	if err := o.check(); err != nil {
		return wrongProbe(err)
	}
	r, err := o.probe(ctx, std, g, image)
	std.status.Clear()
	if err != nil {
		return err
	}
	if err := o.write(std, r); err != nil {
		return err
	}
	return o.verdict(r)
}

// wrongProbe is a command line that makes no sense.
func wrongProbe(err error) error {
	return hint.With(&usageError{err}, "see:  deckhand probe --help")
}

// write writes the report: where that is to a file, whole or not at all.
func (o *probeOptions) write(std files, r *report.Report) (err error) {
	out := outfile.As(std.out)
	if o.output != "" && o.output != "-" {
		if out, err = outfile.Open(o.output); err != nil {
			return err
		}
	}
	defer out.Discard()
	var b bytes.Buffer // one write, and none where the report cannot be made
	err = report.Write(&b, o.format, r, report.Options{
		Colour: o.color == "always" || o.color == "auto" && o.output == "" && ui.Colored(std.out),
		Width:  o.width(std), All: o.all, Hints: o.hints(r), Version: version.Number(), Page: docs.Probe,
	})
	if err != nil {
		return err
	}
	if _, err := out.Write(b.Bytes()); err != nil {
		return err
	}
	return out.Finish(0o644)
}

// width is the terminal's; without one lines may be as long as they are.
func (o *probeOptions) width(std files) int {
	if o.output != "" || !ui.IsTerminal(std.out) {
		return 0
	}
	cols, _ := ui.Size(std.out)
	return cols
}

// errAllowed is what --fail-on is about. It is reported already.
var errAllowed = errors.New("more is allowed than --fail-on lets pass")

// verdict turns what is allowed into the exit code.
func (o *probeOptions) verdict(r *report.Report) error {
	for i := range r.Columns {
		c := &r.Columns[i]
		if o.counts(c) && c.Tally().Least(probe.Severity(o.failOn)) > 0 {
			return errAllowed
		}
	}
	return nil
}

// counts reports whether --fail-on is about a column: one that was named, or where none was, the image as it is.
func (o *probeOptions) counts(c *report.Column) bool {
	if len(o.users)+len(o.profiles) == 0 {
		return c.Kind == report.KindImage
	}
	return c.Kind == report.KindUser && slices.Contains(o.users, c.Asked) || c.Kind == report.KindProfile
}
