package cli

import (
	"context"
	"errors"
	"fmt"
	"path"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/deckhand-engine/deckhand/internal/engine"
	"github.com/deckhand-engine/deckhand/internal/hint"
	"github.com/deckhand-engine/deckhand/internal/runtime"
	"github.com/deckhand-engine/deckhand/internal/store"
)

// execOptions are the flags of exec.
type execOptions struct {
	interactive, tty, detach bool
	privileged               bool
	user, workdir            string
	env, envFile             []string
	front                    frontOptions
}

func (o *execOptions) addFlags(f *pflag.FlagSet) {
	f.BoolVarP(&o.detach, "detach", "d", false, "run in the background")
	f.BoolVarP(&o.interactive, "interactive", "i", false, "keep stdin open")
	f.BoolVarP(&o.tty, "tty", "t", false, "give the command a terminal")
	f.StringVarP(&o.user, "user", "u", "", "`user[:group]`, by name or number (default: the container's)")
	f.StringVarP(&o.workdir, "workdir", "w", "", "working `directory`")
	f.StringArrayVarP(&o.env, "env", "e", nil, "set a variable, `NAME=value`; NAME alone takes it from here")
	f.StringArrayVar(&o.envFile, "env-file", nil, "read variables from this `file`")
	f.BoolVar(&o.privileged, "privileged", false, "give the command every capability in the container, and no seccomp filter")
	o.front.addFlags(f)
	o.front.proxy = true
}

func newExec(a *app) *cobra.Command {
	var o execOptions
	cmd := &cobra.Command{
		Use:   "exec [OPTIONS] CONTAINER COMMAND [ARG...]",
		Short: "Run a further command in a running container",
		Args:  argCount(2, -1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.exec(cmd.Context(), &o, args[0], args[1:])
		},
		ValidArgsFunction: a.completeContainers,
	}
	o.addFlags(cmd.Flags())
	cmd.Flags().SetInterspersed(false)
	return cmd
}

func (a *app) exec(ctx context.Context, o *execOptions, name string, args []string) error {
	if err := a.checkTerminal(o.tty, o.interactive, o.detach); err != nil {
		return err
	}
	if o.workdir != "" && !path.IsAbs(o.workdir) {
		return engineError(fmt.Errorf("the working directory '%s' is invalid, it needs to be an absolute path", o.workdir))
	}
	env, err := (&runOptions{env: o.env, envFile: o.envFile}).environment()
	if err != nil {
		return engineError(err)
	}
	s, err := a.outerStore(ctx)
	if err != nil {
		return err
	}
	rec, err := a.findContainer(s, name)
	if err != nil {
		return err
	}
	if !o.detach {
		var done bool
		if a.front, done, err = a.behind(ctx, o.front, o.tty, o.interactive); done {
			return err
		}
	}
	eo := engine.ExecOptions{Args: args, Env: env, Cwd: o.workdir, User: o.user, Terminal: o.tty, Privileged: o.privileged}
	if o.privileged {
		a.note("deckhand: warning: --privileged gives %s what root has in %s: every capability, and no seccomp filter", args[0], rec.Name)
	}
	if o.detach {
		return a.spawnMonitor(ctx, &launch{Start: rec.ID, Exec: &eo})
	}
	return a.execAttached(ctx, a.engineOn(s), rec, eo, o.interactive)
}

func (a *app) execAttached(ctx context.Context, e *engine.Engine, rec *store.Container, eo engine.ExecOptions, interactive bool) error {
	at, err := a.attachTo(eo.Terminal, interactive, nil)
	if err != nil {
		return err
	}
	a.front.watch(at.leave)
	caught := catchSignals(at.tty)
	eo.Stdio, eo.Size = at.stdio, at.consoleSize()
	p, err := e.Exec(ctx, rec, eo)
	if err != nil {
		at.abort()
		return execError(err, rec)
	}
	caught.forward(a.front.hears(p), at.resizer(p.Console))
	if err := at.started(p.Console); err != nil {
		a.note("deckhand: %v", err)
	}
	exit, err := p.Wait()
	at.finish()
	if err != nil {
		return err
	}
	return exitWith(exit.Code)
}

// execError gives an error of exec's start docker's exit code: 1 where the container does not run, else 126
// unless it has one of its own.
func execError(err error, rec *store.Container) error {
	if _, ok := errors.AsType[*runtime.CommandError](err); ok {
		return err
	}
	if errors.Is(err, engine.ErrNotRunning) {
		return &codeError{code: exitFailure, err: hint.With(err, "start it:  deckhand start "+rec.Name)}
	}
	return &codeError{code: exitCannotRun, err: err}
}

// findContainer finds by name, id or unique prefix, with docker's message.
func (a *app) findContainer(s *store.Store, name string) (*store.Container, error) {
	rec, err := s.Container(name)
	if errors.Is(err, store.ErrNotFound) {
		return nil, hint.With(fmt.Errorf("no such container: %s", name), "what there is:  deckhand ps -a")
	}
	return rec, err
}

// completeContainers offers the containers' names.
func (a *app) completeContainers(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	s, err := a.outerStore(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	all, err := s.Containers()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names := make([]string, 0, len(all))
	for _, c := range all {
		names = append(names, c.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
