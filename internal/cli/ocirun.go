package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/deckhand-engine/deckhand/internal/bundle"
	"github.com/deckhand-engine/deckhand/internal/runtime"
)

// ociOptions are the flags of create and run.
type ociOptions struct {
	bundle, consoleSocket, pidFile string
	preserveFds                    int
	noPivot, noNewKeyring          bool
	detach, keep, noSubreaper      bool // of run
}

func (o *ociOptions) addFlags(f *pflag.FlagSet) {
	f.StringVarP(&o.bundle, "bundle", "b", "", "`directory` of the bundle (default: this one)")
	f.StringVar(&o.consoleSocket, "console-socket", "", "`socket` that takes the master of the terminal")
	f.StringVar(&o.pidFile, "pid-file", "", "`file` to write the process id to")
	f.IntVar(&o.preserveFds, "preserve-fds", 0, "`number` of descriptors, from 3 on, that the command inherits")
	f.BoolVar(&o.noPivot, "no-pivot", false, "cover the machine's root, where it is a ramdisk, instead of leaving it")
	f.BoolVar(&o.noNewKeyring, "no-new-keyring", false, "keep the caller's session keyring")
}

func newOciCreate(o *ociApp) *cobra.Command {
	var opts ociOptions
	cmd := &cobra.Command{
		Use:   "create [OPTIONS] CONTAINER-ID",
		Short: "Create a container that waits to be started",
		Args:  oneID,
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.create(cmd.Context(), &opts, args[0])
		},
	}
	opts.addFlags(cmd.Flags())
	return cmd
}

func newOciRun(o *ociApp) *cobra.Command {
	var opts ociOptions
	cmd := &cobra.Command{
		Use:   "run [OPTIONS] CONTAINER-ID",
		Short: "Create a container and start it",
		Args:  oneID,
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(cmd.Context(), &opts, args[0])
		},
	}
	f := cmd.Flags()
	opts.addFlags(f)
	f.BoolVarP(&opts.detach, "detach", "d", false, "return as soon as it runs")
	f.BoolVar(&opts.keep, "keep", false, "do not delete it when it has ended")
	f.BoolVar(&opts.noSubreaper, "no-subreaper", false, "no effect: this program never adopts processes")
	_ = f.MarkHidden("no-subreaper") // declared just above
	return cmd
}

func newOciStart(o *ociApp) *cobra.Command {
	return &cobra.Command{
		Use:   "start CONTAINER-ID",
		Short: "Start the command of a container that was created",
		Args:  oneID,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.open(args[0])
			if err != nil {
				return err
			}
			return c.Start(cmd.Context())
		},
	}
}

// prepare loads the bundle. An ordinary user is in his own namespace afterwards.
func (o *ociApp) prepare(opts *ociOptions, id string) (*bundle.Options, error) {
	if err := o.enter(); err != nil {
		return nil, err
	}
	b, err := bundle.Load(opts.bundle)
	if err != nil {
		return nil, err
	}
	if entered() {
		if err := bundle.OwnIDs(b.Spec); err != nil {
			return nil, err
		}
	}
	bo := &bundle.Options{
		ID: id, Bundle: b, PidFile: opts.pidFile, ConsoleSocket: opts.consoleSocket,
		KeepKeyring: opts.noNewKeyring, NoPivot: opts.noPivot,
	}
	bo.ExtraFiles, err = inherited(b.Spec.Process, opts.preserveFds)
	return bo, err
}

// inherited are the descriptors that the command inherits: those that were asked for, or that systemd passed.
func inherited(p *specs.Process, n int) ([]*os.File, error) {
	if n < 0 {
		return nil, fmt.Errorf("--preserve-fds %d is below zero", n)
	}
	const first = 3
	if listen, err := strconv.Atoi(os.Getenv("LISTEN_FDS")); err == nil && listen > 0 {
		n += listen
		p.Env = append(p.Env, "LISTEN_FDS="+strconv.Itoa(listen), "LISTEN_PID=1")
	}
	var files []*os.File
	for fd := first; fd < first+n; fd++ {
		if _, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd)); err != nil {
			return nil, fmt.Errorf("--preserve-fds: descriptor %d is not open", fd)
		}
		files = append(files, os.NewFile(uintptr(fd), "preserved-"+strconv.Itoa(fd)))
	}
	return files, nil
}

// create makes a container. Its command has our standard files.
func (o *ociApp) create(ctx context.Context, opts *ociOptions, id string) error {
	bo, err := o.prepare(opts, id)
	if err != nil {
		return err
	}
	if err := checkDetached(bo.Bundle.Spec.Process, opts.consoleSocket); err != nil {
		return err
	}
	r, err := o.containers()
	if err != nil {
		return err
	}
	bo.Stdio = runtime.Stdio{In: o.in, Out: o.out, Err: o.err}
	_, err = r.Create(ctx, bo)
	return err
}

// checkDetached: a terminal needs somebody who holds it.
func checkDetached(p *specs.Process, socket string) error {
	if p.Terminal && socket == "" {
		return errors.New("process.terminal needs --console-socket: nobody would hold the terminal once this program has ended")
	}
	return nil
}

// run makes and starts a container, and, unless told otherwise, stays until it ends, ends as it does, and
// deletes it.
func (o *ociApp) run(ctx context.Context, opts *ociOptions, id string) error {
	bo, err := o.prepare(opts, id)
	if err != nil {
		return err
	}
	r, err := o.containers()
	if err != nil {
		return err
	}
	p := bo.Bundle.Spec.Process
	if opts.detach {
		if err := checkDetached(p, opts.consoleSocket); err != nil {
			return err
		}
		bo.Stdio = runtime.Stdio{In: o.in, Out: o.out, Err: o.err}
		_, err := r.Run(ctx, bo)
		return err
	}
	var c *bundle.Container
	exit, err := o.attached(p, opts.consoleSocket, func(s runtime.Stdio) (*runtime.Process, error) {
		bo.Attached, bo.Stdio = true, s
		running, err := r.Run(ctx, bo)
		if err != nil {
			return nil, err
		}
		c = running.Container
		return running.Process, nil
	})
	if c != nil && !opts.keep {
		err = errors.Join(err, c.Delete(context.WithoutCancel(ctx), true))
	}
	if err != nil {
		return err
	}
	return exitWith(exit)
}

// attached starts a process, joins it with our standard files, passes signals on and waits for its end.
func (o *ociApp) attached(p *specs.Process, socket string, start func(runtime.Stdio) (*runtime.Process, error)) (int, error) {
	at, err := o.attachTo(p.Terminal && socket == "", true, nil)
	if err != nil {
		return 0, err
	}
	caught := catchSignals(at.tty)
	if p.ConsoleSize == nil {
		p.ConsoleSize = at.consoleSize()
	}
	running, err := start(at.stdio)
	if err != nil {
		at.abort()
		return 0, err
	}
	console := running.Console
	if socket != "" {
		console = nil // with somebody else
	}
	caught.forward(running, at.resizer(console))
	if err := at.started(console); err != nil {
		o.log("warning", err.Error())
	}
	exit, err := running.Wait()
	at.finish()
	return exit.Code, err
}
