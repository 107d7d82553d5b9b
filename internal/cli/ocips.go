package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

func newOciPs(o *ociApp) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "ps [OPTIONS] CONTAINER-ID [PS-OPTION...]",
		Short: "List a container's processes",
		Args: func(cmd *cobra.Command, args []string) error {
			return oneID(cmd, args[:min(len(args), 1)])
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.ps(cmd.Context(), format, args[0], args[1:])
		},
	}
	cmd.Flags().StringVarP(&format, "format", "f", "table", "`format`: table or json")
	cmd.Flags().SetInterspersed(false)
	return cmd
}

func (o *ociApp) ps(ctx context.Context, format, id string, args []string) error {
	c, err := o.open(id)
	if err != nil {
		return err
	}
	pids, err := c.Pids()
	if err != nil {
		return err
	}
	slices.Sort(pids)
	switch format {
	case "json":
		if pids == nil {
			pids = []int{}
		}
		return json.NewEncoder(o.out).Encode(pids)
	case "table":
		if len(args) == 0 {
			args = []string{"-ef"}
		}
		table, err := exec.CommandContext(ctx, "ps", args...).Output()
		if err != nil {
			return fmt.Errorf("run ps: %w", err)
		}
		return pickProcesses(o.out, string(table), pids)
	}
	return fmt.Errorf("--format %q: table and json are known", format)
}

// pickProcesses writes the lines of ps's table that are about the processes.
func pickProcesses(out io.Writer, table string, pids []int) error {
	heading, rest, _ := strings.Cut(table, "\n")
	column := slices.Index(strings.Fields(heading), "PID")
	if column < 0 {
		return errors.New("ps shows no column PID")
	}
	if _, err := io.WriteString(out, heading+"\n"); err != nil {
		return err
	}
	for line := range strings.Lines(rest) {
		fields := strings.Fields(line)
		if len(fields) <= column {
			continue
		}
		if pid, err := strconv.Atoi(fields[column]); err == nil && slices.Contains(pids, pid) {
			if _, err := io.WriteString(out, line); err != nil {
				return err
			}
		}
	}
	return nil
}

func newOciPause(o *ociApp) *cobra.Command {
	return &cobra.Command{
		Use:   "pause CONTAINER-ID",
		Short: "Stop every process of a container until it is resumed",
		Args:  oneID,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.open(args[0])
			if err != nil {
				return err
			}
			return c.Pause(cmd.Context())
		},
	}
}

func newOciResume(o *ociApp) *cobra.Command {
	return &cobra.Command{
		Use:   "resume CONTAINER-ID",
		Short: "Have a paused container go on",
		Args:  oneID,
		RunE: func(_ *cobra.Command, args []string) error {
			c, err := o.open(args[0])
			if err != nil {
				return err
			}
			return c.Resume()
		},
	}
}
