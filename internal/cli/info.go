package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/deckhand-engine/deckhand/internal/linux/features"
	"github.com/deckhand-engine/deckhand/internal/version"
)

// infoReport is what `info --format json` prints.
type infoReport struct {
	Version    string             `json:"Version"`
	DataRoot   string             `json:"DataRoot"`
	Images     int                `json:"Images"`
	Containers int                `json:"Containers"`
	Running    int                `json:"ContainersRunning"`
	Features   []features.Feature `json:"Features"`
}

func newInfo(a *app) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "info [--format json]",
		Short: "Show what this kernel and machine allow, and what is missing",
		Args:  argCount(0, 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.runInfo(cmd.Context(), format)
		},
	}
	cmd.Flags().StringVarP(&format, "format", "f", "", "`json` for scripts")
	return cmd
}

func (a *app) runInfo(ctx context.Context, format string) error {
	if format != "" && format != formatJSON {
		return badFormat(format)
	}
	root, err := a.root()
	if err != nil {
		return err
	}
	r := &infoReport{Version: version.Number(), DataRoot: root, Features: features.Probe(root)}
	storeErr := r.count(ctx, a) // what the machine allows is shown all the same
	if format == formatJSON {
		err = json.NewEncoder(a.out).Encode(r)
	} else {
		err = r.print(a.out)
	}
	if err != nil {
		return err
	}
	return storeErr
}

// count fills in what is in the store.
func (r *infoReport) count(ctx context.Context, a *app) error {
	s, err := a.outerStore(ctx)
	if err != nil {
		return err
	}
	images, err := s.Images(ctx)
	if err != nil {
		return fmt.Errorf("list images: %w", err)
	}
	containers, err := s.Containers()
	if err != nil {
		return fmt.Errorf("list containers: %w", err)
	}
	r.Images, r.Containers = len(images), len(containers)
	for _, c := range containers {
		if st, err := s.State(c.ID); err == nil && st.Status == statusRunning {
			r.Running++
		}
	}
	return nil
}

func (r *infoReport) print(w io.Writer) error {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	_, _ = fmt.Fprintf(tw, "Version:\t%s\nData root:\t%s\nContainers:\t%d (%d running)\nImages:\t%d\n\n",
		r.Version, r.DataRoot, r.Containers, r.Running, r.Images)
	for _, f := range r.Features {
		mark := "yes"
		if !f.OK {
			mark = "NO"
		}
		_, _ = fmt.Fprintf(tw, "%s\t%s\t%s\n", f.Name, mark, f.Detail)
		if !f.OK && f.Fix != "" {
			_, _ = fmt.Fprintf(tw, "\t\tfix: %s\n", f.Fix)
		}
	}
	return tw.Flush()
}

// Container states, as the store writes them.
const (
	statusCreated = "created"
	statusRunning = "running"
	statusExited  = "exited"
)
