package hardencmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/deckhand-engine/deckhand/guard/harden"
	"github.com/deckhand-engine/deckhand/guard/proof"
	"github.com/deckhand-engine/deckhand/internal/engine"
	"github.com/deckhand-engine/deckhand/internal/hint"
	"github.com/deckhand-engine/deckhand/internal/lab"
)

// laboratory is where services are tried.
type laboratory interface {
	harden.Lab
	// Close removes what was built.
	Close(ctx context.Context) error
}

// workshop is what the command works with. Tests have their own.
type workshop struct {
	engine func(files) (*engine.Engine, error)
	lab    func(lab.Options) (laboratory, error)
	harden func(context.Context, harden.Options) (*proof.Proof, error)
	now    func() time.Time
	argv   []string // as it was typed
}

// workshop is the real one.
func (g *global) workshop() *workshop {
	return &workshop{
		engine: g.openEngine,
		lab: func(o lab.Options) (laboratory, error) {
			l, err := openLab(o)
			if err != nil {
				return nil, err // not l: a laboratory that holds nil is not nil
			}
			return l, nil
		},
		harden: harden.Run,
		now:    time.Now, //nolint:forbidigo // the command's one clock
		argv:   append([]string{"deckhand"}, os.Args[1:]...),
	}
}

func newHarden(std files, g *global) *cobra.Command {
	o := &hardenOptions{workshop: g.workshop()}
	return o.command(std)
}

func (o *hardenOptions) command(std files) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "harden [OPTIONS] DIR|DOCKERFILE|IMAGE",
		Short: "Take root away from a service, and prove that it still works",
		Long: `Take root away from a service, and prove that it still works.

The service is built, started as it is, and checked. Then it is watched, run as an ordinary user without any privilege,
and given back only what it turns out to need: each repair is tried, with a restart, and whatever is not needed is
dropped again. Without --write and --output the changes of the Dockerfile are shown, and nothing is written.

What is not exercised is not proven. Without --check and --check-host the image's HEALTHCHECK is the check; without that,
that its ports accept connections. A check on the host has DECKHAND_HOST and DECKHAND_PORT_6379 (and the like).

An interrupted run is resumed by the same command.

Exit status: 0 proven, without any privilege left; 3 proven, but some privilege is irreducible; 1 not proven, 125 wrong
usage, 130 interrupted.`,
		Example: `  deckhand harden .
  deckhand harden --check-host 'redis-cli -p $DECKHAND_PORT_6379 set a b' --write ./redis
  deckhand harden --exercise 'nginx -s reload' --output proof nginx:1.27`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return &usageError{fmt.Errorf("harden wants one directory, Dockerfile or image, not %d", len(args))}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(cmd.Context(), std, args[0])
		},
		DisableFlagsInUseLine: true,
		DisableAutoGenTag:     true,
	}
	o.addFlags(cmd.Flags())
	// The errors are for flags that do not exist; these do.
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(hardenFormats(), cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("keep-caps", cobra.FixedCompletions(capabilityNames(), cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.MarkFlagDirname("output")
	return cmd
}

// run is `deckhand harden`.
func (o *hardenOptions) run(ctx context.Context, std files, arg string) (err error) {
	if err := o.complete(); err != nil {
		return &usageError{err}
	}
	e, err := o.workshop.engine(std)
	if err != nil {
		return err
	}
	if e.SingleID {
		return hint.With(
			errors.New("without subordinate ids a container has only id 0: no other user can be tried"),
			"how to get some:  docs/rootless.md",
		)
	}
	s, err := o.find(ctx, e.Store, arg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := o.checkPlaces(s); err != nil {
		return err
	}
	o.startOver(s)
	p, err := o.prove(ctx, std, e, s)
	std.status.Clear()
	if err != nil {
		return explainHarden(ctx, err, o, s)
	}
	warnOfVolumes(ctx, std, e, &p.Profile)
	return o.deliver(std, s, p)
}

// prove does the work in a laboratory of its own.
func (o *hardenOptions) prove(ctx context.Context, std files, e *engine.Engine, s *subject) (p *proven, err error) {
	view := &trialView{std: std, quiet: o.quiet, clock: o.workshop.now}
	lo := o.labOptions(e, s)
	lo.Progress = view.building
	l, err := o.workshop.lab(lo)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.Close(ctx)) }()
	ho := o.options(s)
	ho.Lab, ho.Progress, ho.Now = l, view.event, o.workshop.now
	memory, err := o.memory(e.Store)
	if err != nil {
		return nil, err
	}
	memory.hit, ho.Memory = view.recalled, memory
	found, err := o.workshop.harden(ctx, ho)
	if err != nil {
		if ctx.Err() == nil {
			memory.forgetFailures()
		}
		return nil, err
	}
	return &proven{Proof: found, recalled: memory.recalled()}, nil
}

// proven is a proof, and how many of its trials an earlier run had made.
type proven struct {
	*proof.Proof
	recalled int
}
