package cli

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/deckhand-engine/deckhand/internal/bundle"
)

func newOciKill(o *ociApp) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "kill [OPTIONS] CONTAINER-ID [SIGNAL]",
		Short: "Send a signal to a container's first process (default: TERM)",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 2 {
				return withUsage(cmd, fmt.Errorf("kill takes a container ID and a signal, not %d arguments", len(args)))
			}
			return oneID(cmd, args[:min(len(args), 1)])
		},
		RunE: func(_ *cobra.Command, args []string) error {
			sig := unix.SIGTERM
			if len(args) == 2 {
				var err error
				if sig, err = parseOciSignal(args[1]); err != nil {
					return err
				}
			}
			return o.kill(args[0], sig, all)
		},
	}
	cmd.Flags().BoolVarP(&all, "all", "a", false, "send it to every process of the container")
	return cmd
}

func (o *ociApp) kill(id string, sig unix.Signal, all bool) error {
	c, err := o.open(id)
	if err != nil {
		return err
	}
	if all {
		return c.KillAll(sig)
	}
	return c.Kill(sig)
}

// parseOciSignal reads a signal's number, or its name with or without SIG.
func parseOciSignal(s string) (unix.Signal, error) {
	const last = 64
	if n, err := strconv.Atoi(s); err == nil {
		if n < 0 || n > last {
			return 0, fmt.Errorf("unknown signal %q", s)
		}
		return unix.Signal(n), nil
	}
	name := strings.ToUpper(s)
	if !strings.HasPrefix(name, "SIG") {
		name = "SIG" + name
	}
	if sig := unix.SignalNum(name); sig != 0 {
		return sig, nil
	}
	return 0, fmt.Errorf("unknown signal %q", s)
}

func newOciDelete(o *ociApp) *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "delete [OPTIONS] CONTAINER-ID",
		Short: "Delete a container that has ended",
		Args:  oneID,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.open(args[0])
			if err == nil {
				err = c.Delete(cmd.Context(), force)
			}
			if force && errors.Is(err, bundle.ErrNotExist) {
				return nil // as was wanted
			}
			return err
		},
	}
	cmd.Flags().BoolVarP(&force, "force", "f", false, "kill it first, and do not mind if there is none")
	return cmd
}
