package cli

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/deckhand-engine/deckhand/internal/store"
	"github.com/deckhand-engine/deckhand/internal/ui"
)

// historyOptions are the flags of history.
type historyOptions struct {
	human, noTrunc, quiet bool
	format                string
}

// AddFlags adds docker's flags.
func (o *historyOptions) AddFlags(f *pflag.FlagSet) {
	f.BoolVarP(&o.human, "human", "H", true, "print sizes and dates for people")
	f.BoolVar(&o.noTrunc, "no-trunc", false, "do not shorten")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "show ids only")
	f.StringVar(&o.format, "format", "", "`table`, json, \"table TEMPLATE\" or a Go template")
}

func newHistory(a *app) *cobra.Command {
	o := historyOptions{human: true}
	cmd := &cobra.Command{
		Use:   "history [OPTIONS] IMAGE",
		Short: "Show how an image was made, newest step first",
		Args:  argCount(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runHistory(cmd.Context(), a, &o, args[0])
		},
		ValidArgsFunction: a.completeOneImage,
	}
	o.AddFlags(cmd.Flags())
	return cmd
}

func runHistory(ctx context.Context, a *app, o *historyOptions, name string) error {
	s, err := a.outerStore(ctx)
	if err != nil {
		return err
	}
	img, err := s.Image(ctx, name)
	if err != nil {
		return noSuchImage(err, name)
	}
	now := time.Now() //nolint:forbidigo // ages are shown as of now
	l := listing{
		format: o.format, quiet: o.quiet, id: "ID", titles: map[string]string{"ID": "IMAGE"},
		table: []string{"ID", "CreatedSince", "CreatedBy", "Size", "Comment"},
	}
	return l.write(a.out, historyRows(img, o, now))
}

// historyRows are the steps of the image, newest first. Only the last one has an id: the image's.
func historyRows(img *store.Image, o *historyOptions, now time.Time) []map[string]string {
	var rows []map[string]string
	layers := img.Manifest.Layers
	for _, h := range img.Config.History {
		size := int64(0)
		if !h.EmptyLayer && len(layers) > 0 {
			size, layers = layers[0].Size, layers[1:]
		}
		created := time.Time{}
		if h.Created != nil {
			created = *h.Created
		}
		row := map[string]string{
			"ID": "<missing>", "CreatedSince": ui.Ago(created, now), "CreatedAt": created.Format(time.RFC3339),
			"CreatedBy": shortCommand(h.CreatedBy, o.noTrunc), "Size": ui.HumanSize(size), "Comment": h.Comment,
		}
		if !o.human {
			row["CreatedSince"], row["Size"] = row["CreatedAt"], plainNumber(size)
		}
		rows = append([]map[string]string{row}, rows...)
	}
	if len(rows) > 0 {
		rows[0]["ID"] = shortDigest(img.ID)
		if o.noTrunc {
			rows[0]["ID"] = img.ID.String()
		}
	}
	return rows
}

// shortCommand is the instruction, cut to 45 characters as docker does.
func shortCommand(s string, whole bool) string {
	const most = 45
	s = strings.ReplaceAll(s, "\t", " ")
	if r := []rune(s); !whole && len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}

func plainNumber(n int64) string { return strconv.FormatInt(n, 10) }
