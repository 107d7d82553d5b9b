package cli

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/engine"
	"github.com/deckhand-engine/deckhand/internal/store"
)

// unsetSeconds marks a --timeout that was not given; -1 means for ever.
const unsetSeconds = -2

func newStop(a *app) *cobra.Command {
	var sig string
	var seconds int
	cmd := &cobra.Command{
		Use:   "stop [OPTIONS] CONTAINER [CONTAINER...]",
		Short: "Ask containers to end, and kill those that do not",
		Args:  argCount(1, -1),
		RunE: func(cmd *cobra.Command, args []string) error {
			e, err := a.outerEngine(cmd.Context())
			if err != nil {
				return err
			}
			return a.eachContainer(cmd.Context(), e, args, func(ctx context.Context, rec *store.Container) error {
				return stopContainer(ctx, e, rec, sig, seconds)
			})
		},
		ValidArgsFunction: a.completeContainers,
	}
	cmd.Flags().StringVarP(&sig, "signal", "s", "", "`signal` to send (default: the container's stop signal)")
	cmd.Flags().IntVarP(&seconds, "timeout", "t", unsetSeconds, "`seconds` to wait before killing; -1: for ever (default 10)")
	cmd.Flags().IntVar(&seconds, "time", unsetSeconds, "the same as --timeout")
	_ = cmd.Flags().MarkHidden("time") // declared just above
	cmd.Flags().Lookup("timeout").DefValue = "0"
	return cmd
}

// stopContainer stops by the flags, then by what the container was made with.
func stopContainer(ctx context.Context, e *engine.Engine, rec *store.Container, sigName string, seconds int) error {
	cfg, err := engine.ConfigOf(rec)
	if err != nil {
		return err
	}
	sig, err := engine.ParseSignal(firstOf(sigName, cfg.StopSignal, "SIGTERM"))
	if err != nil {
		return err
	}
	if seconds == unsetSeconds {
		seconds = engine.DefaultStopSeconds
		if cfg.StopSeconds != 0 {
			seconds = cfg.StopSeconds
		}
	}
	return e.Stop(ctx, rec, sig, time.Duration(seconds)*time.Second)
}

func newKill(a *app) *cobra.Command {
	var sigName string
	cmd := &cobra.Command{
		Use:   "kill [OPTIONS] CONTAINER [CONTAINER...]",
		Short: "Send a signal to containers",
		Args:  argCount(1, -1),
		RunE: func(cmd *cobra.Command, args []string) error {
			sig, err := engine.ParseSignal(sigName)
			if err != nil {
				return err
			}
			e, err := a.outerEngine(cmd.Context())
			if err != nil {
				return err
			}
			return a.eachContainer(cmd.Context(), e, args, func(ctx context.Context, rec *store.Container) error {
				if err := e.Signal(rec, sig); err != nil {
					return fmt.Errorf("cannot kill container: %s: %w", rec.Name, err)
				}
				if sig != unix.SIGKILL {
					return nil
				}
				return e.WaitExit(ctx, rec.ID)
			})
		},
		ValidArgsFunction: a.completeContainers,
	}
	cmd.Flags().StringVarP(&sigName, "signal", "s", "KILL", "`signal` to send")
	return cmd
}

func newWait(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "wait CONTAINER [CONTAINER...]",
		Short: "Wait until containers end, and print their exit codes",
		Args:  argCount(1, -1),
		RunE: func(cmd *cobra.Command, args []string) error {
			e, err := a.outerEngine(cmd.Context())
			if err != nil {
				return err
			}
			return a.wait(cmd.Context(), e, args)
		},
		ValidArgsFunction: a.completeContainers,
	}
}

func (a *app) wait(ctx context.Context, e *engine.Engine, names []string) error {
	var errs []error
	for _, name := range names {
		rec, err := a.findContainer(e.Store, name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		code, err := e.ExitCode(ctx, rec.ID)
		if err == nil {
			err = a.println(strconv.Itoa(code))
		} else if errors.Is(err, store.ErrNotFound) {
			err = fmt.Errorf("container %s was removed: %w", name, err)
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	return joined(errs)
}
