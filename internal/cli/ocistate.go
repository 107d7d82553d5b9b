package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os/user"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/deckhand-engine/deckhand/internal/bundle"
)

func newOciState(o *ociApp) *cobra.Command {
	return &cobra.Command{
		Use:   "state CONTAINER-ID",
		Short: "Print a container's state",
		Args:  oneID,
		RunE: func(_ *cobra.Command, args []string) error {
			c, err := o.open(args[0])
			if err != nil {
				return err
			}
			return o.printJSON(withOwner(c.State()))
		},
	}
}

// printJSON writes a result as runc does.
func (o *ociApp) printJSON(v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	return o.println(string(b))
}

// withOwner adds the name of the user whose container it is; his number where he has none.
func withOwner(s *bundle.State) *bundle.State {
	s.Owner = "#" + strconv.Itoa(s.OwnerID)
	if s.OwnerID == 0 {
		s.Owner = "root"
	} else if u, err := user.LookupId(strconv.Itoa(s.OwnerID)); err == nil {
		s.Owner = u.Username
	}
	return s
}

func newOciList(o *ociApp) *cobra.Command {
	var format string
	var quiet bool
	cmd := &cobra.Command{
		Use:   "list [OPTIONS]",
		Short: "List the containers below --root",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return o.list(format, quiet)
		},
	}
	cmd.Flags().StringVarP(&format, "format", "f", "table", "`format`: table or json")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "print ids only")
	return cmd
}

func (o *ociApp) list(format string, quiet bool) error {
	r, err := o.containers()
	if err != nil {
		return err
	}
	all, err := r.List()
	if err != nil {
		return err
	}
	states := make([]*bundle.State, 0, len(all))
	for _, c := range all {
		states = append(states, withOwner(c.State()))
	}
	switch {
	case quiet:
		for _, s := range states {
			if err := o.println(s.ID); err != nil {
				return err
			}
		}
		return nil
	case format == "table":
		return printStates(o.out, states)
	case format == "json":
		return json.NewEncoder(o.out).Encode(states)
	}
	return fmt.Errorf("--format %q: table and json are known", format)
}

func printStates(out io.Writer, states []*bundle.State) error {
	w := tabwriter.NewWriter(out, 12, 1, 3, ' ', 0)
	_, _ = fmt.Fprint(w, "ID\tPID\tSTATUS\tBUNDLE\tCREATED\tOWNER\n") // kept by w until Flush
	for _, s := range states {
		row := []string{s.ID, strconv.Itoa(s.Pid), string(s.Status), s.Bundle, s.Created.Format(time.RFC3339Nano), s.Owner}
		_, _ = fmt.Fprintln(w, strings.Join(row, "\t")) // as above
	}
	return w.Flush()
}
